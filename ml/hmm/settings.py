"""How a hidden Markov model is fitted."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from ml.hmm.gaussians import Covariance
from strategies.config import Section
from strategies.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HmmSettings:
    """How a model is fitted; equal settings and rows give equal parameters on the same machine."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    num_states: int = 3
    covariance: Covariance = Covariance.DIAGONAL
    stay_bars: float = 10.0
    """Imaginary bars that each state has lasted; 0 is maximum likelihood."""
    num_restarts: int = 4
    """Random starts beside the one that is cut by volatility."""
    seed: int = 7
    screening_iterations: int = 25
    """Iterations of every start before all but the best two are given up."""
    max_iterations: int = 2_000
    tolerance_nats_per_bar: float = 1e-7
    """Converged when an iteration gains less."""
    memory_frac: float = 2.0
    """Bars that a previous model counts for in a refit, as a share of the rows; 0 remembers nothing."""
    keep_nats: float = 10.0
    """What another optimum must gain before the one that the previous model leads to is given up."""
    min_std_frac: float = 0.01
    """Smallest standard deviation of a state, as a fraction of the column's own."""
    return_column: int = 0
    """Column whose spread orders the states."""

    def __post_init__(self) -> None:
        is_valid = (
            self.num_states >= 1
            and self.stay_bars >= 0.0
            and self.num_restarts >= 0
            and 1 <= self.screening_iterations <= self.max_iterations
            and self.tolerance_nats_per_bar > 0.0
            and self.keep_nats >= 0.0
            and self.memory_frac >= 0.0
            and 0.0 < self.min_std_frac < 1.0
            and self.return_column >= 0
        )
        if not is_valid:
            raise ConfigError(
                "hmm: expected num_states >= 1, stay_bars, num_restarts, memory_frac, keep_nats and "
                "return_column >= 0, "
                "1 <= screening_iterations <= max_iterations, tolerance_nats_per_bar > 0 and "
                f"0 < min_std_frac < 1, found {self}"
            )
