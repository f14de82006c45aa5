"""From a policy's action to portfolio weights.

Flow: policies → **allocation** → sizing.

    action --map--> wanted --caps--> --scale (from sizing)--> --caps--> --gate, throttle--> weights

`maps` gives the numbers of an action their meaning; `turnover` decides how much of the way is gone now.
Sizing's scale is passed in as a callable, because the turnover that counts is the portfolio's: a target
that was throttled first and scaled afterwards would never be reached.
"""

from strategies.allocation.allocate import Scale, allocate

__all__ = ["Scale", "allocate"]
