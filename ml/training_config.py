"""What a training file says: data, split, regime model, network, environment, trainer.

    host = "backtest.toml"                     # venue, catalog and costs
    strategy = "strategies/ppo_hmm_demo.toml"  # features, regime columns, action map, instruments

Whatever is left out has the default of the reference preset.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from ml.classifiers import ClassifierSettings
from ml.drift import DriftSettings
from ml.environment import RewardConfig
from ml.hmm import HmmSettings
from ml.networks import NetworkConfig
from ml.pathwise import PathwiseConfig
from ml.ppo_config import PPOConfig
from ml.walk_forward.workers import WorkersConfig
from strategies.config import Bars, NonNegative, Section


class SplitKind(StrEnum):
    """Which bars judge the model."""

    EIGHTY_TWENTY = "80_20"
    """The last fifth."""
    LAST_YEAR = "last_year"
    """The last 365 days."""
    DATES = "dates"
    """From ``test_start`` to ``test_end``; what comes later is left out."""


class SplitConfig(Section):
    """In order of time: bars that are learned from, bars that choose among networks, bars that judge."""

    kind: SplitKind = SplitKind.EIGHTY_TWENTY
    test_start: str | None = None
    """dates: ISO date or time, UTC."""
    test_end: str | None = None
    """dates: likewise, exclusive."""
    selection_frac: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.2
    """Share of the bars before the test that choose the best network; it learns from none of them."""
    embargo_bars: Annotated[int, Field(ge=0)] = 5
    """Bars left out before the selection and before the test."""

    @model_validator(mode="after")
    def _dates_go_with_their_kind(self) -> "SplitConfig":
        if (self.kind is SplitKind.DATES) is not (None not in (self.test_start, self.test_end)):
            raise ValueError('test_start and test_end are needed with kind = "dates", and only there')
        return self


class EnvironmentConfig(Section):
    """How the trainer lives through the bars."""

    num_envs: Bars = 64
    """Portfolios at once."""
    num_clocks: Bars = 16
    """Different market times at once; a divisor of ``num_envs``. Portfolios of one time share the encoder."""
    horizon_bars: Bars = 1_024
    """Bars of an episode."""
    min_hold_bars: Annotated[int, Field(ge=0)] = 0
    """Bars for which a position is left alone after it was opened."""
    discrete: bool = False
    """Short, flat or long per instrument instead of weights; needs the action map "weights"."""
    ruin_frac: NonNegative = 0.05
    """Share of the capital at which an episode ends for good."""


class TrainerKind(StrEnum):
    """Who trains the network."""

    PPO = "ppo"
    PATHWISE = "pathwise"
    """Gradients through the market itself: far fewer samples, for weights only (`ml.pathwise`)."""
    PATHWISE_PPO = "pathwise_ppo"
    """Pathwise first; PPO goes on from the best network of it."""
    CLASSIFIER = "classifier"
    """A model of scikit-learn that says how probable a rise is: what a network has to beat."""


class GenerateConfig(Section):
    """A generated market to learn from, instead of bars of the catalog."""

    seed: Annotated[int, Field(ge=0)]
    """Another than that of the market that is traded: what was learned must not be the bars themselves."""
    days: Bars = 60


class TrainingConfig(Section):
    """A training file."""

    host: str
    """Host file, relative to this file: its venue, catalog and costs are those of the training."""
    strategy: str
    """Strategy file, relative to this file; its policy is the bundle that the training makes."""
    start: str | None = None
    """ISO date or time, UTC; None starts at the first bar."""
    end: str | None = None
    """Likewise; None goes on to the last bar."""
    generate: GenerateConfig | None = None
    """Only for the generated venue DEMO."""
    split: SplitConfig = SplitConfig()
    regime: HmmSettings = HmmSettings()
    network: NetworkConfig = NetworkConfig()
    environment: EnvironmentConfig = EnvironmentConfig()
    reward: RewardConfig = RewardConfig()
    trainer: TrainerKind = TrainerKind.PPO
    ppo: PPOConfig = PPOConfig()
    pathwise: PathwiseConfig = PathwiseConfig()
    classifier: ClassifierSettings = ClassifierSettings()
    drift: DriftSettings = DriftSettings()
    """Thresholds of the drift monitor."""
    workers: WorkersConfig = WorkersConfig()
    """Who works on the folds of a walk-forward."""

    @property
    def total_timesteps(self) -> int:
        """Samples of the whole training; 0 for a classifier, which takes no steps."""
        of_ppo, of_pathwise = self.ppo.total_timesteps, self.pathwise.total_timesteps
        match self.trainer:
            case TrainerKind.PPO:
                return of_ppo
            case TrainerKind.PATHWISE:
                return of_pathwise
            case TrainerKind.PATHWISE_PPO:
                return of_pathwise + of_ppo
            case TrainerKind.CLASSIFIER:
                return 0
