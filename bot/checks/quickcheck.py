"""The whole stack once through, as its user meets it, in a folder of its own.

    data → backtest → paper daemon → page → kill → resume → crash → recovery → stop
         → journal → replay → backup

What trades is a network with a hidden Markov regime, and a rule beside it.

Every step is a command of the console script in a process of its own, so that what is proven is what is run.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from bot.program import PROGRAM
from strategies.errors import ArgonautError

_FOLDER = Path(__file__).resolve().parents[2] / "configs" / "strategies"
_STRATEGIES = tuple(_FOLDER / f"{name}.toml" for name in ("ppo_hmm_demo", "donchian_regime_demo"))
_DAYS = 10
_BACKTEST_DAYS = 3
_BACKTEST_END = "2024-01-04"
_SPEED = 1_800
"""Market seconds a second: thirty bars, and still time enough for commands in between."""
_PATIENCE_SECS = 60.0
_POLL_SECS = 0.1

_HOST = """\
kind = "{kind}"
strategies = {strategies}

[venue]
name = "DEMO"
currency = "USDT"
starting_balance = 200_000.0

[data]
catalog = "{catalog}"

[api]
port = 0
open_to_read = true

[jobs]
daily_summary = "off"
replay = "off"
verify_data = "off"
backup = "off"
cleanup = "off"
kill_drill = "off"
"""


class Step(NamedTuple):
    """What one step showed."""

    name: str
    passed: bool
    detail: str
    secs: float


class _FailedError(Exception):
    """A step has not gone as it must."""


class Quickcheck:
    """One pass.

    Args:
        folder: Everything is written below it.
        ask_status: What the daemon of a state directory says of itself; None where none answers.
    """

    def __init__(self, folder: Path, ask_status: Callable[[Path], Any]) -> None:
        self._ask_status = ask_status
        self._folder = folder
        self._state_dir = folder / "var"
        self._catalog = folder / "catalog"
        self._daemon: subprocess.Popen[bytes] | None = None

    def run(self) -> Iterator[Step]:
        """Go through the steps, up to the first that fails; no process is left."""
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("data", self._make_data),
            ("backtest", self._backtest),
            ("paper", self._start),
            ("page", self._look),
            ("kill", self._kill),
            ("resume", self._resume),
            ("crash", self._crash),
            ("recovery", self._recover),
            ("stop", self._stop),
            ("journal", self._verify),
            ("replay", self._replay),
            ("backup", self._back_up),
        )
        try:
            for name, take in steps:
                began = time.monotonic()
                try:
                    detail, passed = take(), True
                except (_FailedError, ArgonautError, OSError, subprocess.SubprocessError) as error:
                    detail, passed = str(error), False
                yield Step(name, passed, detail, round(time.monotonic() - began, 1))
                if not passed:
                    return
        finally:
            if self._daemon is not None and self._daemon.poll() is None:
                self._daemon.kill()
                self._daemon.wait()

    def _make_data(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        strategies = json.dumps([str(one) for one in _STRATEGIES])
        for kind in ("backtest", "paper"):
            text = _HOST.format(kind=kind, strategies=strategies, catalog=self._catalog)
            (self._folder / f"{kind}.toml").write_text(text)
        self._ask("data", "generate", "--catalog", self._catalog, "--days", _DAYS)
        found = self._ask("data", "verify", "--catalog", self._catalog)
        return f"{len(found['series'])} series of {_DAYS} days, and nothing wrong with them"

    def _backtest(self) -> str:
        found = self._ask(
            "backtest", self._folder / "backtest.toml", "--no-baselines", "--end", _BACKTEST_END
        )
        if not Path(found["run_dir"], "report.html").is_file():
            raise _FailedError(f"expected a report in {found['run_dir']}, found none")
        trades = found["metrics"].get("trade_count")
        profit = _figure(found["metrics"]["total_return_frac"])
        return f"{trades} trades in {_BACKTEST_DAYS} days, return {profit:+.2%}; {found['run_id']}"

    def _start(self) -> str:
        with (self._folder / "daemon.log").open("ab") as out:
            self._daemon = self._launch(out)
        status = self._until(lambda found: found["state"] == "READY" and _all_decide(found))
        return f"{status['state']}, trading {status['trading_state']}, {_decisions(status)} decisions"

    def _look(self) -> str:
        status = self._ask_status(self._state_dir)
        url = status["dashboard_url"]
        page, metrics = _fetch(url), _fetch(f"{status['api_url']}/metrics")
        if b"<title>" not in page or b"argonaut_decisions_total" not in metrics:
            raise _FailedError(f"expected the dashboard and metrics at {url}, found {page[:80]!r}")
        return f"dashboard and metrics at {url}"

    def _kill(self) -> str:
        answer = self._ask("kill", "--reason", "quickcheck")
        if not answer["durable"]:
            raise _FailedError(f"expected a halt on the disk, found {answer}")
        status = self._until(lambda found: found["trading_state"] == "HALTED")
        return f"{status['trading_state']}, on the disk in {answer['latch_ms']} ms"

    def _resume(self) -> str:
        self._ask("resume", "--scope", "all", "--reason", "quickcheck")
        before = _decisions(self._ask_status(self._state_dir))
        status = self._until(lambda found: _decisions(found) > before)
        if status["trading_state"] != "ACTIVE":
            raise _FailedError(f"expected ACTIVE, found {status['trading_state']} {status['reason']}")
        return f"ACTIVE, {_decisions(status)} decisions"

    def _crash(self) -> str:
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()
        return f"kill -9 of process {self._daemon.pid}"

    def _recover(self) -> str:
        began = self._start()
        status = self._ask_status(self._state_dir)
        if not status["reconciled"]:
            raise _FailedError(f"expected equal books, found {status['unexplained']}")
        return f"{began}; our books and the venue's agree"

    def _stop(self) -> str:
        assert self._daemon is not None
        self._ask("stop")
        code = self._daemon.wait(_PATIENCE_SECS)
        if code:
            raise _FailedError(f"expected exit code 0, found {code}; {self._folder / 'daemon.log'} says why")
        return "exit code 0"

    def _verify(self) -> str:
        found = self._ask("audit", "verify")
        return f"whole: {found['records']} records, {found['checkpoints']} signed checkpoints"

    def _replay(self) -> str:
        found = self._ask("replay")
        compared = ", ".join(f"{count} {kind}s" for kind, count in sorted(found["compared"].items()))
        return f"decided again, and the same: {compared}"

    def _back_up(self) -> str:
        folder, place = self._folder / "backup", self._folder / "restored"
        self._ask("backup", folder)
        self._ask("restore", folder, state_dir=place)
        found = self._ask("audit", "verify", state_dir=place)
        return f"comes back whole: {found['records']} records"

    def _launch(self, out: IO[bytes]) -> "subprocess.Popen[bytes]":
        command = [*PROGRAM, "run", str(self._folder / "paper.toml"), "--speed", str(_SPEED)]
        command += ["--state-dir", str(self._state_dir)]
        return subprocess.Popen(command, stdout=out, stderr=out, env=_environment())  # noqa: S603 - our own

    def _ask(self, *args: object, state_dir: Path | None = None) -> Any:
        command = [*PROGRAM, *map(str, args), "--json", "--state-dir", str(state_dir or self._state_dir)]
        done = subprocess.run(  # noqa: S603 - our own
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECS, env=_environment()
        )
        if done.returncode:
            shown = f"argonaut {' '.join(map(str, args))}"
            raise _FailedError(f"{shown} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    def _until(self, condition: Callable[[Any], bool]) -> Any:
        """What the daemon says of itself, once it is as it must be."""
        deadline = time.monotonic() + _PATIENCE_SECS
        assert self._daemon is not None
        found: Any = None
        while time.monotonic() < deadline:
            if self._daemon.poll() is not None:
                words = (self._folder / "daemon.log").read_text().strip()[-500:]
                raise _FailedError(f"the daemon ended with {self._daemon.returncode}: {words}")
            found = self._ask_status(self._state_dir)
            if found is not None and condition(found):
                return found
            time.sleep(_POLL_SECS)
        raise _FailedError(f"it did not come about within {_PATIENCE_SECS:g} s; found {str(found)[:300]}")


def _environment() -> dict[str, str]:
    """None of the settings of whoever asks: what is checked is what is installed."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ARGONAUT_")}


def _fetch(url: str) -> bytes:
    """What a browser on this machine gets; a proxy that is set for others is not asked."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=_PATIENCE_SECS) as answer:
        content: bytes = answer.read()
        return content


def _all_decide(status: Any) -> bool:
    return all(one["decisions"] > 0 for one in status["strategies"])


def _decisions(status: Any) -> int:
    return sum(one["decisions"] for one in status["strategies"])


def _figure(figure: Any) -> float:
    return float(figure["value"] if isinstance(figure, dict) else figure)
