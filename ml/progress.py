"""How a run of training goes on until its budget is spent, whichever trainer it is.

Flow: ppo, pathwise → **progress** → checkpoints.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ml.checkpoints import save_checkpoint
from ml.networks import Policy
from ml.ppo_config import Outcome, Stats


class Limits(Protocol):
    """The knobs that say when a run is looked at and when it ends; see `ml.ppo_config.PPOConfig`."""

    @property
    def total_timesteps(self) -> int: ...
    @property
    def eval_every(self) -> int: ...
    @property
    def stop_score(self) -> float | None: ...
    @property
    def patience(self) -> int | None: ...


class Run(Protocol):
    """A trainer."""

    policy: Policy
    timesteps: int
    """Samples so far."""
    outcome: Outcome

    @property
    def config(self) -> Limits: ...

    def update(self) -> Stats:
        """Collect samples and learn from them."""

    def snapshot(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""


def run_to_the_end(
    run: Run,
    evaluate: Callable[[Policy], float] | None,
    on_update: Callable[[Stats], None],
    checkpoints: Path | None,
) -> Outcome:
    """Train until the budget is spent, the score is reached, or nothing improves.

    Args:
        run: Where it stands is where it goes on.
        evaluate: Scores a policy; more is better.
        on_update: Told after each update.
        checkpoints: Directory for ``last.npz`` (to go on from) and ``best.npz`` (the best score).

    Raises:
        DataError: If a loss is not finite; the checkpoints are those before it.
    """
    config, outcome = run.config, run.outcome
    while run.timesteps < config.total_timesteps:
        before = run.timesteps // config.eval_every
        on_update(run.update())
        outcome.timesteps, outcome.reason = run.timesteps, "budget"
        if evaluate is not None and run.timesteps // config.eval_every > before:
            run.policy.eval()
            score = evaluate(run.policy)
            outcome.scores.append((run.timesteps, score))
            if not score <= outcome.best_score:
                outcome.best_score = score
                if checkpoints is not None:
                    save_checkpoint(checkpoints / "best.npz", {"policy": run.policy.state_dict()})
        if checkpoints is not None:
            save_checkpoint(checkpoints / "last.npz", run.snapshot())
        if _is_done(config, outcome):
            break
    return outcome


def _is_done(config: Limits, outcome: Outcome) -> bool:
    if not outcome.scores:
        return False
    if config.stop_score is not None and outcome.scores[-1][1] >= config.stop_score:
        outcome.reason = "stop_score"
    elif config.patience is not None:
        best = max(range(len(outcome.scores)), key=lambda place: outcome.scores[place][1])
        if len(outcome.scores) - 1 - best >= config.patience:
            outcome.reason = "patience"
    return outcome.reason != "budget"
