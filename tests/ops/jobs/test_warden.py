"""One process under a warden: its limits, its log, and that it never outlives who asked for it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.jobs.job import Command, Limits
from ops.jobs.launching import in_words, launch
from ops.jobs.warden import BoundedLog
from tests.support.command import environment
from tests.support.data import ROOT


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def run(program: str, log: Path, **limits: float) -> int:
    """Run a Python program under a warden to its end."""
    command = Command((sys.executable, "-c", program), Limits(**limits))  # type: ignore[arg-type]
    return asyncio.run(launch(command, log))


def until(condition: Callable[[], object], patience_secs: float = 20.0) -> None:
    deadline = time.monotonic() + patience_secs
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_both_outputs_are_in_the_log_and_the_exit_code_is_the_program_s(log: Path) -> None:
    code = run("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)", log)

    assert code == 3
    assert log.read_text().splitlines() == ["out", "err"]


def test_program_is_nice_bounded_in_memory_first_to_go_and_leads_a_session_of_its_own(log: Path) -> None:
    program = (
        "import os, resource\n"
        "print(os.nice(0), resource.getrlimit(resource.RLIMIT_DATA)[0], os.getsid(0) == os.getpid())\n"
        "print(open('/proc/self/oom_score_adj').read())\n"
        "try: bytearray(500 * 2**20)\n"
        "except MemoryError: print('no more')\n"
    )

    assert run(program, log, memory_mib=300, nice=7) == 0

    nice, data, leads, oom, end = log.read_text().split(maxsplit=4)
    assert int(nice) == min(19, os.nice(0) + 7)
    assert (int(data), leads, oom, end.strip()) == (300 * 2**20, "True", "1000", "no more")


def test_program_that_hangs_and_will_not_listen_is_ended_with_all_it_started(log: Path) -> None:
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    started = time.monotonic()

    code = run(program, log, timeout_secs=1.0)

    assert in_words(code) == "took too long and was ended"
    assert time.monotonic() - started < 15.0
    assert "[its 1 s are up]" in log.read_text()
    until(lambda: not is_there(int(log.read_text().split()[0])))


def test_what_a_program_leaves_behind_does_not_stay(log: Path) -> None:
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)\n"
    )

    assert run(program, log) == 0

    until(lambda: not is_there(int(log.read_text())))


def test_program_that_spams_costs_no_more_disk_than_its_bound_and_its_end_is_kept(log: Path) -> None:
    program = "print('first')\nfor n in range(100_000): print('line', n)\nprint('last')"

    assert run(program, log, log_bytes=20_000) == 0

    text = log.read_text()
    assert log.stat().st_size <= 20_000
    assert text.startswith("first\n")
    assert text.endswith("line 99999\nlast\n")
    assert text.count("bytes left out") == 1


def test_program_that_is_not_there_is_said_to_be_missing(log: Path) -> None:
    code = asyncio.run(launch(Command(("/nowhere/at/all",)), log))

    assert in_words(code) == "could not be started"
    assert "/nowhere/at/all could not be started" in log.read_text()


def test_cancelled_program_has_ended_when_the_cancellation_is_through(log: Path) -> None:
    async def scenario() -> int:
        program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        task = asyncio.create_task(launch(Command((sys.executable, "-c", program)), log))
        while not (log.exists() and log.read_text().strip()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return int(log.read_text().split()[0])

    assert not is_there(asyncio.run(scenario()))
    assert "[told to end]" in log.read_text()


@pytest.mark.parametrize("victim", ["daemon", "warden"])
def test_program_dies_with_its_daemon_and_with_its_warden(log: Path, victim: str) -> None:
    launcher = (
        "import asyncio, sys; from pathlib import Path; from ops.jobs.job import Command\n"
        "from ops.jobs.launching import launch\n"
        "program = 'import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)'\n"
        f"asyncio.run(launch(Command((sys.executable, '-c', program)), Path({str(log)!r})))\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", launcher], cwd=ROOT, env=environment())
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    program, warden = map(int, log.read_text().split())

    os.kill(daemon.pid if victim == "daemon" else warden, signal.SIGKILL)

    until(lambda: not is_there(program) and not is_there(warden))
    daemon.kill()
    daemon.wait()


def test_bounded_log_keeps_beginning_and_end_by_hand(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", 400)
    pieces = [b"%03d" % number for number in range(1000)]

    for piece in pieces:
        log.write(piece)
        assert (tmp_path / "log").stat().st_size <= 400
    log.close()

    text = (tmp_path / "log").read_bytes()
    head, note, tail = text.partition(b"\n[... ")
    count, _, tail = tail.partition(b" bytes left out ...]\n")
    whole = b"".join(pieces)
    assert note
    assert head == whole[:100]
    assert whole.endswith(tail)
    assert len(tail) >= 100
    assert len(head) + int(count) + len(tail) == len(whole)
