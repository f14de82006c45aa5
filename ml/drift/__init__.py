"""Whether what the bot sees and does still looks like what it was trained on.

    reference = calibrate_drift(rows, columns)        # when training; saved as JSON beside the model
    monitor = DriftMonitor(reference)                 # in a daemon; numpy only
    alarms = monitor.update(row)                      # every bar
    monitor.score                                     # largest KL divergence: the gauge ``drift_score``

Columns may be features, what the regime filter makes of them (`regime_row`), and what the policy answers
(weights): one monitor for each, or one for all.
"""

from ml.drift.calibration import DriftSettings, calibrate_drift
from ml.drift.monitor import DriftAlarm, DriftMonitor
from ml.drift.reference import DriftReference, Statistic
from ml.drift.regimes import REGIME_COLUMNS, RegimeColumns, regime_rows

__all__ = [
    "REGIME_COLUMNS",
    "DriftAlarm",
    "DriftMonitor",
    "DriftReference",
    "DriftSettings",
    "RegimeColumns",
    "Statistic",
    "calibrate_drift",
    "regime_rows",
]
