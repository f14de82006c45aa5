"""Baseline models: does each instrument rise over the horizon? What a network has to beat.

    fit = fit_classifier(values, rises, ends, split.train, ClassifierSettings(kind="forest"), columns=columns)
    metrics = evaluate_classifier(fit, values, forward_returns, ends, split.train, split.test, ...)
    model = classifier_onnx(fit, lookback=64, num_instruments=2, schema_sha256=...)   # bytes of a policy

The exported file is an ordinary policy: `strategies.policies.onnx` loads it, and everything behind it (caps,
sizing, guardrails) holds.
"""

from ml.classifiers.export import classifier_onnx
from ml.classifiers.fitting import ClassifierFit, ClassifierSettings, Signal, fit_classifier
from ml.classifiers.leakage import check_split
from ml.classifiers.metrics import ClassifierMetrics, evaluate_classifier

__all__ = [
    "ClassifierFit",
    "ClassifierMetrics",
    "ClassifierSettings",
    "Signal",
    "check_split",
    "classifier_onnx",
    "evaluate_classifier",
    "fit_classifier",
]
