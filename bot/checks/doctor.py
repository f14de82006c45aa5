"""What is the matter with a daemon, in words, and what to do: from its answers, or from what it has left.

Looks at the running daemon or the newest session, at what restricts trading, incidents, jobs, drills, the
log, and the service; changes nothing.
"""

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.checks.findings import Finding, Level
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.jobs.ledger import LEDGER, OPEN, Run, RunState, read_runs
from ops.journal import Kind
from ops.journal.reading import newest_lines
from ops.journal.records import Record, decode
from ops.journal.segments import segment_numbers
from ops.kill_switch import KILL_SWITCH, is_present
from ops.latch import LATCH, as_fields
from ops.latch import decode as decode_latch
from ops.runs.folder import LEDGER as RUNS_LEDGER
from ops.state_dir import JOURNAL
from strategies.errors import AuditError

_DAY_SECS = 86_400.0
_RECENT_DAYS = 7
_DRILL_DAYS = 31
_LOG_BYTES = 2_000_000
_PATIENCE_SECS = 3.0
_RUNS = 200

_AFTER: Mapping[ExitCode, str] = {
    ExitCode.FINDINGS: "a strategy halted on a fault, or was not flat: argonaut audit show --kind note",
    ExitCode.DATA: "bars are missing or damaged: argonaut data verify",
    ExitCode.AUDIT_CHAIN: "argonaut audit verify says where; docs/JOURNAL.md; start nothing on it",
    ExitCode.UNRECONCILED: "argonaut reconcile shows each difference",
    ExitCode.INTERNAL: "a fault of this program: report it with the log; ARGONAUT_DEBUG=1 shows where",
    ExitCode.IO: "the disk refused: free space, look at dmesg, then start again",
    ExitCode.TEMPORARY: "the feed gave up: look at the network and the venue, then start again",
    ExitCode.HALTED: "an invariant that protects money is broken: argonaut audit show, before anything else",
    ExitCode.CONFIG: "argonaut preflight CONFIG says what is wrong",
}

type Service = Mapping[str, str]
"""Properties of the systemd unit."""


