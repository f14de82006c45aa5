"""The knobs of proximal policy optimisation, and what a run tells of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Schedule(StrEnum):
    """How the learning rate goes over a run."""

    CONSTANT = "constant"
    LINEAR = "linear"
    """Down to zero at the end."""


@dataclass(frozen=True, slots=True)
class PPOConfig:
    """All knobs; the defaults are the mission's reference preset (SB-108 to SB-119, SB-144)."""

    total_timesteps: int = 1_000_000
    """Samples of all environments together."""
    num_steps: int = 4096
    """Samples of one rollout, of all environments together."""
    batch_size: int = 1024
    """Samples of one gradient step."""
    update_epochs: int = 10
    """Passes over a rollout."""
    learning_rate: float = 3e-5
    schedule: Schedule = Schedule.CONSTANT
    gamma: float = 0.997
    gae_lambda: float = 0.985
    clip_coef: float = 0.15
    clip_value: float | None = None
    """Largest change of a value in one update, in units of scaled reward; None sets no limit."""
    ent_coef: float = 0.04
    vf_coef: float = 1.0
    max_grad_norm: float = 1.0
    target_kl: float | None = None
    """Stops the passes over a rollout once the policy has moved 1.5 times as far; None does not."""
    normalize_advantage: bool = True
    """To mean 0 and deviation 1 in each minibatch."""
    scale_reward: bool = True
    """Divide rewards by the running deviation of the discounted return: a bar earns a few basis points."""
    seed: int = 0
    device: str = "cpu"
    """``cpu`` or ``cuda``."""
    mixed_precision: bool = False
    """bfloat16 in the update; needs CUDA."""
    eval_every: int = 50_000
    """Samples between two evaluations."""
    stop_score: float | None = None
    """Ends training once an evaluation is at least this."""
    patience: int | None = None
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
