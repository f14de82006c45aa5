"""Donchian breakout (mission KB-017): buy a new high with a stop below it; leave by stop, target or time."""

from math import inf, isnan, nan

from strategies.config import DonchianPolicyConfig
from strategies.observation import Observation
from strategies.policies.protocol import Action

_NO_ENTRY = (nan, nan, nan)


class DonchianPolicy:
    """Enters where the close breaks the channel of the bars before it; one position an instrument.

    With ``d = stop_atr · atr`` a purchase stops at ``close - d`` and aims at ``close + target_r · d``;
    a short sale mirrors it. Stop and target travel on the action and rest at the venue; the time stop
    travels on every action, and allocation closes what is ``time_stop_bars`` old.
    Uses bars up to the close that breaks out; that bar is not part of its own channel.

    Args:
        config: The rule.
        policy_id: Identity of the rule, in hex.
        columns: Names of the observation's features; `required_columns` must be among them.
        num_instruments: N.
    """

    __slots__ = (
        "_atr",
        "_config",
        "_hold",
        "_lower",
        "_upper",
        "_weight",
        "name",
        "policy_id",
        "required_columns",
    )

    def __init__(
        self, config: DonchianPolicyConfig, policy_id: str, columns: tuple[str, ...], num_instruments: int
    ) -> None:
        self.name = "donchian"
        self.policy_id = policy_id
        self.required_columns = required_columns(config)
        self._upper, self._lower, self._atr = (columns.index(name) for name in self.required_columns)
        self._config = config
        self._weight = config.weight / num_instruments
        self._hold = Action.hold(num_instruments)._replace(time_stop_bars=config.time_stop_bars)

    def act(self, observation: Observation) -> Action:
        may_enter = self._regime_allows(observation)
        weights: list[float] = []
        stops: list[float] = []
        targets: list[float] = []
        for index, position in enumerate(observation.positions):
            is_open_to_entry = may_enter and position == 0.0
            weight, stop, target = self._entry(observation, index) if is_open_to_entry else _NO_ENTRY
            weights.append(weight)
            stops.append(stop)
            targets.append(target)
        if all(map(isnan, weights)):
            return self._hold
        return Action(
            tuple(weights),
            stops=tuple(stops),
            targets=tuple(targets),
            time_stop_bars=self._config.time_stop_bars,
        )

    def reset(self) -> None:
        """Nothing to forget."""

    def _regime_allows(self, observation: Observation) -> bool:
        config, belief = self._config, observation.belief
        if config.max_entropy_bits is None and not config.blocked_states:
            return True
        if belief is None:
            return False
        limit = inf if config.max_entropy_bits is None else config.max_entropy_bits
        return belief.entropy_bits <= limit and belief.state not in config.blocked_states

    def _entry(self, observation: Observation, index: int) -> tuple[float, float, float]:
        row = observation.features[index].tolist()
        close = observation.closes[index]
        if row[self._upper] < close:
            side = 1.0
        elif self._config.allow_short and row[self._lower] > close:
            side = -1.0
        else:
            return _NO_ENTRY
        distance = self._config.stop_atr * row[self._atr]
        stop = close - side * distance
        target = close + side * self._config.target_r * distance
        # Written so that NaN fails: without a volatility there is no stop, and without a stop no entry.
        if not (close >= self._config.min_price and distance > 0.0 and stop > 0.0):
            return _NO_ENTRY
        return side * self._weight, stop, target if target > 0.0 else nan


def required_columns(config: DonchianPolicyConfig) -> tuple[str, ...]:
    """Name the feature columns that the rule reads: upper and lower channel, average true range."""
    return (
        f"donchian_upper_{config.lookback}",
        f"donchian_lower_{config.lookback}",
        f"atr_{config.atr_period}",
    )
