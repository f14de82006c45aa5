"""The knobs of proximal policy optimisation, and what a run tells of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from strategies.config import Bars, Fraction, NonNegative, Positive, Section


class Schedule(StrEnum):
    """How the learning rate goes over a run."""

    CONSTANT = "constant"
    LINEAR = "linear"
    """Down to zero at the end."""


@dataclass(frozen=True, slots=True)
class PPOConfig:
    """All knobs; the defaults are the mission's reference preset (SB-108 to SB-119, SB-144)."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    total_timesteps: Bars = 1_000_000
    """Samples of all environments together."""
    num_steps: Bars = 4096
    """Samples of one rollout, of all environments together."""
    batch_size: Bars = 1024
    """Samples of one gradient step."""
    update_epochs: Bars = 10
    """Passes over a rollout."""
    learning_rate: Positive = 3e-5
    schedule: Schedule = Schedule.CONSTANT
    gamma: Fraction = 0.997
    gae_lambda: Fraction = 0.985
    clip_coef: Positive = 0.15
    clip_value: Positive | None = None
    """Largest change of a value in one update, in units of scaled reward; None sets no limit."""
    ent_coef: NonNegative = 0.04
    vf_coef: NonNegative = 1.0
    max_grad_norm: Positive = 1.0
    target_kl: Positive | None = None
    """Stops the passes over a rollout once the policy has moved 1.5 times as far; None does not."""
    normalize_advantage: bool = True
    """To mean 0 and deviation 1 in each minibatch."""
    scale_reward: bool = True
    """Divide rewards by the running deviation of the discounted return: a bar earns a few basis points."""
    seed: Annotated[int, Field(ge=0)] = 0
    device: str = "cpu"
    """``cpu`` or ``cuda``."""
    mixed_precision: bool = False
    """bfloat16 in the update; needs CUDA."""
    eval_every: Bars = 50_000
    """Samples between two evaluations."""
    stop_score: float | None = None
    """Ends training once an evaluation is at least this."""
    patience: Bars | None = None
    """Ends training after as many evaluations without a new best; None does not."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What one update did."""

    timesteps: int
    mean_return: float
    """Mean sum of rewards of the episodes that ended in the rollout; NaN where none did."""
    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    clip_frac: float
    explained_variance: float
    learning_rate: float
    grad_norms: Mapping[str, float]
    """Of the last gradient step, by layer, before clipping."""


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    timesteps: int
    reason: str
    """``budget``, ``stop_score`` or ``patience``."""
    best_score: float
    """NaN where nothing was evaluated."""
    scores: list[tuple[int, float]] = field(default_factory=list)
    """Samples and score of each evaluation."""
