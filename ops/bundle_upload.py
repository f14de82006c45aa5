"""A bundle that was sent as a ZIP file: unpacked, bounded, before any of it is believed."""

import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strategies.bundle import Bundle, open_bundle
from strategies.errors import ConfigError

MOST_FILES = 32
MOST_BYTES = 64 * 2**20
"""Of all files together, unpacked."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[a-z0-9]{1,8}")
_CHUNK_BYTES = 65_536


@contextmanager
def unpacked(content: bytes, draft: Path) -> Iterator[Bundle]:
    """Unpack a bundle for as long as the block runs, and check every byte of it.

    Args:
        content: A ZIP file: the files of a bundle, or one folder of them.
        draft: Directory to unpack into; made, and gone afterwards.

    Raises:
        ConfigError: If it is no such file, is too large, or holds no bundle; nothing is left behind.
    """
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _unpack(content, draft)
        yield open_bundle(draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpack(content: bytes, draft: Path) -> None:
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name, member in _plain(archive).items():
                with archive.open(member) as source, (draft / name).open("xb") as target:
                    while piece := source.read(_CHUNK_BYTES):
                        left -= len(piece)
                        if left < 0:
                            raise ConfigError(f"expected at most {MOST_BYTES} bytes unpacked, found more")
                        target.write(piece)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ConfigError(f"expected a bundle as a ZIP file, but it cannot be read: {error}") from error


def _plain(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by the names that they get: no folders in folders, no way out of the directory."""
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) > MOST_FILES:
        raise ConfigError(f"expected at most {MOST_FILES} files, found {len(members)}")
    folders = {one.filename.rpartition("/")[0] for one in members}
    found = {one.filename.rpartition("/")[2]: one for one in members}
    if len(folders) != 1 or "/" in "".join(folders) or len(found) != len(members):
        raise ConfigError("expected the files of one bundle, found several folders, or a name twice")
    foreign = sorted(name for name in found if not _NAME.fullmatch(name))
    if foreign:
        raise ConfigError(f"expected plain names of files, found {foreign[:3]}")
    return found
