"""A real systemd as the first process of namespaces of its own, with our unit in it; needs root.

Nothing of it reaches the machine: /run, /tmp and /var/lib are its own, and no unit but ours is there.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.data import ROOT

SYSTEMD = Path("/lib/systemd/systemd")
PLACE = Path("/mnt")
"""Where the machine has all that the service may see."""

_PATIENCE_SECS = 40.0
_STUBS = ("sysinit", "basic", "shutdown", "network-online", "time-sync", "multi-user", "lab")
_SPACES = (
    "--mount",
    "--pid",
    "--fork",
    "--uts",
    "--ipc",
    "--net",
    "--cgroup",
    "--mount-proc",
    "--kill-child",
)
_INIT = """\
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$STAGE"
cp -r "$LAB/." "$STAGE"
for name in python argonaut site catalog out; do mkdir "$STAGE/$name"; done
mount --bind "$PYTHON" "$STAGE/python"
mount --bind "$SOURCE" "$STAGE/argonaut"
mount --bind "$SITE" "$STAGE/site"
mount --bind "$CATALOG" "$STAGE/catalog"
mount --bind "$OUT" "$STAGE/out"
mount --rbind "$STAGE" "$PLACE"
for place in /run /tmp /var/lib; do mount -t tmpfs -o mode=755 tmpfs $place; done
chmod 1777 /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /
echo up
exec env -i container=lab SYSTEMD_UNIT_PATH="$PLACE/units" SYSTEMD_LOG_TARGET=null \
  "$SYSTEMD" --system --unit=lab.target
"""
_PROGRAM = f"""\
#!/bin/sh
export PYTHONPATH={PLACE}/argonaut:{PLACE}/site LD_LIBRARY_PATH={PLACE}/python/lib
exec {PLACE}/python/bin/python{sys.version_info.major}.{sys.version_info.minor} -m bot.cli.app "$@"
"""


def why_not() -> str:
    """Why there can be no such machine here; empty where there can."""
    if os.geteuid() != 0:
        return "only root may make the namespaces that a systemd of its own needs"
    missing = [name for name in ("unshare", "nsenter", "systemctl", "mount") if shutil.which(name) is None]
    missing += [] if SYSTEMD.exists() else [str(SYSTEMD)]
    return f"not on this machine: {', '.join(missing)}" if missing else ""


class Machine:
    """A systemd that runs, with one unit that has not been started.

    Args:
        lab: A folder for its files.
        unit: Text of the unit, which names things below `PLACE`.
        settings: What its drop-in changes, ``[Service]``.
        catalog: Becomes ``catalog`` in `PLACE`; whatever lies in ``lab/conf`` becomes ``conf``.

    Entering it raises PermissionError where this machine does not allow it.
    """

    unit = "argonaut.service"

    def __init__(self, lab: Path, unit: str, settings: Mapping[str, str], catalog: Path) -> None:
        units, program = lab / "units", lab / "bin" / "argonaut"
        drop_in = units / f"{self.unit}.d" / "test.conf"
        for path in (drop_in, program):
            path.parent.mkdir(parents=True)
        (units / self.unit).write_text(unit)
        said = f"append:{PLACE}/out/said.log"
        changed = {"StandardOutput": said, "StandardError": said, **settings}
        drop_in.write_text("[Service]\n" + "".join(f"{key}={value}\n" for key, value in changed.items()))
        for name in _STUBS:
            (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        program.write_text(_PROGRAM)
        program.chmod(0o755)
        stage, self._out = lab.with_name("stage"), lab.with_name("out")
        stage.mkdir()
        self._out.mkdir()
        given = {
            "LAB": str(lab),
            "STAGE": str(stage),
            "PLACE": str(PLACE),
            "PYTHON": sys.base_prefix,
            "SOURCE": str(ROOT),
            "SITE": sysconfig.get_path("purelib"),
            "CATALOG": str(catalog),
            "OUT": str(self._out),
            "SYSTEMD": str(SYSTEMD),
        }
        with (self._out / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["/usr/bin/unshare", *_SPACES, "sh", "-c", _INIT],
                env=os.environ | given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        try:
            up = {"running", "degraded"}
            self.until(lambda: self._process.poll() is not None or self.systemctl("is-system-running") in up)
            if self._process.poll() is not None:
                raise PermissionError(self.log.strip() or f"unshare ended with {self._process.returncode}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        """What was said until systemd was up, and by the service."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._out.iterdir()))

    def systemctl(self, *args: str) -> str:
        """Ask it; empty where it does not answer."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        first = children.read_text().split() if children.exists() else []
        if not first:
            return ""
        command = ["/usr/bin/nsenter", "--target", first[0], "--mount", "--pid", "systemctl", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECS)
        return done.stdout.strip()

    def show(self) -> dict[str, str]:
        """Properties of the service."""
        shown = self.systemctl("show", self.unit)
        return dict(line.partition("=")[::2] for line in shown.splitlines())

    def kill(self, number: signal.Signals) -> None:
        """Send the main process a signal."""
        self.systemctl("kill", "--kill-whom=main", f"--signal={number.name}", self.unit)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {self.log[-6000:]}"
            time.sleep(0.1)
