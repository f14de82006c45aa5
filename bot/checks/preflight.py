"""Everything that could keep a daemon from trading, looked at before it is started; nothing is changed.

packages → configuration → pin → credentials → permissions → clock → disk → chain → catalog → artefacts
→ venue → port → what restricts trading
"""

import importlib.util
import os
import socket
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from adapters.catalog import Catalog, format_time
from adapters.errors import AdapterError
from adapters.instruments import spec_of
from bot.assembly import build_pipeline, trading_rules
from bot.checks.findings import Finding, Level
from bot.chronicle import CLOCK_TOLERANCE_NS
from bot.config import AccountType, HostConfig, HostKind, load_host
from bot.config.host import MAX_CLOCK_ERROR_SECS
from bot.embedded_data import VENUE as EMBEDDED
from bot.exit_codes import ExitCode
from bot.live import missing_for_live
from bot.market_data import bar_types_of
from bot.operation.alerting import channels_of
from bot.operation.serving import check_certificate, token_book
from bot.pins import code_sha256
from ops.clock_sync import ADVICE, ClockSync, doubt, read_clock_sync
from ops.disk import LOW_BYTES, LocalDisk
from ops.journal import Kind, load_verify_key, public_path
from ops.journal.reading import newest_lines
from ops.journal.records import Record, decode
from ops.journal.segments import segment_numbers
from ops.journal.verifying import verify
from ops.kill_switch import KILL_SWITCH, is_present
from ops.latch import LATCH
from ops.latch import decode as decode_latch
from ops.state_dir import JOURNAL, JOURNAL_KEY, START_BYTES, Purpose, examine_state_dir
from strategies.errors import ArgonautError, AuditError, ConfigError

PACKAGES = ("adapters", "bot", "ml", "ops", "strategies")
_ROOT = Path(__file__).resolve().parents[2]
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator says has to be so."""

    config_sha256: str = ""
    """Beginning of the hash of the configuration; empty leaves it open."""
    policies: Mapping[str, str] | None = None
    """Beginning of the hash of each strategy's policy."""


