"""How often strategies that know nothing are called significant: `python -m benchmarks.noise`.

Not a part of `make bench`: it measures a promise, not a speed, and takes some minutes.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.figures import QUICK
from ml.evaluation import Bootstrap, Calendar
from ml.evaluation.book import book_metrics
from ml.evaluation.curve import cut
from ml.evaluation.selection import deflated_sharpe, is_promising
from tests.support.noise import DAY_NS, ignorant_curve

STRATEGIES = 50 if QUICK else 200
DAYS = (60, 125, 250, 500)
SETTINGS = Bootstrap(resamples=200 if QUICK else 1_000)
DAILY = Calendar.crypto(DAY_NS)


def main() -> None:
    """Print the table."""
    print("| days | above nil, beyond chance | below nil | deflated > 0.95 | deflated best of all |")
    print("|---:|---:|---:|---:|---:|")
    for days in DAYS:
        called = np.array(list(_called(days)))
        shares = called[:, :3].mean(axis=0)
        best = _deflated_best(days)
        print(f"| {days} | {shares[0]:.1%} | {shares[1]:.1%} | {shares[2]:.1%} | {best:.3f} |", flush=True)


def _called(days: int) -> Iterator[tuple[bool, bool, bool]]:
    """Of each strategy: Sharpe ratio above nil, below nil, and more than luck when it is the only try."""
    for seed in range(STRATEGIES):
        curve = ignorant_curve(seed, days)
        sharpe = book_metrics(curve, None, DAILY, SETTINGS).net.sharpe
        above = sharpe.ci_low is not None and sharpe.ci_low > 0.0
        below = sharpe.ci_high is not None and sharpe.ci_high < 0.0
        yield above, below, is_promising(deflated_sharpe(np.expm1(cut(curve, DAILY).log_return)))


def _deflated_best(days: int) -> float:
    """Probability that the best of all strategies is more than luck, counting all as tries."""
    returns = [np.expm1(cut(ignorant_curve(seed, days), DAILY).log_return) for seed in range(STRATEGIES)]
    ratios = [float(one.mean() / one.std(ddof=1)) if one.std() > 0.0 else 0.0 for one in returns]
    found = deflated_sharpe(returns[int(np.argmax(ratios))], ratios)
    return found.prob if found is not None else float("nan")


if __name__ == "__main__":
    main()
