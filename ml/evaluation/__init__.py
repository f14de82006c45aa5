"""How good a run was, and how sure one may be of it.

    evaluation = evaluate_run(
        tape,                                    # strategies.tape.MemoryTape
        capital_quote={"donchian": 10_000.0},    # per strategy, before the first bar
        calendar=Calendar.crypto(60_000_000_000),
        baselines={"buy_and_hold": curve},       # equity_curve(other_tape.equity, strategy, capital)
        unallocated_quote=0.0,
    )
    evaluation.as_json()                         # metrics.json
    evaluation.matched.trades                    # trades.csv
    evaluation.matched.positions                 # positions.csv
    evaluation.account_curve                     # equity of the account

Needs numpy alone.
"""

from ml.evaluation.bootstrap import Bootstrap, Statistic
from ml.evaluation.calendar import Calendar
from ml.evaluation.curve import EquityCurve, equity_curve, total_curve
from ml.evaluation.run import Evaluation, evaluate_run
from ml.evaluation.trades import Matched, PositionRow, match_fills
from ml.round_trips import RoundTrip

__all__ = [
    "Bootstrap",
    "Calendar",
    "EquityCurve",
    "Evaluation",
    "Matched",
    "PositionRow",
    "RoundTrip",
    "Statistic",
    "equity_curve",
    "evaluate_run",
    "match_fills",
    "total_curve",
]