class Preflight:
    """One look at everything.

    Args:
        config: Host file.
        overrides: As for a start.
        state_dir: Where the daemon will keep its state.
        is_running: Whether one runs there already.
        wanted: What has to be so.
        read_clock: Asks the kernel about its clock.
        now_ns: Wall clock, UTC nanoseconds.
        environment: Of the process.
    """

    def __init__(
        self,
        config: Path,
        overrides: Mapping[str, Any],
        state_dir: Path,
        *,
        is_running: bool,
        wanted: Wanted,
        now_ns: int,
        environment: Mapping[str, str] = os.environ,
        read_clock: Callable[[], ClockSync | None] = read_clock_sync,
    ) -> None:
        self._config = config
        self._overrides = overrides
        self._state_dir = state_dir
        self._is_running = is_running
        self._wanted = wanted
        self._now_ns = now_ns
        self._environment = environment
        self._read_clock = read_clock
        self._host: HostConfig

    def run(self) -> Iterator[Finding]:
        """Look at one thing after the other; without a configuration only what needs none."""
        yield self._guarded("packages", ExitCode.PACKAGES, self._packages)
        try:
            self._host = load_host(self._config, self._overrides)
        except ConfigError as error:
            yield Finding("configuration", Level.BAD, str(error), "mend the file", ExitCode.CONFIG)
            return
        for subject, code, look in (
            ("configuration", ExitCode.CONFIG, self._configuration),
            ("pin", ExitCode.PIN, self._pin),
            ("credentials", ExitCode.CREDENTIALS, self._credentials),
            ("permissions", ExitCode.PERMISSIONS, self._permissions),
            ("clock", ExitCode.CLOCK, self._clock),
            ("disk", ExitCode.DISK, self._disk),
            ("chain", ExitCode.AUDIT_CHAIN, self._chain),
            ("catalog", ExitCode.DATA, self._catalog),
            ("artefacts", ExitCode.ARTIFACT, self._artefacts),
            ("venue", ExitCode.VENUE, self._venue),
            ("port", ExitCode.CONFIG, self._port),
            ("trading state", ExitCode.HALTED, self._trading_state),
        ):
            finding = self._guarded(subject, code, look)
            yield finding
            if subject == "configuration" and finding.level is Level.BAD:
                return  # of another kind of host the rest would be nonsense

    def _guarded(self, subject: str, code: ExitCode, look: Callable[[], Finding]) -> Finding:
        try:
            return look()
        except (ArgonautError, AdapterError, OSError, ValueError) as error:
            return Finding(subject, Level.BAD, str(error), exit_code=code)

    def _packages(self) -> Finding:
        owners = packages_distributions()
        for name in PACKAGES:
            strangers = set(owners.get(name, ())) - {"argonaut"}
            spec = importlib.util.find_spec(name)
            origin = None if spec is None else spec.origin
            if strangers or origin != str(_ROOT / name / "__init__.py"):
                found = (
                    f"the package {name} is of {', '.join(sorted(strangers)) or origin}, expected argonaut"
                )
                advice = "install Argonaut into an environment of its own: make setup"
                return Finding("packages", Level.BAD, found, advice, ExitCode.PACKAGES)
        return Finding("packages", Level.OK, f"{', '.join(PACKAGES)} are ours, code {code_sha256()[:12]}")

    def _configuration(self) -> Finding:
        host = self._host
        if host.settings.kind is HostKind.BACKTEST:
            found = f"{host.path}: kind is backtest, expected paper or live"
            return Finding("configuration", Level.BAD, found, "give a daemon's file", ExitCode.CONFIG)
        names = ", ".join(one.config.name for one in host.strategies)
        return Finding(
            "configuration", Level.OK, f"{host.settings.kind.value}: {names}; hash {host.sha256[:12]}"
        )

    def _pin(self) -> Finding:
        wanted, found = self._wanted.config_sha256, self._host.sha256
        if wanted and not found.startswith(wanted):
            advice = "find out who changed it: argonaut config show; or give the new hash"
            return Finding("pin", Level.BAD, f"expected {wanted}, found {found}", advice, ExitCode.PIN)
        start = self._newest({Kind.SESSION_START})
        if start is not None and start.body.get("config_sha256") != found:
            before = str(start.body.get("config_sha256"))[:12]
            return Finding("pin", Level.NOTE, f"{found[:12]}; the last session ran {before}")
        asked = "as asked for" if wanted else "nothing was asked for (--pin)"
        return Finding("pin", Level.OK, f"{found[:12]}, {asked}")

    def _credentials(self) -> Finding:
        channels = channels_of(self._host, self._state_dir, self._environment)
        api = self._host.settings.api
        token_book(api, self._state_dir, self._environment)
        if api.enabled and api.tls_cert is not None and api.tls_key is not None:
            check_certificate(api.tls_cert, api.tls_key)
        key = self._state_dir / JOURNAL_KEY
        if key.exists() and stat.S_IMODE(key.stat().st_mode) & _OTHERS_MAY:
            found = f"{key} can be read by others"
            return Finding("credentials", Level.BAD, found, f"chmod 600 {key}", ExitCode.CREDENTIALS)
        if not channels:
            advice = "docs/ALERTS.md says how; argonaut notify tries them"
            return Finding("credentials", Level.NOTE, "no alert channel: nobody will be told", advice)
        names = ", ".join(one.name for one in channels)
        return Finding("credentials", Level.OK, f"alert channels {names}; readable by us alone")

    def _permissions(self) -> Finding:
        settings = self._host.settings
        examine_state_dir(self._state_dir, Purpose(settings.kind.value, settings.venue.name), LocalDisk())
        place = _nearest(self._state_dir)
        if not os.access(place, os.W_OK | os.X_OK):
            found = f"{place}: expected a folder that user {os.geteuid()} may write to"
            return Finding("permissions", Level.BAD, found, "give another --state-dir", ExitCode.PERMISSIONS)
        anchors = self._host.anchor_path
        if anchors is not None and not os.access(anchors if anchors.exists() else anchors.parent, os.W_OK):
            found = f"[journal] anchor_file = {anchors}: user {os.geteuid()} may not write there"
            advice = "make the folder, or give the file to that user; until then nothing is anchored in it"
            return Finding("permissions", Level.NOTE, found, advice)
        use = "in use by a daemon" if self._is_running else "free"
        return Finding("permissions", Level.OK, f"{self._state_dir} is ours, {use}")

    def _clock(self) -> Finding:
        newest = self._newest(set(Kind))
        if newest is not None and newest.ts_ns - self._now_ns > CLOCK_TOLERANCE_NS:
            found = (
                f"it says {format_time(self._now_ns)}, the newest record is of {format_time(newest.ts_ns)}"
            )
            return Finding("clock", Level.BAD, found, "set the clock: timedatectl", ExitCode.CLOCK)
        sync, limit = self._read_clock(), self._host.settings.max_clock_error_secs
        if found := doubt(sync, limit or MAX_CLOCK_ERROR_SECS):
            level = Level.NOTE if limit is None else Level.BAD
            return Finding("clock", level, found, ADVICE, ExitCode.CLOCK)
        assert sync is not None, "a clock that nobody knows is in doubt"
        return Finding("clock", Level.OK, f"kept by a time service, to {sync.max_error_secs:.3f} s")

    def _disk(self) -> Finding:
        free = LocalDisk().free_bytes(_nearest(self._state_dir))
        needed = max(START_BYTES, LOW_BYTES)
        found = f"{free >> 20} MiB left for {self._state_dir}"
        if free < needed:
            advice = f"make {needed >> 20} MiB free: argonaut cleanup"
            return Finding("disk", Level.BAD, found, advice, ExitCode.DISK)
        return Finding("disk", Level.OK, found)

    def _chain(self) -> Finding:
        folder = self._state_dir / JOURNAL
        if not segment_numbers(LocalDisk(), folder):
            return Finding("chain", Level.OK, "no journal yet")
        try:
            key = load_verify_key(LocalDisk(), self._state_dir / public_path(JOURNAL_KEY))
            found = verify(LocalDisk(), folder, key)
        except (AuditError, ConfigError, FileNotFoundError) as error:
            advice = "docs/JOURNAL.md; start nothing on it"
            return Finding("chain", Level.BAD, str(error), advice, ExitCode.AUDIT_CHAIN)
        text = f"whole: {found.records} records, signed up to {found.signed_seq}, head {found.head[:12]}"
        return Finding("chain", Level.OK, text)

    def _catalog(self) -> Finding:
        host = self._host
        wanted, data = bar_types_of(host), host.settings.data
        if host.settings.venue.name == EMBEDDED and not _holds(host.catalog_path, wanted):
            return Finding("catalog", Level.OK, f"{host.catalog_path}: generated at the first start")
        catalog = Catalog(host.catalog_path)
        spans = {name: catalog.span_within(name, data.start_ns, data.end_ns) for name in wanted}
        count = sum(span.rows for span in spans.values())
        first = format_time(min(span.first_ns for span in spans.values()))
        last = format_time(max(span.last_ns for span in spans.values()))
        return Finding("catalog", Level.OK, f"{len(wanted)} series, {count:,} bars, {first} to {last}")

    def _artefacts(self) -> Finding:
        host = self._host
        venue = host.settings.venue
        if not _holds(host.catalog_path, bar_types_of(host)):
            return Finding("artefacts", Level.NOTE, "not looked at: they need the catalog")
        catalog, may_short = Catalog(host.catalog_path), venue.account_type is AccountType.MARGIN
        policies = {}
        for loaded in host.strategies:
            rules = [
                trading_rules(spec_of(catalog.instrument(name)), may_short=may_short)
                for name in loaded.config.instruments
            ]
            pipeline = build_pipeline(loaded, rules, venue.bars_per_year(loaded.config.interval))
            policies[loaded.config.name] = pipeline.identity.policy_id
        for name, wanted in (self._wanted.policies or {}).items():
            if not policies.get(name, "").startswith(wanted):
                found = f"{name}: expected policy {wanted}, found {policies.get(name, 'no such strategy')}"
                advice = "load the policy that was approved"
                return Finding("artefacts", Level.BAD, found, advice, ExitCode.ARTIFACT)
        shown = ", ".join(f"{name} {policy[:12]}" for name, policy in policies.items())
        return Finding("artefacts", Level.OK, f"policies load: {shown}")

    def _venue(self) -> Finding:
        name = self._host.settings.venue.name
        if self._host.settings.kind is not HostKind.LIVE:
            return Finding("venue", Level.OK, f"{name} on paper: our own venue, in the daemon itself")
        missing = "; ".join(missing_for_live(self._host))
        return Finding("venue", Level.BAD, f"{name}: {missing}", "trade on paper", ExitCode.VENUE)

    def _port(self) -> Finding:
        api = self._host.settings.api
        if not api.enabled:
            return Finding("port", Level.NOTE, "[api] is off: no health, no metrics")
        if self._is_running or api.port == 0:
            return Finding("port", Level.OK, f"{api.host}:{api.port or 'any that is free'}")
        family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((api.host, api.port))
            except OSError as error:
                found = f"{api.host}:{api.port}: {error.strerror}"
                return Finding("port", Level.BAD, found, "name another in [api], or 0", ExitCode.CONFIG)
        return Finding("port", Level.OK, f"{api.host}:{api.port} is free")

    def _trading_state(self) -> Finding:
        if is_present(self._state_dir):
            found, advice = f"the file {KILL_SWITCH} is there", "remove it once its cause is gone"
            return Finding("trading state", Level.NOTE, found, advice)
        path = self._state_dir / LATCH
        _, held = decode_latch(path.read_bytes()) if path.exists() else (0, ())
        if held:
            found = "; ".join(f"{one.scope} is {one.state.value}: {one.reason} ({one.who})" for one in held)
            advice = "argonaut resume --scope … --reason …, once the cause is gone"
            return Finding("trading state", Level.NOTE, found, advice)
        return Finding("trading state", Level.OK, "nothing restricts trading")

    def _newest(self, kinds: Collection[Kind]) -> Record | None:
        folder = self._state_dir / JOURNAL
        if not segment_numbers(LocalDisk(), folder):
            return None
        try:
            lines = newest_lines(LocalDisk(), folder, lambda line: line.kind in kinds, 1)
        except AuditError:  # the chain has an answer of its own
            return None
        return decode(lines[0].content) if lines else None


def _nearest(path: Path) -> Path:
    return next(one for one in (path, *path.resolve().parents) if one.exists())


def _holds(catalog: Path, wanted: Collection[str]) -> bool:
    return all((catalog / "data" / "bars" / name).is_dir() for name in wanted)
