"""What a run hands over to be written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.evaluation import Evaluation
from strategies.market import Floats
from strategies.tape import MemoryTape


@dataclass(frozen=True, slots=True)
class BarSeries:
    """One instrument's bars."""

    ts_event: npt.NDArray[np.int64]
    """Close times, UTC nanoseconds, ascending, shape (T,)."""
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    """Base units."""


@dataclass(frozen=True, slots=True)
class RunContents:
    """Everything about one run; equal contents give equal bytes."""

    run_id: str
    """Name of the run's directory: letters, digits, dot, dash and underscore."""
    title: str
    """What people call the run."""
    currency: str
    """Quote currency of the account."""
    tape: MemoryTape
    evaluation: Evaluation
    instruments: Mapping[str, tuple[str, ...]]
    """Per strategy its instrument ids, in configuration order."""
    bars: Mapping[str, BarSeries]
    """Per instrument id."""
    pins: Mapping[str, Any]
    """What identifies the run: versions and hashes of code, configuration and data. No wall-clock time."""
    config_text: str
    """The configuration as it was read, secrets redacted; it names `models` where they will lie."""
    models: Mapping[str, bytes]
    """The models that traded, by their place in the run's directory."""
    costs_quote: Mapping[str, float]
    """What was paid, by kind: commission, fee, half_spread, impact, borrow."""
    data_quality: Mapping[str, Any]
    """Findings in the data: ``issues`` is a list of flat objects; other keys are facts about the data."""
