"""Pathwise gradients: what a weight earns is differentiated through the market, not guessed from noise.

Flow: smooth_market → **pathwise** → checkpoints, export; or a start for ppo.

A step of training lives through a short segment with the most likely action, adds up rewards and, where the
segment is cut, the critic's opinion of what follows, and climbs its gradient; the next segment goes on from
there. The same networks as for `ml.ppo`, with the critic in the same units: the policy of one is a
start for the other.

    J = Σ_{t<H} gamma^t · r_t + gamma^H · v(s_H),   r and s functions of the actions

Windows do not depend on the actions: those of a whole segment are encoded at once.

Source:
    Xu et al. (2022), Accelerated policy learning with parallel differentiable simulation, eqs. 5-7.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from ml.networks import NetworkConfig, Policy, Scaling, Shapes
from ml.optimizer import FlatAdam
from ml.ppo import gae
from ml.ppo_config import Outcome, Schedule, Stats
from ml.process import prepare_process
from ml.progress import run_to_the_end
from ml.randomness import OwnRandomness
from ml.reward_scale import RewardScale
from ml.smooth_market import State
from ml.views import device_of
from strategies.config import Bars, Fraction, NonNegative, Positive, Section
from strategies.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class PathwiseConfig:
    """All knobs; those of PPO's name mean the same."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    total_timesteps: Bars = 1_000_000
    num_envs: Bars = 64
    segment: Bars = 32
    """Steps that gradients go back through, H."""
    learning_rate: Positive = 1e-3
    schedule: Schedule = Schedule.CONSTANT
    gamma: Fraction = 0.997
    gae_lambda: Fraction = 0.985
    """Of the returns that the critic learns."""
    vf_coef: NonNegative = 1.0
    max_grad_norm: Positive = 1.0
    scale_reward: bool = True
    seed: Annotated[int, Field(ge=0)] = 0
    device: str = "cpu"
    eval_every: Bars = 50_000
    stop_score: float | None = None
    patience: Bars | None = None


class World(Protocol):
    """Something to live in whose rewards are differentiable in the actions; see `ml.smooth_market`."""

    @property
    def shapes(self) -> Shapes:
        """What a policy reads and writes in it."""

    @property
    def scaling(self) -> Scaling:
        """See `ml.views.View`."""

    def begin(self, count: int, generator: torch.Generator) -> State:
        """New lives."""

    def room(self, state: State) -> Tensor:
        """Steps that are left to each, shape (E,)."""

    def ahead(self, state: State, steps: int) -> Tensor:
        """Windows of scores of this and the next decisions, step by step: shape (steps · E, L, N, F)."""

    def vector(self, state: State) -> Tensor:
        """What is read beside the window, float32, shape (E, V)."""

    def step(
        self, state: State, action: Tensor, generator: torch.Generator, /
    ) -> tuple[State, Tensor, Tensor]:
        """The next state, the reward (E,), and whether a life ended for good (E,)."""


class Segment(NamedTuple):
    """What was lived through, H steps of E lives."""

    state: State
    """At the end."""
    vectors: Tensor
    """Shape (H + 1, E, V)."""
    rewards: Tensor
    """Shape (H, E), with gradients."""
    alive: Tensor
    """Before each step and at the end, shape (H + 1, E)."""


