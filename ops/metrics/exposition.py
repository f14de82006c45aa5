"""What a scrape gets: what was counted, and the daemon's state at that moment.

Flow: events, samples → **exposition** → ``/metrics``.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ops.metrics.events import COUNTED
from ops.metrics.families import BY_NAME, FAMILIES, PREFIX, Kind


class Sample(NamedTuple):
    """One number of one family."""

    name: str
    """As in the table of families, without prefix."""
    value: float
    labels: tuple[str, ...] = ()
    """In the order of the family."""


type Gather = Callable[[], Iterable[Sample]]
"""Reads the daemon's state; called on its loop, once a scrape."""


class Exposition:
    """The text of a scrape; made once for a daemon, used on its loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._state = _State()
        self.registry.register(self._state)

    def read_from(self, gather: Gather) -> None:
        """Name what is asked for the daemon's state at each scrape."""
        self._state.gather = gather

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Render everything.

        Args:
            accept: What the scraper says that it understands.

        Returns:
            Body and content type.

        Raises:
            KeyError: If a sample is of no family.
            ValueError: If its labels are not the family's.
        """
        started = time.perf_counter()
        encoder, content_type = choose_encoder(accept)
        body: bytes = encoder(self.registry)
        self._state.previous_secs = time.perf_counter() - started
        return body, content_type


class _State(Collector):
    def __init__(self) -> None:
        self.gather: Gather = tuple
        self.previous_secs = 0.0

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        found: dict[str, list[Sample]] = {"scrape_seconds": [Sample("scrape_seconds", self.previous_secs)]}
        for sample in self.gather():
            if sample.name not in BY_NAME or sample.name in COUNTED:
                raise KeyError(f"expected a sample of a family that is read at a scrape, found {sample}")
            found.setdefault(sample.name, []).append(sample)
        for family in FAMILIES:
            if family.name in COUNTED:
                continue
            kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = kind(PREFIX + family.name, family.meaning, labels=family.labels)
            for sample in found.get(family.name, ()):
                if len(sample.labels) != len(family.labels):
                    raise ValueError(f"expected labels {family.labels}, found {sample}")
                metric.add_metric(sample.labels, sample.value)
            yield metric
