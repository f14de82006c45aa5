"""Whether what the bot sees and does still looks like what it was trained on.

    reference = calibrate_drift(rows, columns)        # when training; saved as JSON beside the model
    monitor = DriftMonitor(reference)                 # in the daemon, see `bot.operation.drift`; numpy only
    alarms = monitor.update(row)                      # every bar
    monitor.score                                     # largest KL divergence: the gauge ``drift_score``

The columns of a bundle are its features, what its regime model makes of them, and what its policy does
(`ml.drift.columns`).
"""

from ml.drift.calibration import DriftSettings, calibrate_drift, check_rows
from ml.drift.columns import (
    POLICY_COLUMNS,
    REGIME_COLUMNS,
    feature_columns,
    regime_columns,
    regime_rows,
)
from ml.drift.monitor import DriftAlarm, DriftMonitor
from ml.drift.reference import DriftReference, Statistic

__all__ = [
    "POLICY_COLUMNS",
    "REGIME_COLUMNS",
    "DriftAlarm",
    "DriftMonitor",
    "DriftReference",
    "DriftSettings",
    "Statistic",
    "calibrate_drift",
    "check_rows",
    "feature_columns",
    "regime_columns",
    "regime_rows",
]
