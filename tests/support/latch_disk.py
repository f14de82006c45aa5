"""A disk in memory that refuses to take the latch, before or after it has done so."""

from pathlib import Path

from ops.disk import LocalDisk


class RefusingDisk(LocalDisk):
    """Holds what was replaced in memory; everything else is the local disk's."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}
        self.writes = 0
        self.refusal: OSError | None = None
        """Raised instead of replacing."""
        self.late_refusal: OSError | None = None
        """Raised once, after replacing: the content is there, its entry may not be durable."""

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        content = self.files[path][offset:]
        return content if size is None else content[:size]

    def replace(self, path: Path, content: bytes) -> None:
        self.writes += 1
        if self.refusal is not None:
            raise self.refusal
        self.files[path] = content
        if self.late_refusal is not None:
            error, self.late_refusal = self.late_refusal, None
            raise error
