"""Whether what each strategy sees and does still looks like what its bundle was trained on.

Flow: decisions → **drift** → metrics, alerts.

A bundle says what its training data looked like and how far from it is too far (``drift.json``); `ml.drift`
compares. An alarm restricts nothing: it tells a person that the model is being asked about a market that it
does not know. A start begins anew, so the windows of the first statistics fill again.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bot.config import HostConfig
from ml.drift import (
    POLICY_COLUMNS,
    REGIME_COLUMNS,
    DriftAlarm,
    DriftMonitor,
    DriftReference,
    feature_columns,
    regime_columns,
)
from ops.metrics import Sample
from strategies.bundle import DRIFT, open_bundle
from strategies.decision import DecisionPipeline
from strategies.errors import ConfigError
from strategies.market import Floats
from strategies.strategy import PolicyStrategy
from strategies.tape import DecisionRecord, Record

_LOG = logging.getLogger("argonaut.drift")

type OnAlarm = Callable[[str, DriftAlarm], None]
"""Told of the strategy and of what began to look unlike its training."""


def watched_columns(pipeline: DecisionPipeline) -> tuple[str, ...]:
    """Names of all that can be watched of a strategy."""
    instruments = [one.instrument_id for one in pipeline.instruments]
    features = feature_columns(instruments, pipeline.stages.features.columns)
    return features + (() if pipeline.stages.regime is None else REGIME_COLUMNS) + POLICY_COLUMNS


def watched_row(pipeline: DecisionPipeline) -> Floats:
    """Values of `watched_columns` at the bar that was decided on last."""
    stages = pipeline.stages
    features, ledger = stages.observation.latest, stages.ledger
    assert features is not None, "a decision has features"
    per_equity = 1.0 / ledger.equity if ledger.equity > 0.0 else 0.0
    regime = () if stages.regime is None else regime_columns(stages.regime)
    deeds = (ledger.gross_exposure * per_equity, ledger.turnover)
    return np.concatenate([features.values.ravel(), regime, deeds])


class Watched:
    """One strategy, and the monitor of its bundle.

    Raises:
        ConfigError: If the bundle's columns are not what the strategy has.
    """

    def __init__(self, pipeline: DecisionPipeline, reference: DriftReference) -> None:
        names = watched_columns(pipeline)
        unknown = [name for name in reference.columns if name not in names]
        if unknown:
            raise ConfigError(f"expected columns of {list(names)}, found {unknown}; train the bundle again")
        self._pipeline = pipeline
        self._places = [names.index(name) for name in reference.columns]
        self.monitor = DriftMonitor(reference)
        self.alarms: dict[str, int] = {}
        """Alarms that began, by kind."""

    def update(self) -> tuple[DriftAlarm, ...]:
        """Compare what was decided on last; the alarms that begin with it."""
        alarms = self.monitor.update(watched_row(self._pipeline)[self._places])
        for alarm in alarms:
            self.alarms[alarm.kind] = self.alarms.get(alarm.kind, 0) + 1
        return alarms


class DriftWatch:
    """Watches the strategies of a host that trade a bundle; a tape sink.

    Args:
        on_alarm: Told of each alarm that begins.
    """

    def __init__(self, on_alarm: OnAlarm) -> None:
        self._on_alarm = on_alarm
        self._watched: dict[str, Watched] = {}

    def attach(self, host: HostConfig, strategies: Sequence[PolicyStrategy]) -> list[str]:
        """Begin to watch.

        Returns:
            What a person ought to know: which strategy is not watched, and why.
        """
        said = []
        named = {strategy.name: strategy.pipeline for strategy in strategies}
        for loaded in host.strategies:
            policy = loaded.config.policy
            if policy.kind != "bundle":
                continue
            name = loaded.config.name
            try:
                self._watched[name] = _watch(loaded.path.parent / policy.path, named[name])
            except ConfigError as error:
                said.append(f"{name} is not watched for drift: {error}")
        return said

    def write(self, record: Record) -> None:
        """Take a record; decisions of watched strategies count."""
        if not isinstance(record, DecisionRecord) or record.strategy not in self._watched:
            return
        try:
            for alarm in self._watched[record.strategy].update():
                self._on_alarm(record.strategy, alarm)
        except Exception:  # noqa: BLE001 - who only looks on stands in nobody's way
            _LOG.exception("%s is not watched for drift any more", record.strategy)
            del self._watched[record.strategy]

    def samples(self) -> Iterator[Sample]:
        """What a scrape reads."""
        for name, watched in self._watched.items():
            yield Sample("drift_score_nats", watched.monitor.score, (name,))
            yield Sample("drift_threshold_used_ratio", watched.monitor.ratio, (name,))
            yield Sample("drift_active_alarms", len(watched.monitor.active), (name,))
            for kind, count in sorted(watched.alarms.items()):
                yield Sample("drift_alarms", count, (name, kind))


def drift_text(alarm: DriftAlarm) -> str:
    """An alarm in words."""
    if alarm.kind == "not_finite":
        return f"{alarm.column} is {alarm.value}"
    meanings = {
        "psi": "is distributed unlike the training data",
        "kl": "is distributed unlike the training data",
        "level": "has moved away from its centre in training",
        "spread": "varies more or less than in training",
        "frozen": "does not change any more",
    }
    return (
        f"{alarm.column} {meanings[alarm.kind]} ({alarm.kind} {alarm.value:.3g}, threshold "
        f"{alarm.threshold:.3g})"
    )


def _watch(path: Path, pipeline: DecisionPipeline) -> Watched:
    bundle = open_bundle(path)
    if bundle.bundle_id != pipeline.identity.policy_id:
        raise ConfigError(f"{path}: expected the bundle that trades, found another that was put there since")
    return Watched(pipeline, DriftReference.from_json(bundle.document(DRIFT)))
