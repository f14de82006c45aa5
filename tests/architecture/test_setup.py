"""`.ci/setup` finds or fetches what it needs on machines that have little; here with stubs for all of it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.data import ROOT

_NEEDED = (
    *("awk", "bash", "cat", "chmod", "cp", "dirname", "env", "gzip", "head", "ls", "mkdir", "rm"),
    *("sha256sum", "sort", "tar", "touch", "uname"),
)
_UV = """\
#!/bin/bash
case "$1 $2" in
  "--version "*) echo "uv 0.12.15" ;;
  "python install") ;;
  "python find") echo {python} ;;
  "sync "*) mkdir -p .venv/bin; echo synced >.venv/synced ;;
esac
"""
_NO_ENSUREPIP = """\
#!/bin/bash
if [[ "$*" == "-m venv "* ]]; then
  echo "Error: ensurepip is not available" >&2
fi
exit 1
"""
_CURL = """\
#!/bin/bash
while (($#)); do
  case "$1" in
    --output) to="$2" && shift ;;
    https:*) url="$1" ;;
  esac
  shift
done
echo "$url" >>{log}
cp {archive} "$to"
"""
_WGET = """\
#!/bin/bash
for one in "$@"; do
  case "$one" in
    --output-document=*) to="${{one#*=}}" ;;
    https:*) url="$one" ;;
  esac
done
echo "$url" >>{log}
cp {archive} "$to"
"""


class Machine:
    """A tree to set up, and a PATH with little on it."""

    def __init__(self, place: Path) -> None:
        self.tree, self._bin, self._home = place / "tree", place / "bin", place / "home"
        self.log = place / "downloads"
        for directory in (self.tree / ".ci", self._bin, self._home):
            directory.mkdir(parents=True)
        for name in _NEEDED:
            found = shutil.which(name)
            assert found is not None, name
            (self._bin / name).symlink_to(found)
        for name in ("pyproject.toml", "uv.lock"):
            shutil.copy(ROOT / name, self.tree / name)
        self._archive = place / "uv.tar.gz"
        self._release(place)

    def _release(self, place: Path) -> None:
        program = place / "uv"
        program.write_text(_UV.format(python=sys.executable))
        program.chmod(0o755)
        with tarfile.open(self._archive, "w:gz") as archive:
            archive.add(program, "uv-any-unknown-linux-musl/uv")
        sha256 = hashlib.sha256(self._archive.read_bytes()).hexdigest()
        lines = (ROOT / ".ci" / "setup").read_text().splitlines()
        pinned = [
            f"{line.partition('=')[0]}={sha256}" if line.startswith("readonly UV_SHA256_") else line
            for line in lines
        ]
        assert sum(sha256 in line for line in pinned) == 2
        self._setup = self.tree / ".ci" / "setup"
        self._setup.write_text("\n".join(pinned) + "\n")
        self._setup.chmod(0o755)

    def put(self, name: str, text: str) -> None:
        program = self._bin / name
        program.write_text(text.replace("{log}", str(self.log)).replace("{archive}", str(self._archive)))
        program.chmod(0o755)

    def spoil_release(self) -> None:
        self._archive.write_bytes(self._archive.read_bytes() + b"!")

    def setup(self) -> tuple[int, str]:
        done = subprocess.run(
            [shutil.which("bash") or "bash", str(self._setup)],
            env={"PATH": str(self._bin), "HOME": str(self._home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.uname().sysname != "Linux":
        pytest.skip("the pinned release of uv is for Linux")
    return Machine(tmp_path)


@pytest.mark.parametrize("fetcher", ["curl", "wget"])
@pytest.mark.parametrize("has_python", [False, True])
def test_setup_without_pip_fetches_the_release_of_uv(
    machine: Machine, fetcher: str, has_python: bool
) -> None:
    machine.put(fetcher, _CURL if fetcher == "curl" else _WGET.replace("{{", "{").replace("}}", "}"))
    if has_python:
        machine.put("python3", _NO_ENSUREPIP)

    code, said = machine.setup()

    assert code == 0, said
    (url,) = machine.log.read_text().splitlines()
    assert url.startswith("https://github.com/astral-sh/uv/releases/download/0.12.15/uv-")
    assert (machine.tree / ".venv" / "synced").exists()
    assert ("ensurepip is not available" in said) is has_python


def test_setup_unpacks_no_release_whose_bytes_are_others(machine: Machine) -> None:
    machine.put("curl", _CURL)
    machine.spoil_release()

    code, said = machine.setup()

    assert code == 1
    assert "is not what was released" in said
    assert not (machine.tree / ".tools").exists()
    assert not (machine.tree / ".venv").exists()


def test_setup_without_pip_curl_and_wget_says_what_is_missing(machine: Machine) -> None:
    code, said = machine.setup()

    assert code == 1
    assert "neither curl nor wget is on PATH" in said
    assert "do: install uv, put it on PATH, and run this again" in said
