"""Policies that know nothing; whatever is called skill has to beat them (mission SB-083)."""

from math import log, nan
from random import Random

from strategies.observation import Observation
from strategies.policies.protocol import Action


class FixedWeightsPolicy:
    """Asks for the same weights at every bar: ``flat``, ``equal`` and ``first_long``.

    Args:
        name: The kind.
        policy_id: Identity of the rule, in hex.
        weights: N.
    """

    __slots__ = ("_action", "name", "policy_id", "required_columns")

    def __init__(self, name: str, policy_id: str, weights: tuple[float, ...]) -> None:
        self.name = name
        self.policy_id = policy_id
        self.required_columns: tuple[str, ...] = ()
        self._action = Action(weights)

    def act(self, observation: Observation) -> Action:  # noqa: ARG002 - it looks at nothing
        return self._action

    def reset(self) -> None:
        """Nothing to forget."""


class BuyAndHoldPolicy:
    """Asks for equal weights where nothing is held, and leaves alone what is held.

    The book is its only memory, so a restart buys nothing twice.

    Args:
        policy_id: Identity of the rule, in hex.
        num_instruments: N.
    """

    __slots__ = ("_hold", "_weight", "name", "policy_id", "required_columns")

    def __init__(self, policy_id: str, num_instruments: int) -> None:
        self.name = "buy_and_hold"
        self.policy_id = policy_id
        self.required_columns: tuple[str, ...] = ()
        self._weight = 1.0 / num_instruments
        self._hold = Action.hold(num_instruments)

    def act(self, observation: Observation) -> Action:
        if 0.0 not in observation.positions:
            return self._hold
        return Action(tuple([self._weight if position == 0.0 else nan for position in observation.positions]))

    def reset(self) -> None:
        """Nothing to forget."""


class RandomPolicy:
    """Draws long-only weights uniformly from the simplex of all instruments and cash, every few bars.

    Its generator is state that the seed fixes: `reset` starts the same draws again.

    Args:
        policy_id: Identity of the rule, in hex.
        num_instruments: N.
        seed: Seed of the generator.
        rebalance_bars: Bars between two draws; in between everything is left as it is.
    """

    __slots__ = (
        "_bars",
        "_count",
        "_generator",
        "_hold",
        "_rebalance_bars",
        "_seed",
        "name",
        "policy_id",
        "required_columns",
    )

    def __init__(self, policy_id: str, num_instruments: int, seed: int, rebalance_bars: int = 1) -> None:
        self.name = "random"
        self.policy_id = policy_id
        self.required_columns: tuple[str, ...] = ()
        self._count = num_instruments
        self._seed = seed
        self._rebalance_bars = rebalance_bars
        self._hold = Action.hold(num_instruments)
        self.reset()

    def act(self, observation: Observation) -> Action:  # noqa: ARG002 - it looks at nothing
        self._bars += 1
        if (self._bars - 1) % self._rebalance_bars:
            return self._hold
        # Exponential draws, divided by their sum, are uniform on the simplex; the last one is cash.
        draws = [-log(1.0 - self._generator.random()) for _ in range(self._count + 1)]
        total = sum(draws)
        return Action(tuple([draw / total for draw in draws[:-1]]))

    def reset(self) -> None:
        # Random.random() keeps its sequence across Python versions; numpy's distributions do not promise to.
        self._bars = 0
        self._generator = Random(self._seed)  # noqa: S311 - a baseline, not a secret
