"""Whether anything knows its future: the future is changed, all is run again, and what moves is a leak.

    leaks = find_leaks(pipeline, market)              # any function from bars to claims
    leaks = find_leaks(learning_claims(features), market)
    rows = warm_up(features, market)                  # bars until a feature forgets where the data began

A pipeline says of each of its values which bars may matter to it (`Claim`). The check believes nothing else:
it does not read the code, it moves the bars that must not matter and compares.
"""

from ml.leaks.claims import Claim, Market, Pipeline, rows_of
from ml.leaks.detection import Leak, LeakSettings, find_leaks
from ml.leaks.learning import FoldSettings, learning_claims
from ml.leaks.warm_up import WarmUp, warm_up

__all__ = [
    "Claim",
    "FoldSettings",
    "Leak",
    "LeakSettings",
    "Market",
    "Pipeline",
    "WarmUp",
    "find_leaks",
    "learning_claims",
    "rows_of",
    "warm_up",
]
