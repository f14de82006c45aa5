"""From weights to the quantities and trades that they mean.

Flow: allocation → **sizing** → guardrails.

`Sizer.scale` applies the risk rules to wanted weights (inside `allocate`, before turnover is counted),
`Sizer.size` turns weights into whole lots, `plan_trades` turns lots into trades.
"""

from strategies.sizing.cash import fit_to_cash
from strategies.sizing.rules import SizingContext, SizingReason
from strategies.sizing.sizer import Refusal, Sizer, Target
from strategies.sizing.trades import Trade, plan_trades

__all__ = [
    "Refusal",
    "Sizer",
    "SizingContext",
    "SizingReason",
    "Target",
    "Trade",
    "fit_to_cash",
    "plan_trades",
]
