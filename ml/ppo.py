"""Proximal policy optimisation, from top to bottom: collect, estimate advantages, improve, repeat.

Flow: environment → views → **ppo** → checkpoints, export.

Portfolios that share a market clock form a group. The encoder, the expensive part of the network, does not
depend on what is held, so a minibatch is drawn by market times: each window is encoded once, and its
code serves the whole group. Any other Gymnasium environment has groups of one.

Source:
    Schulman et al. (2017), Proximal policy optimization algorithms; Schulman et al. (2016), eq. 16 (GAE).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor
from torch.nn import functional

from ml.networks import NetworkConfig, Policy, distribution
from ml.optimizer import FlatAdam
from ml.ppo_config import Outcome, PPOConfig, Schedule, Stats
from ml.process import prepare_process
from ml.progress import run_to_the_end
from ml.randomness import OwnRandomness
from ml.reward_scale import RewardScale
from ml.views import CodesAhead, Seen, as_asked, device_of, most_likely_actions, policy_answer, view_of
from strategies.errors import ConfigError, DataError
from strategies.market import Floats


class Rollout(NamedTuple):
    """What was lived through; S steps of U = E / group clocks, and E environments."""

    rows: Tensor
    """Shape (S, U)."""
    vectors: Tensor
    """Shape (S, E, V)."""
    actions: Tensor
    """Shape (S, E, A), or (S, E, choices) for discrete ones."""
    logprobs: Tensor
    """Shape (S, E); so are the rest."""
    values: Tensor
    advantages: Tensor
    returns: Tensor


def gae(
    rewards: Floats,
    values: Floats,
    next_values: Floats,
    terminated: Any,
    ended: Any,
    *,
    gamma: float,
    gae_lambda: float,
) -> Floats:
    """Generalised advantage estimates.

        delta_t = r_t + gamma · v(s_{t+1}) · [not terminated] - v(s_t)
        A_t = delta_t + gamma · lambda · [not ended] · A_{t+1}

    Args:
        rewards: Shape (S, E); so are all others.
        values: v(s_t).
        next_values: v of what followed; of the last observation where an episode was cut for lack of time.
        terminated: Whether the episode ended for good: nothing follows.
        ended: Whether it ended at all.
        gamma: Discount.
        gae_lambda: Weight of longer estimates.
    """
    advantages = np.zeros_like(rewards)
    carried = np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * next_values[t] * ~terminated[t] - values[t]
        carried = delta + gamma * gae_lambda * ~ended[t] * carried
        advantages[t] = carried
    return advantages


class PPO:
    """A run of training; equal seeds give equal weights on one machine.

    Args:
        environment: A `MarketEnvironment` with ``observe_rows``, or any vector environment with a flat
            observation and same-step resets.
        network: Shape of the policy.
        config: The knobs.

    Raises:
        ConfigError: If the knobs do not fit the environment, or there is no such device.
    """

    def __init__(
        self, environment: VectorEnv[Any, Any, Any], network: NetworkConfig, config: PPOConfig
    ) -> None:
        self.config, self.environment = config, environment
        self.device = device_of(config.device)
        self.view = view_of(environment, self.device)
        self._check()
        prepare_process()
        self._randomness = OwnRandomness(config.seed)
        with self._randomness:
            self.policy = Policy(network, self.view.shapes, self.view.scaling).to(self.device)
        self.optimizer = FlatAdam(self.policy, config.learning_rate)
        self.timesteps, self.outcome = 0, Outcome(0, "budget", math.nan)
        self._draws = np.random.default_rng(config.seed)
        self._scale = RewardScale(environment.num_envs, config.gamma)
        self._returns = np.zeros(environment.num_envs)
        self._seen = self.view.read(environment.reset(seed=config.seed)[0])

    def train(
        self,
        evaluate: Callable[[Policy], float] | None = None,
        on_update: Callable[[Stats], None] = lambda _: None,
        checkpoints: Path | None = None,
    ) -> Outcome:
        """Train until the budget is spent, the score is reached, or nothing improves.

        Args:
            evaluate: Scores a policy; more is better.
            on_update: Told after each update.
            checkpoints: Directory for ``last.npz`` (to go on from) and ``best.npz`` (the best score).

        Raises:
            DataError: If a loss is not finite; the checkpoints are those before it.
        """
        return run_to_the_end(self, evaluate, on_update, checkpoints)

    def update(self) -> Stats:
        """Collect one rollout and learn from it."""
        if self.config.schedule is Schedule.LINEAR:
            left = 1.0 - self.timesteps / self.config.total_timesteps
            self.optimizer.learning_rate = self.config.learning_rate * left
        with self._randomness:
            rollout, mean_return = self.collect()
            return self.learn(rollout, mean_return)

    @torch.no_grad()
    def collect(self) -> tuple[Rollout, float]:
        """Live through ``num_steps`` samples with the policy as it is.

        Returns:
            The rollout, and the mean return of the episodes that ended in it.
        """
        self.policy.eval()
        steps, count = self.config.num_steps // self.environment.num_envs, self.environment.num_envs
        kept: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
        rewards, final_values = np.zeros((steps, count)), np.zeros((steps, count))
        terminated, ended = np.zeros((steps, count), bool), np.zeros((steps, count), bool)
        finished: list[float] = []
        codes = CodesAhead(self.policy, self.view, len(self._seen.rows))
        for t in range(steps):
            seen, code = self._seen, codes.at(self._seen.rows)
            mean = self.policy.actor(code, seen.vector)
            action = distribution(mean, self.policy).sample()
            kept.append((seen.rows, seen.vector, action, mean, code))
            answer = self.environment.step(as_asked(action, self.environment))
            observation, rewards[t], terminated[t], truncated, infos = answer
            ended[t] = terminated[t] | truncated
            self._returns += rewards[t]
            if ended[t].any():
                finished += self._returns[ended[t]].tolist()
                self._returns[ended[t]] = 0.0
                final_values[t, ended[t]] = self._final_values(infos, ended[t])
            if self.config.scale_reward:
                rewards[t] = self._scale(rewards[t], ended[t])
            self._seen = self.view.read(observation)
        rows, vectors, actions, means, passed = (torch.stack(parts) for parts in zip(*kept, strict=True))
        chosen = distribution(means.flatten(0, 1), self.policy)
        logprobs = chosen.log_prob(actions.flatten(0, 1)).view(steps, count)
        # The critic is not asked on the way: all at once it takes less time.
        values = self.policy.critic(passed.flatten(0, 1), vectors.flatten(0, 1)).view(steps, count)
        last = self.policy.critic(codes.at(self._seen.rows), self._seen.vector).view(1, count)
        following = torch.cat((values[1:], last)).numpy(force=True)
        advantages = torch.as_tensor(
            gae(
                rewards,
                values.numpy(force=True),
                np.where(ended, final_values, following),
                terminated,
                ended,
                gamma=self.config.gamma,
                gae_lambda=self.config.gae_lambda,
            ),
            dtype=torch.float32,
            device=self.device,
        )
        self.timesteps += steps * count
        rollout = Rollout(rows, vectors, actions, logprobs, values, advantages, advantages + values)
        return rollout, float(np.mean(finished)) if finished else math.nan

    def learn(self, rollout: Rollout, mean_return: float = math.nan) -> Stats:
        """Improve the policy on one rollout.

        Raises:
            DataError: If a loss is not finite.
        """
        self.policy.train()
        config, group = self.config, self.view.group
        # One unit is one clock at one step: its window, and the group of samples that share it.
        units, at_once = rollout.rows.numel(), max(1, config.batch_size // group)
        whole = [
            rollout.rows.reshape(units),
            *(part.reshape(units, group, *part.shape[2:]) for part in rollout[1:]),
        ]
        totals, passes = np.zeros(5), 0
        for _ in range(config.update_epochs):
            order = torch.as_tensor(self._draws.permutation(units), device=self.device)
            drawn = (torch.split(part.index_select(0, order), at_once) for part in whole)
            for rows, *rest in zip(*drawn, strict=True):
                loss, terms = self.loss(Rollout(rows, *(part.flatten(0, 1) for part in rest)))
                norm = self.optimizer.differentiate(loss)
                if not (math.isfinite(loss.item()) and math.isfinite(norm)):
                    raise DataError(
                        f"the loss after {self.timesteps} samples is not finite; lower learning_rate, or "
                        "look at the rewards"
                    )
                self.optimizer.step(config.max_grad_norm)
                totals, passes = totals + terms, passes + 1
            if config.target_kl is not None and terms[3] > 1.5 * config.target_kl:
                break
        policy_loss, value_loss, entropy, kl, clipped = (totals / passes).tolist()
        spread = rollout.returns.var()
        unexplained = (rollout.returns - rollout.values).var()
        return Stats(
            timesteps=self.timesteps,
            mean_return=mean_return,
            policy_loss=policy_loss,
            value_loss=value_loss,
            entropy=entropy,
            approx_kl=kl,
            clip_frac=clipped,
            explained_variance=float(1.0 - unexplained / spread) if spread > 0.0 else math.nan,
            learning_rate=self.optimizer.learning_rate,
            grad_norms=self.optimizer.grad_norms(),
        )

    def loss(self, batch: Rollout) -> tuple[Tensor, Floats]:
        """The clipped objective, the value error and the entropy of one minibatch.

            ratio = pi(a|s) / pi_old(a|s)
            L = -E[min(ratio · A, clip(ratio, 1 - c, 1 + c) · A)] + vf_coef / 2 · E[(v - R)²] - ent_coef · H

        Args:
            batch: U windows, U · group samples.

        Returns:
            The loss; policy loss, value loss, entropy, approximate KL divergence, share of clipped ratios.
        """
        config = self.config
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.mixed_precision):
            mean, value = policy_answer(self.policy, self.view, Seen(batch.rows, batch.vectors))
        choice = distribution(mean.float(), self.policy)
        log_ratio = choice.log_prob(batch.actions) - batch.logprobs
        ratio = log_ratio.exp()
        advantages = batch.advantages
        if config.normalize_advantage and len(advantages) > 1:
            deviation, average = torch.std_mean(advantages)
            advantages = (advantages - average) / (deviation + 1e-8)
        clipped = ratio.clamp(1.0 - config.clip_coef, 1.0 + config.clip_coef)
        policy_loss = -torch.min(ratio * advantages, clipped * advantages).mean()
        errors = functional.mse_loss(value.float(), batch.returns, reduction="none")
        if config.clip_value is not None:
            near = batch.values + (value - batch.values).clamp(-config.clip_value, config.clip_value)
            errors = torch.max(errors, (near - batch.returns) ** 2)
        value_loss = 0.5 * errors.mean()
        entropy = choice.entropy().mean()
        loss = policy_loss + config.vf_coef * value_loss - config.ent_coef * entropy
        with torch.no_grad():
            kl = ((ratio - 1.0) - log_ratio).mean()
            moved = (abs(ratio - 1.0) > config.clip_coef).float().mean()
            terms = torch.stack((policy_loss, value_loss, entropy, kl, moved)).numpy(force=True)
        return loss, terms.astype(np.float64)

    def act(self, policy: Policy, observation: Any) -> Any:
        """The most likely actions, in the form that an environment like this one takes."""
        return most_likely_actions(policy, self.view, observation, self.environment)

    def snapshot(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        environment = getattr(self.environment, "snapshot", None)
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "timesteps": self.timesteps,
            "outcome": asdict(self.outcome),
            "draws": self._draws.bit_generator.state,
            "randomness": self._randomness.states,
            "scale": self._scale.snapshot(),
            "returns": self._returns,
            "environment": None if environment is None else environment(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `snapshot` gave: bit for bit, if the environment can tell its state.

        Any other environment begins new episodes.

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
            self._draws.bit_generator.state = state["draws"]
            self._randomness.states = state["randomness"]
            self._scale.restore(state["scale"])
            self._returns = np.array(state["returns"])
            if state["environment"] is not None:
                observation = self.environment.restore(state["environment"])  # type: ignore[attr-defined]
            else:
                observation = self.environment.reset(seed=self.config.seed + self.timesteps)[0]
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise DataError(
                f"expected the state of a run with this network, data and configuration: {error}"
            ) from error
        self._seen = self.view.read(observation)

    def _check(self) -> None:
        config, count = self.config, self.environment.num_envs
        if config.num_steps % count or config.batch_size % self.view.group:
            raise ConfigError(
                f"num_steps = {config.num_steps} and batch_size = {config.batch_size}: expected multiples of "
                f"{count} environments and of {self.view.group} that share a clock"
            )
        if config.mixed_precision and self.device.type != "cuda":
            raise ConfigError("mixed_precision needs device = 'cuda'; leave it out")

    def _final_values(self, infos: Mapping[str, Any], ended: Any) -> Any:
        """Value of the last observation of each episode that has ended."""
        final = infos["final_obs"]
        if not isinstance(final, Mapping):
            # Gymnasium's own environments give an array of observations, None where nothing ended.
            stacked = np.zeros((len(ended), self.view.shapes.vector), np.float32)
            stacked[ended] = np.stack(list(final[ended]))
            final = stacked
        _, value = policy_answer(self.policy, self.view, self.view.read(final))
        return value.numpy(force=True)[ended]