class Doctor:
    """One look at a daemon.

    Args:
        state_dir: Where its state lies.
        status: What it answers; None where none runs.
        service: Its unit, if there is one.
        now_secs: Wall clock, seconds since 1970.
    """

    def __init__(
        self, state_dir: Path, status: Mapping[str, Any] | None, service: Service | None, now_secs: float
    ) -> None:
        self._state_dir = state_dir
        self._status = status
        self._service = service
        self._now_secs = now_secs

    def look(self) -> Iterator[Finding]:
        """Everything, the most pressing first."""
        looks: tuple[Callable[[], Iterator[Finding]], ...] = (
            self._daemon,
            self._restrictions,
            self._running if self._status is not None else lambda: iter(()),
            self._unit,
            self._jobs,
            self._runs,
            self._incidents,
            self._drills,
            self._log,
        )
        for look in looks:
            try:
                yield from look()
            except (OSError, ValueError, KeyError, sqlite3.Error, AuditError) as error:
                code = ExitCode.AUDIT_CHAIN if isinstance(error, AuditError) else ExitCode.FINDINGS
                advice = "argonaut preflight CONFIG looks at it more closely"
                yield Finding("files", Level.BAD, f"{type(error).__name__}: {error}", advice, code)

    # -- the daemon ----------------------------------------------------------------------------------

    def _daemon(self) -> Iterator[Finding]:
        if self._status is not None:
            state, found = self._status["state"], f"runs: {self._status['state']}, pid {self._status['pid']}"
            level = Level.OK if state == "READY" else Level.NOTE
            yield Finding("daemon", level, found, "" if level is Level.OK else "wait, and look again")
            return
        newest = self._newest({Kind.SESSION_START, Kind.STOP})
        if newest is None:
            yield Finding("daemon", Level.NOTE, "none has run here yet", "argonaut run CONFIG")
        elif newest.body.get("exit_code") == ExitCode.OK:
            found = f"stopped in order at {_time(newest.ts_ns / 1e9)}: {newest.body['reason']}"
            yield Finding("daemon", Level.NOTE, found, "argonaut run CONFIG starts it again")
        elif newest.body.get("exit_code") is None:
            why = newest.body.get("reason", "it ended without a word: killed, out of memory, or no power")
            advice = (
                "journalctl -u argonaut, dmesg | grep -i oom; a start goes on where it stood, and compares "
                "with the venue first"
            )
            yield Finding("daemon", Level.BAD, f"{why} (newest record {_time(newest.ts_ns / 1e9)})", advice)
        else:
            code = int(newest.body["exit_code"])
            known = ExitCode(code) if code in list(ExitCode) else ExitCode.INTERNAL
            found = (
                f"ended with {code} ({known.name}) at {_time(newest.ts_ns / 1e9)}: {newest.body['reason']}"
            )
            yield Finding("daemon", Level.BAD, found, _AFTER.get(known, "look at the log"), known)

    def _restrictions(self) -> Iterator[Finding]:
        if is_present(self._state_dir):
            advice = "remove the file once its cause is gone, then argonaut resume --scope all --reason …"
            yield Finding(
                "kill switch", Level.BAD, f"the file {KILL_SWITCH} is there", advice, ExitCode.HALTED
            )
        held = self._held()
        for one in held:
            since = _time(one["ts_ns"] / 1e9)
            found = f"{one['scope']} is {one['state']} since {since}: {one['reason']} ({one['who']})"
            if one["origin"] == "session":
                advice = "it ends with the session; mend its cause"
            else:
                advice = f"find out why, then argonaut resume --scope {one['scope']} --reason …"
            yield Finding("trading", Level.BAD, found, advice, ExitCode.HALTED)
        if self._status is not None and not held and self._status["trading_state"] != "ACTIVE":
            found = f"{self._status['trading_state']}: {self._status['reason']}"
            advice = "a loss limit: a day's ends with the trading day, others with argonaut resume"
            yield Finding("trading", Level.BAD, found, advice, ExitCode.HALTED)
        elif not held:
            yield Finding("trading", Level.OK, "nothing restricts it")

    def _held(self) -> list[Mapping[str, Any]]:
        if self._status is not None:
            return list(self._status["restrictions"])
        path = self._state_dir / LATCH
        try:
            return [as_fields(one) for one in decode_latch(path.read_bytes())[1]] if path.exists() else []
        except ValueError as error:
            raise ValueError(f"{path}: expected restrictions, found damage: {error}") from error

    def _running(self) -> Iterator[Finding]:
        status = self._status
        assert status is not None
        for why in status["unexplained"]:
            yield Finding("books", Level.BAD, why, "argonaut reconcile", ExitCode.UNRECONCILED)
        if status["reconciled"]:
            yield Finding("books", Level.OK, "ours and the venue's agree")
        for feed in status["feeds"]:
            at = f"{feed['state']} at {_time(feed['ts_event'] / 1e9)} of market time"
            if feed["state"] == "DEAD":
                advice = "look at the network and the venue's status page, then start again"
                yield Finding("feed", Level.BAD, f"{at}: {feed['failure']}", advice, ExitCode.TEMPORARY)
            elif feed["state"] == "FINISHED":
                yield Finding("feed", Level.NOTE, f"the data ended; {at}", "argonaut stop")
            else:
                yield Finding("feed", Level.OK, at)
        if not status["latch"]["durable"]:
            advice = "mend the disk; the daemon writes it as soon as it can"
            yield Finding("latch", Level.BAD, status["latch"]["fault"], advice, ExitCode.IO)
        if status["flatten"]["state"] == "NOT_FLAT":
            found = f"positions are not closed: {status['flatten']['detail']}"
            yield Finding("flatten", Level.BAD, found, "argonaut positions; close them at the venue")
        if status["loop"]["stalls"]:
            loop = status["loop"]
            found = f"stood still {loop['stalls']} times, {loop['longest_stall_ms']} ms at most"
            yield Finding("loop", Level.NOTE, found, "look for other load on this machine")

    # -- what it has left ----------------------------------------------------------------------------

    def _unit(self) -> Iterator[Finding]:
        unit = self._service
        if unit is None:
            return
        found = f"{unit['ActiveState']} ({unit['SubState']}), started again {unit['NRestarts']} times"
        if unit["ActiveState"] == "failed":
            code = unit["ExecMainStatus"]
            advice = "journalctl -u argonaut -n 100; systemctl start argonaut once its cause is gone"
            yield Finding("service", Level.BAD, f"{found}; {unit['Result']}, exit code {code}", advice)
        elif unit["NRestarts"] != "0":
            yield Finding("service", Level.NOTE, found, "journalctl -u argonaut says why")
        else:
            yield Finding("service", Level.OK, found)

    def _jobs(self) -> Iterator[Finding]:
        newest = self._newest_of_each(LEDGER)
        found = [one for run in newest for one in self._of_job(run)]
        yield from found
        if newest and not found:
            yield Finding("jobs", Level.OK, f"{len(newest)} have run, and none has failed last")

    def _of_job(self, run: Run) -> Iterator[Finding]:
        at = _time(run.started_at or run.claimed_at)
        if run.state is RunState.FAILED:
            found = f"{run.job} failed at {_time(run.claimed_at)}: {run.detail}"
            yield Finding("jobs", Level.BAD, found, f"argonaut jobs log {run.run_id}")
        elif self._is_cut_off(run):
            again = run.attempt == 1
            found = f"{run.job}, begun at {at}, was cut off with the daemon{'' if again else ', twice'}"
            if again and run.state in OPEN:
                advice = "the next start of the daemon runs it once more by itself"
            else:
                advice = f"argonaut jobs run {run.job} runs it again; argonaut jobs log {run.run_id}"
            yield Finding("jobs", Level.NOTE if again else Level.BAD, found, advice)

    def _runs(self) -> Iterator[Finding]:
        for run in self._newest_of_each(RUNS_LEDGER):
            age_days = (self._now_secs - (run.ended_at or run.claimed_at)) / _DAY_SECS
            if run.state is RunState.QUEUED and self._status is None:
                found = f"{run.job} {run.run_id} still waits for its turn"
                yield Finding("runs", Level.NOTE, found, "the next start of the daemon begins it")
            elif self._is_cut_off(run) and age_days <= _RECENT_DAYS:
                begun = _time(run.started_at or run.claimed_at)
                found = (
                    f"{run.job} {run.run_id}, begun at {begun}, was cut off with the daemon; "
                    "nothing begins it again by itself"
                )
                advice = (
                    f"argonaut runs show {run.run_id} has what was asked for: ask again, and a training or a "
                    "walk-forward goes on where it stood"
                )
                yield Finding("runs", Level.NOTE, found, advice)
            elif run.state is RunState.FAILED and age_days <= _RECENT_DAYS:
                found = f"{run.job} {run.run_id} failed: {run.detail}"
                yield Finding("runs", Level.NOTE, found, f"argonaut runs logs {run.run_id}")

    def _is_cut_off(self, run: Run) -> bool:
        # What a kill cut off has no end in the ledger before the next start has written one down.
        return run.state is RunState.INTERRUPTED or (run.state in OPEN and self._status is None)

    def _newest_of_each(self, ledger: str) -> list[Run]:
        newest: dict[str, Run] = {}
        for run in read_runs(self._state_dir / ledger, _RUNS):
            newest.setdefault(run.job, run)
        return list(newest.values())

    def _incidents(self) -> Iterator[Finding]:
        newest = max((self._state_dir / "incidents").glob("*.md"), default=None)
        if newest is None or self._now_secs - newest.stat().st_mtime > _RECENT_DAYS * _DAY_SECS:
            return
        title = newest.read_text().partition("\n")[0].removeprefix("# ")
        found = f"{title}, {_time(newest.stat().st_mtime)}"
        yield Finding("incident", Level.NOTE, found, f"read {newest}")

    def _drills(self) -> Iterator[Finding]:
        newest = max((self._state_dir / "drills").glob("*.json"), default=None)
        if newest is None:
            return
        passed = json.loads(newest.read_text())["passed"]
        age_days = (self._now_secs - newest.stat().st_mtime) / _DAY_SECS
        found = f"the newest is {age_days:.0f} days old, and {'passed' if passed else 'did not pass'}"
        if passed is False:
            advice = f"read {newest}; trading stays halted until argonaut resume"
            yield Finding("drill", Level.BAD, found, advice)
        elif age_days > _DRILL_DAYS:
            yield Finding("drill", Level.NOTE, found, "argonaut drill kill")
        else:
            yield Finding("drill", Level.OK, found)

    def _log(self) -> Iterator[Finding]:
        path = self._state_dir / "logs" / "argonaut.jsonl"
        errors = [
            one for one in read_log_lines(path, _LOG_BYTES) if one.get("level") in {"ERROR", "CRITICAL"}
        ]
        since = datetime.fromtimestamp(self._now_secs - _DAY_SECS, UTC).isoformat()
        recent = [one for one in errors if str(one.get("ts")) >= since]
        if recent:
            newest = recent[-1]
            found = (
                f"{len(recent)} errors in a day, the newest: {newest.get('logger')}: {newest.get('message')}"
            )
            yield Finding("log", Level.NOTE, found, "argonaut logs --level error")

    def _newest(self, kinds: set[Kind]) -> Record | None:
        folder = self._state_dir / JOURNAL
        if not segment_numbers(LocalDisk(), folder):
            return None
        lines = newest_lines(LocalDisk(), folder, lambda line: line.kind in kinds, 1)
        return decode(lines[0].content) if lines else None


def read_log_lines(path: Path, most_bytes: int) -> list[dict[str, Any]]:
    """The newest lines of the daemon's log, oldest first; what is no JSON is left out."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - most_bytes))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:  # the first may be cut
            continue
        if isinstance(document, dict):
            found.append(document)
    return found


def ask_service(unit: str) -> Service | None:
    """Ask systemd for a unit; None where there is no systemd, or no such unit."""
    if not Path("/run/systemd/system").is_dir():
        return None
    wanted = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts")
    command = ["systemctl", "show", unit, f"--property={','.join(wanted)}"]
    try:
        done = subprocess.run(  # noqa: S603 - a constant
            command, capture_output=True, text=True, check=True, timeout=_PATIENCE_SECS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    return found if found.get("LoadState") == "loaded" and found.keys() >= set(wanted) else None


def _time(secs: float) -> str:
    return f"{datetime.fromtimestamp(secs, UTC):%Y-%m-%d %H:%M:%S}"
