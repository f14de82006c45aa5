"""Which positions are too old to be kept.

Flow: action → **time stop** → turnover.
"""

from collections.abc import Sequence

from strategies.policies.protocol import Action


def timed_out(action: Action, bars_held: Sequence[int]) -> frozenset[int]:
    """Instruments whose position has reached the age at which the policy wants it closed.

    Args:
        action: Its ``time_stop_bars`` count.
        bars_held: Age of each position in bars, N; 0 where nothing is held.
    """
    limit = action.time_stop_bars
    if limit <= 0:
        return frozenset()
    return frozenset([index for index, held in enumerate(bars_held) if held >= limit])
