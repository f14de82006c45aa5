"""Train, test on what follows, move on: what a method, not one model, would have earned.

    folds = plan_folds(dataset.ts_event, Window(252, 63, "days"))
    outcomes = walk_forward(folds, directory, fit=train_a_bundle, evaluate=backtest_it, pins=pins)
    summary = summarise(folds, outcomes, calendar)
    summary.as_json()

How a model is fitted and how it is judged is passed in: this plane knows neither engine nor catalog.
"""

from ml.walk_forward.folds import Fold, FoldOutcome, Window, plan_folds
from ml.walk_forward.loop import FoldError, walk_forward
from ml.walk_forward.summary import FoldCard, WalkForwardSummary, summarise
from ml.walk_forward.workers import Evaluate, Fit, WorkersConfig, WorkersKind, make_workers

__all__ = [
    "Evaluate",
    "Fit",
    "Fold",
    "FoldCard",
    "FoldError",
    "FoldOutcome",
    "WalkForwardSummary",
    "Window",
    "WorkersConfig",
    "WorkersKind",
    "make_workers",
    "plan_folds",
    "summarise",
    "walk_forward",
]