class Pathwise:
    """A run of training; equal seeds give equal weights on one machine.

    A life is renewed once fewer steps than a segment are left of it: the rest is not lived.

    Args:
        world: What is lived in, on the configured device.
        network: Shape of the policy; its deviation is left as it is.
        config: The knobs.

    Raises:
        ConfigError: If an episode is shorter than a segment, actions are choices, or there is no such device.
    """

    def __init__(self, world: World, network: NetworkConfig, config: PathwiseConfig) -> None:
        self.world, self.config = world, config
        self.device = device_of(config.device)
        if world.shapes.discrete_dims:
            raise ConfigError("gradients need actions that are numbers, found choices")
        prepare_process()
        self._randomness = OwnRandomness(config.seed)
        with self._randomness:
            self.policy = Policy(network, world.shapes, world.scaling).to(self.device)
        self.optimizer = FlatAdam(self.policy, config.learning_rate)
        self.timesteps, self.outcome = 0, Outcome(0, "budget", math.nan)
        self._generator = torch.Generator().manual_seed(config.seed)
        self._scale = RewardScale(config.num_envs, config.gamma)
        self._returns = np.zeros(config.num_envs)
        self._state = world.begin(config.num_envs, self._generator)
        self._alive = torch.ones(config.num_envs, dtype=torch.bool, device=self.device)
        room = int(world.room(self._state).min())
        if room < config.segment:
            raise ConfigError(
                f"segment = {config.segment}: expected no more than the {room} steps of an episode"
            )

    def train(
        self,
        evaluate: Callable[[Policy], float] | None = None,
        on_update: Callable[[Stats], None] = lambda _: None,
        checkpoints: Path | None = None,
    ) -> Outcome:
        """As `ml.ppo.PPO.train`."""
        return run_to_the_end(self, evaluate, on_update, checkpoints)

    def update(self) -> Stats:
        """Live through one segment and climb its gradient once.

        Raises:
            DataError: If the loss is not finite.
        """
        config = self.config
        if config.schedule is Schedule.LINEAR:
            left = 1.0 - self.timesteps / config.total_timesteps
            self.optimizer.learning_rate = config.learning_rate * left
        with self._randomness:
            finished = self._renew()
            self.policy.train()
            codes = self.policy.encode(self.world.ahead(self._state, config.segment + 1))
            codes = codes.reshape(config.segment + 1, config.num_envs, -1)
            segment = self.live(codes)
            values = self._opinions(codes, segment.vectors)
            policy_loss, deviation = self._policy_loss(codes, segment)
            targets = self._targets(segment, values, deviation)
            errors = (values[:-1] - targets) ** 2
            value_loss = 0.5 * errors[segment.alive[:-1]].mean()
            loss = policy_loss + config.vf_coef * value_loss
            norm = self.optimizer.differentiate(loss)
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise DataError(
                f"the loss after {self.timesteps} samples is not finite; lower learning_rate or segment, or "
                "look at the rewards"
            )
        self.optimizer.step(config.max_grad_norm)
        self.timesteps += config.segment * config.num_envs
        self._state = {name: value.detach() for name, value in segment.state.items()}
        self._alive = segment.alive[-1]
        spread = targets.var()
        return Stats(
            timesteps=self.timesteps,
            mean_return=finished,
            policy_loss=policy_loss.item(),
            value_loss=value_loss.item(),
            entropy=math.nan,
            approx_kl=math.nan,
            clip_frac=float(norm > config.max_grad_norm),
            explained_variance=1.0 - float(errors.detach().mean() / spread) if spread > 0.0 else math.nan,
            learning_rate=self.optimizer.learning_rate,
            grad_norms=self.optimizer.grad_norms(),
        )

    def live(self, codes: Tensor) -> Segment:
        """Act for a segment, from where the last one ended, with the most likely actions.

        Args:
            codes: Of the windows, shape (H + 1, E, code).
        """
        state, alive, actor = self._state, self._alive, self.policy.actor
        vectors, rewards, lives = [self.world.vector(state)], [], [alive]
        for code in codes[:-1]:
            action = actor(code, vectors[-1])
            state, reward, terminated = self.world.step(state, action, self._generator)
            rewards.append(torch.where(alive, reward, 0.0))
            alive = alive & ~terminated
            vectors.append(self.world.vector(state))
            lives.append(alive)
        return Segment(state, torch.stack(vectors), torch.stack(rewards), torch.stack(lives))

    def snapshot(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "timesteps": self.timesteps,
            "outcome": asdict(self.outcome),
            "generator": self._generator.get_state(),
            "randomness": self._randomness.states,
            "scale": self._scale.snapshot(),
            "returns": self._returns,
            "state": self._state,
            "alive": self._alive,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave, bit for bit.

        Raises:
            DataError: If it is the state of another run.
        """
        try:
            self.policy.load_state_dict(state["policy"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.timesteps = state["timesteps"]
            self.outcome = Outcome(
                **state["outcome"] | {"scores": [tuple(s) for s in state["outcome"]["scores"]]}
            )
            self._generator.set_state(state["generator"])
            self._randomness.states = state["randomness"]
            self._scale.restore(state["scale"])
            self._returns = np.array(state["returns"])
            self._state = {name: state["state"][name].to(self.device) for name in self._state}
            self._alive = state["alive"].to(self.device)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise DataError(
                f"expected the state of a run with this network, data and configuration: {error}"
            ) from error

    def _renew(self) -> float:
        """Begin anew where a life is over; the mean return of those."""
        over = ~self._alive | (self.world.room(self._state) < self.config.segment)
        if not over.any():
            return math.nan
        fresh = self.world.begin(self.config.num_envs, self._generator)
        for name, value in self._state.items():
            wide = over.reshape(-1, *(1,) * (value.dim() - 1))
            self._state[name] = torch.where(wide, fresh[name], value)
        self._alive = torch.ones_like(self._alive)
        which = over.numpy(force=True)
        finished = float(self._returns[which].mean())
        self._returns[which] = 0.0
        return finished

    def _policy_loss(self, codes: Tensor, segment: Segment) -> tuple[Tensor, float]:
        """-J per step, and what rewards are divided by."""
        config = self.config
        lived = segment.rewards.numpy(force=True)
        ended = ~segment.alive[1:].numpy(force=True)
        self._returns += lived.sum(axis=0)
        deviation = 1.0
        if config.scale_reward:
            for rewards, over in zip(lived, ended, strict=True):
                deviation = self._scale.deviation_with(rewards, over)
        discounts = config.gamma ** torch.arange(config.segment + 1, device=self.device)
        earned = (discounts[:-1, None] * segment.rewards).sum(dim=0) / deviation
        # The actor is judged by the critic, and must not bribe it: its weights stand still here.
        rest = self.policy.critic.detached()(codes[-1], segment.vectors[-1]).squeeze(-1)
        worth = earned + discounts[-1] * torch.where(segment.alive[-1], rest, 0.0)
        return -worth.mean() / config.segment, deviation

    def _opinions(self, codes: Tensor, vectors: Tensor) -> Tensor:
        """The critic's values of what was seen, shape (H + 1, E); the encoder serves the actor alone."""
        seen = (part.detach().flatten(0, 1) for part in (codes, vectors))
        values: Tensor = self.policy.critic(*seen)
        return values.view(codes.shape[:2])

    def _targets(self, segment: Segment, values: Tensor, deviation: float) -> Tensor:
        """Returns that the critic learns, shape (H, E)."""
        known, alive = values.numpy(force=True).astype(np.float64), segment.alive.numpy(force=True)
        advantages = gae(
            segment.rewards.numpy(force=True) / deviation,
            known[:-1],
            known[1:],
            ~alive[1:],
            ~alive[1:],
            gamma=self.config.gamma,
            gae_lambda=self.config.gae_lambda,
        )
        return torch.as_tensor(advantages + known[:-1], dtype=torch.float32, device=self.device)
