"""A recorded session decided again: every observation, belief, action, target and verdict must be the same.

Flow: journal → **replay** → report: identical, or each difference with a cause.

The journal alone is enough: it holds the configuration, the trading rules, the bars as the session saw them,
and all that the venue answered. A configuration or a catalog given instead is how one finds out what another
one would have decided, or what late bars did.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from adapters.catalog import Catalog
from bot.config import HostConfig, load_host
from bot.market_data import bar_types_of
from bot.pins import code_sha256
from bot.sessions.files import NEWEST, newest_session
from bot.sessions.pins import pinned_host, rules_from
from bot.sessions.rehearsal import Outcome, Panels, Rehearsal, recorded_panels
from ops.differences import Cause, Difference, Finding, compare_outcomes
from ops.disk import LocalDisk
from ops.journal import Kind, Record, load_verify_key, public_path, read_chain
from ops.journal.reading import StoredLine
from ops.journal.records import decode
from ops.recall import Recall
from ops.state_dir import JOURNAL, JOURNAL_KEY
from strategies.errors import ConfigError
from strategies.market import BarRow

_MOST_KEPT = 1_000


@dataclass(slots=True)
class ReplayReport:
    """What a replay found."""

    session: str
    config_sha256: str = ""
    """Of the configuration that was replayed with."""
    is_same_config: bool = True
    is_same_code: bool = True
    is_complete: bool = False
    """Whether the session has ended in order; a crash or a running daemon leaves the last bar open."""
    bars: int = 0
    """Close times that strategies were shown."""
    compared: Counter[str] = field(default_factory=Counter)
    """Records compared, by kind."""
    causes: Counter[str] = field(default_factory=Counter)
    """Differences, by cause."""
    differences: list[Difference] = field(default_factory=list)
    """The first thousand of them."""
    refused: list[str] = field(default_factory=list)
    """What happened at the venue and the books would not take."""

    @property
    def is_identical(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.causes and not self.refused

    def as_json(self) -> dict[str, Any]:
        """What ``argonaut replay --json`` prints."""
        return {
            "session": self.session,
            "is_identical": self.is_identical,
            "is_complete": self.is_complete,
            "config_sha256": self.config_sha256,
            "is_same_config": self.is_same_config,
            "is_same_code": self.is_same_code,
            "bars": self.bars,
            "compared": dict(self.compared),
            "causes": dict(self.causes),
            "differences": [one._asdict() for one in self.differences],
            "refused": self.refused,
        }


def replay_session(
    state_dir: Path, session: str = NEWEST, *, config: Path | None = None, catalog: Path | None = None
) -> ReplayReport:
    """Decide a session again, offline; reads the journal and changes nothing.

    Args:
        state_dir: Where the journal lies; a daemon may be running on it.
        session: Name of the session, the beginning of one, or ``latest``.
        config: Host file to replay with; None takes the configuration that the session ran with.
        catalog: Take the bars of this catalog instead of those that the session saw.

    Raises:
        BrokenChainError: If the journal is damaged.
        ConfigError: If there is no such session, or it cannot be replayed.
        CatalogError: If the catalog is damaged.
    """
    folder, disk = state_dir / JOURNAL, LocalDisk()
    if not folder.is_dir():
        raise ConfigError(f"{state_dir}: expected a state directory with a journal, found none")
    key = load_verify_key(disk, state_dir / public_path(JOURNAL_KEY))
    wanted = newest_session(disk, folder) if session == NEWEST else session
    reader = _Reader(wanted, config, catalog)

    def visit(line: StoredLine) -> None:
        reader.take(line.kind, partial(decode, line.content))

    read_chain(disk, folder, key, visit)
    return reader.finish()


def replay_records(
    records: Iterable[Record], session: str, *, config: Path | None = None, catalog: Path | None = None
) -> ReplayReport:
    """Decide a session again from records that were read before; see `replay_session`."""
    reader = _Reader(session, config, catalog)
    for record in records:
        reader.take(record.kind, partial(_given, record))
    return reader.finish()


def _given(record: Record) -> Record:
    return record


class _Reader:
    """Goes through a journal: remembers what was before a session, and rehearses the session."""

    def __init__(self, session: str, config: Path | None, catalog: Path | None) -> None:
        self._session = session
        self._config = config
        self._catalog = catalog
        self._recall = Recall()
        self._others: list[str] = []
        self._pins: dict[str, Any] | None = None
        self._is_over = False
        self._early: list[Record] = []
        """Records of the session before its strategies were there."""
        self._rehearsal: Rehearsal | None = None
        self._judge: _Judge | None = None
        self._has_ended = False

    def take(self, kind: Kind, read: Callable[[], Record]) -> None:
        if self._is_over or kind is Kind.CHECKPOINT:
            return
        record = read()
        if kind is Kind.SESSION_START:
            self._begin(record)
        elif self._pins is None:
            self._recall.take(record)
        elif self._rehearsal is not None:
            self._has_ended = kind is Kind.STOP
            self._rehearsal.take(record)
        elif kind is Kind.INPUT:
            self._rehearse(record.body)
        else:
            self._early.append(record)

    def finish(self) -> ReplayReport:
        if self._pins is None:
            known = ", ".join(self._others[-5:]) or "none"
            raise ConfigError(
                f"expected a session of this journal, found {self._session!r}; the newest are: {known}"
            )
        if self._rehearsal is None or self._judge is None:
            raise ConfigError(
                f"session {self._pins['session']}: expected one whose strategies were started, found one "
                "that ended before; there is nothing to replay"
            )
        self._rehearsal.end()
        report = self._judge.report
        report.refused = self._rehearsal.refused
        report.is_complete = self._has_ended
        return report

    def _begin(self, record: Record) -> None:
        name = str(record.body.get("session", ""))
        self._others.append(name)
        if self._pins is not None:
            self._is_over = True
        elif name.startswith(self._session):
            self._pins = record.body
        else:
            self._recall.take(record)

    def _rehearse(self, given: Mapping[str, Any]) -> None:
        assert self._pins is not None
        host = pinned_host(self._pins) if self._config is None else load_host(self._config)
        report = ReplayReport(
            session=self._pins["session"],
            config_sha256=host.sha256,
            is_same_config=host.sha256 == self._pins["config_sha256"],
            is_same_code=code_sha256() == self._pins["code_sha256"],
        )
        judge = self._judge = _Judge(report)
        panels: Panels = recorded_panels
        if self._catalog is not None:
            panels = _CatalogPanels(host, Catalog(self._catalog), judge.doubt_data)
        rules, resume_ns = rules_from(given["rules"]), given["resume_ns"]
        self._rehearsal = Rehearsal(
            host, rules, self._recall, resume_ns, compare=judge.compare, panels=panels
        )
        for record in self._early:
            self._rehearsal.take(record)


class _Judge:
    """Counts what was compared, and gives each difference its cause."""

    def __init__(self, report: ReplayReport) -> None:
        self.report = report
        self._has_decided = False
        self._data_cause: Cause | None = None
        self._are_books_other = False

    def doubt_data(self) -> None:
        """From now on the bars are not those that the session saw."""
        if self._data_cause is None:
            self._data_cause = Cause.LATE_DATA if self._has_decided else Cause.WARM_UP

    def compare(
        self, ts_event: int, recorded: Sequence[Outcome], replayed: Sequence[Outcome], is_whole: bool
    ) -> None:
        """See `bot.sessions.rehearsal.Compare`."""
        counts, findings = compare_outcomes(recorded, replayed, is_whole=is_whole)
        self.report.bars += 1
        self.report.compared += counts
        self._has_decided |= bool(counts[Kind.DECISION])
        # The books were what they are before anything was decided on this bar.
        self._are_books_other |= any(one.is_of_books for one in findings)
        for finding in findings:
            self._add(ts_event, finding)

    def _add(self, ts_event: int, finding: Finding) -> None:
        cause = self._cause()
        self.report.causes[cause] += 1
        if len(self.report.differences) < _MOST_KEPT:
            self.report.differences.append(
                Difference(ts_event, finding.what.value, *finding[1:], cause=cause)
            )

    def _cause(self) -> Cause:
        if self._data_cause is not None:
            return self._data_cause
        if not self.report.is_same_config:
            return Cause.CONFIG
        if not self.report.is_same_code:
            return Cause.CODE
        return Cause.FILL if self._are_books_other else Cause.UNEXPLAINED


class _CatalogPanels:
    """Bars of a catalog instead of those that a session saw.

    Args:
        host: Whose series count.
        catalog: Where the bars lie.
        doubt: Called at each close time at which they are others.
    """

    def __init__(self, host: HostConfig, catalog: Catalog, doubt: Callable[[], None]) -> None:
        self._doubt = doubt
        self._rows: dict[int, dict[str, BarRow]] = {}
        for name in bar_types_of(host):
            columns = catalog.read_columns(name, host.settings.data.start_ns, host.settings.data.end_ns)
            arrays = columns.to_arrays()
            parts = (arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
            for row in zip(arrays.ts_event.tolist(), *(one.tolist() for one in parts), strict=True):
                self._rows.setdefault(row[0], {})[name] = BarRow(*row)
        self._times = sorted(self._rows)
        self._next: int | None = None

    def __call__(
        self, ts_event: int, rows: Mapping[str, BarRow]
    ) -> Iterator[tuple[int, Mapping[str, BarRow]]]:
        if self._next is None:  # what lies before the session's first bar is not of the session
            self._next = sum(one < ts_event for one in self._times)
        while self._next < len(self._times) and self._times[self._next] <= ts_event:
            at = self._times[self._next]
            self._next += 1
            if at < ts_event:
                self._doubt()
                yield at, self._rows[at]
        found = self._rows.get(ts_event, {})
        if found != rows:
            self._doubt()
        yield ts_event, found
