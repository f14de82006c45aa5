"""What a request for a run may say: its kind, its files, and what that kind takes; nothing beside."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ops.api.bodies import Command
from ops.refusals import RefusedError
from ops.runs.sources import LONGEST_NAME, NAME


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


type FileName = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME)]
type Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.+Z -]{0,25}$")]
"""ISO date or time, UTC where it names no zone."""

Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, however JSON writes it: 8 and 8.0 are the same there."""

_MOST_DAYS = 36_500
_MOST_BARS = 100_000_000


class BacktestRequest(Command):
    """Body of a request for a backtest."""

    kind: Literal["backtest"]
    config: FileName
    """Host file."""
    strategies: list[FileName] = Field(default=[], max_length=20)
    """Strategy files in place of those of the host file, for example ``models/NAME/latest/strategy.toml``."""
    start: Moment | None = None
    end: Moment | None = None
    baselines: bool = True


class TrainRequest(Command):
    """Body of a request for a training."""

    kind: Literal["train"]
    config: FileName
    """Training file."""


class WalkForwardRequest(Command):
    """Body of a request for a walk-forward."""

    kind: Literal["walk-forward"]
    config: FileName
    """Training file."""
    train_days: Whole = Field(default=252, ge=1, le=_MOST_DAYS)
    test_days: Whole = Field(default=63, ge=1, le=_MOST_DAYS)
    train_bars: Annotated[int, Field(ge=2, le=_MOST_BARS), BeforeValidator(_whole)] | None = None
    """Instead of days; with ``test_bars``."""
    test_bars: Annotated[int, Field(ge=2, le=_MOST_BARS), BeforeValidator(_whole)] | None = None
    baselines: bool = True


class RegimeFitRequest(Command):
    """Body of a request to fit a regime model."""

    config: FileName
    """Host file, whose catalog has the bars."""
    strategy: FileName
    """Strategy file, whose section ``regime`` names the columns."""
    start: Moment | None = None
    end: Moment | None = None
    num_states: Whole = Field(default=3, ge=1, le=12)
    covariance: Literal["diagonal", "full"] = "diagonal"
    stay_bars: float = Field(default=10.0, ge=0.0, le=1e6)
    seed: Whole = Field(default=7, ge=0, le=2**32 - 1)


type RunRequest = Annotated[BacktestRequest | TrainRequest | WalkForwardRequest, Field(discriminator="kind")]


def options_of(request: Command) -> dict[str, Any]:
    """What a request asks for, without who asks and why.

    Raises:
        RefusedError: If what it asks for does not go together.
    """
    if isinstance(request, WalkForwardRequest) and (request.train_bars is None) != (
        request.test_bars is None
    ):
        raise RefusedError("expected train_bars and test_bars together, or neither")
    return request.model_dump(mode="json", exclude={"reason", "who", "kind"})
