"""The files of a run, by the names under which they may be asked for.

A name is looked up among the files that are there, so that no name, however it is written, leads anywhere
else. Links are no files of a run.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.refusals import RefusedError
from ops.runs.folder import RunFolder
from ops.state_lock import LOCK

MOST_FILES = 5_000
MOST_ZIP_BYTES = 2**30
"""Of all files of a bundle together."""

_MODEL = "model"
_CHUNK_BYTES = 65_536
_EPOCH = (1980, 1, 1, 0, 0, 0)


class RunFile(NamedTuple):
    """One file."""

    name: str
    """From the run on: ``run.log``, ``output/report.html``, ``model/policy.onnx``."""
    path: Path
    size_bytes: int
    mtime_ns: int

    def as_json(self) -> dict[str, Any]:
        """For people and programs."""
        return {"name": self.name, "size_bytes": self.size_bytes, "modified_ns": self.mtime_ns}

    @property
    def etag(self) -> str:
        """Another where the file is another."""
        return f'"{self.size_bytes:x}-{self.mtime_ns:x}"'


def files_of(folder: RunFolder, state_dir: Path) -> Mapping[str, RunFile]:
    """Every file of a run by its name, in order.

    Raises:
        RefusedError: If there are too many.
    """
    found: dict[str, RunFile] = {}
    places = {"": folder.path} | {f"{name}/": path for name, path in folder.outputs(state_dir).items()}
    for prefix, place in places.items():
        for one in _files(place, prefix):
            found[one.name] = one
            if len(found) > MOST_FILES:
                raise RefusedError(
                    f"expected at most {MOST_FILES} files of a run, found more; look in {place}"
                )
    return dict(sorted(found.items()))


def find_file(folder: RunFolder, state_dir: Path, name: str) -> RunFile:
    """One file of a run.

    Raises:
        RefusedError: If there is none of that name.
    """
    found = files_of(folder, state_dir).get(name)
    if found is None:
        raise RefusedError("expected a name that the run's artifacts have, found another", is_unknown=True)
    return found


def files_to_zip(folder: RunFolder, state_dir: Path, *, include_model: bool) -> list[RunFile]:
    """What goes into a bundle.

    Raises:
        RefusedError: If that is too much.
    """
    files = [
        one
        for one in files_of(folder, state_dir).values()
        if include_model or not one.name.startswith(f"{_MODEL}/")
    ]
    total = sum(one.size_bytes for one in files)
    if total > MOST_ZIP_BYTES:
        raise RefusedError(
            f"expected at most {MOST_ZIP_BYTES} bytes in a bundle, found {total}; take single files"
        )
    return files


def zipped(files: list[RunFile]) -> Iterator[bytes]:
    """A ZIP file of files, piece by piece; equal files give equal bytes.

    Nothing is compressed: what is large is compressed already, and the daemon's processor is for trading. Of
    a file that grows meanwhile there is what was there at first.
    """
    out = _Pieces()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for one in files:
            member = zipfile.ZipInfo(one.name, _EPOCH)
            member.external_attr = 0o600 << 16
            left = one.size_bytes
            with one.path.open("rb") as source, archive.open(member, "w", force_zip64=True) as target:
                while left and (piece := source.read(min(_CHUNK_BYTES, left))):
                    left -= len(piece)
                    target.write(piece)
                    yield from out.taken()
            yield from out.taken()
    yield from out.taken()


class _Pieces:
    """Takes what is written, and gives it on; there is no way back in it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, content: bytes) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """There is nothing to be flushed."""

    def close(self) -> None:
        """There is nothing to be closed."""

    def taken(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        if pieces:
            yield b"".join(pieces)


def _files(folder: Path, prefix: str) -> Iterator[RunFile]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.name.startswith(".") or entry.name == LOCK:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            yield RunFile(f"{prefix}{entry.name}", folder / entry.name, status.st_size, status.st_mtime_ns)
