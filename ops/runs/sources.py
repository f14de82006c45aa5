"""Which configuration files a run may name: those beside the host file, and those in the state directory."""

import re
from pathlib import Path

from ops.refusals import RefusedError

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.toml$"
"""Of a file, from one of the folders on: no part of it begins with a dot, so none leads upwards."""
LONGEST_NAME = 200

_NAME = re.compile(NAME)


class Sources:
    """The folders in which a run may look for configuration files.

    Args:
        folders: The first that has a file gives it.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def find(self, name: str) -> Path:
        """A configuration file by its name.

        Raises:
            RefusedError: If there is none of that name, or it lies elsewhere by a link.
        """
        if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
            raise RefusedError(
                f"expected the name of a .toml file such as training.toml, found {name[:200]!r}"
            )
        for folder in self._folders:
            path = (folder / name).resolve()
            if path.is_file() and path.is_relative_to(folder):
                return path
        raise RefusedError(
            f"{name}: expected a file beside the host file or in the state directory, found none",
            is_unknown=True,
        )
