"""The bundles of one machine, and which of each strategy's trades.

    models/<strategy>/<id>      a bundle, named after the first twelve digits of its id; never changed
    models/<strategy>/latest    link to the one that was trained last
    models/<strategy>/active    link to the one that is to trade; a strategy file may name it as its bundle
    models/<strategy>/previous  link to the one that traded before it

A link is replaced in one step, so whoever follows it finds the old bundle or the new one. A daemon follows it
when it starts.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from strategies.bundle import DRIFT, LINEAGE, SCORECARD, TRAINING, Bundle, open_bundle
from strategies.errors import ConfigError

MODELS = "models"
_ID_LENGTH = 12

type Pointer = Literal["active", "latest", "previous"]
POINTERS: tuple[Pointer, ...] = ("active", "latest", "previous")


class UnknownModelError(ConfigError):
    """There is no such bundle in the store."""


class Entry(NamedTuple):
    """One bundle in the store."""

    name: str
    """Of the strategy."""
    path: Path
    bundle: Bundle | None
    """None where it is damaged."""
    problem: str
    """What is wrong with it; empty where nothing is."""
    pointers: tuple[str, ...]
    """Which links lead to it."""

    def as_json(self) -> dict[str, Any]:
        """For people and programs: what it is, and how it did on bars that it never saw."""
        bundle = self.bundle
        return {
            "name": self.name,
            "path": str(self.path),
            "bundle_id": None if bundle is None else bundle.bundle_id,
            "pointers": list(self.pointers),
            "problem": self.problem or None,
            "judged": None if bundle is None else bundle.document(SCORECARD).get("judged", {}).get("policy"),
        }


class ModelStore:
    """The bundles under a state directory.

    Args:
        state_dir: ``models/`` in it need not be there.
    """

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / MODELS

    def directory(self, name: str) -> Path:
        """Where the bundles of a strategy lie."""
        return self._root / name

    def entries(self) -> list[Entry]:
        """All bundles, by strategy and id; a damaged one is listed with what is wrong with it."""
        found = []
        for folder in sorted(self._root.glob("*/")):
            targets = {pointer: _led_to(folder / pointer) for pointer in POINTERS}
            for path in sorted(folder.iterdir()):
                if path.is_symlink() or not path.is_dir() or path.name.startswith("."):
                    continue
                pointers = tuple(pointer for pointer, target in targets.items() if target == path.name)
                try:
                    found.append(Entry(folder.name, path, open_bundle(path), "", pointers))
                except ConfigError as error:
                    found.append(Entry(folder.name, path, None, str(error), pointers))
        return found

    def find(self, name: str, bundle_id: str) -> Bundle:
        """A bundle by the first digits of its id, or by a link.

        Raises:
            UnknownModelError: If there is not exactly one such bundle.
            ConfigError: If it is damaged.
        """
        folder = self.directory(name)
        if bundle_id in POINTERS:
            if _target(folder / bundle_id) is None:
                raise UnknownModelError(f"models of {name}: none is {bundle_id} yet; promote one first")
            return open_bundle(folder / bundle_id)
        held = [path.name for path in folder.glob("*") if path.is_dir() and not path.is_symlink()]
        matching = [one for one in held if bundle_id and one.startswith(bundle_id[:_ID_LENGTH])]
        if len(matching) != 1:
            raise UnknownModelError(
                f"models of {name}: expected the first digits of one of {sorted(held)}, found {bundle_id!r}"
            )
        return open_bundle(folder / matching[0])

    def active(self, name: str) -> Bundle | None:
        """The bundle that is to trade; None where none is.

        Raises:
            ConfigError: If it is damaged.
        """
        folder = self.directory(name)
        return None if _target(folder / "active") is None else open_bundle(folder / "active")

    def active_id(self, name: str) -> str | None:
        """Id of the bundle that is to trade; None where none is."""
        active = self.active(name)
        return None if active is None else active.bundle_id

    def add(self, bundle: Bundle) -> Bundle:
        """Copy a bundle from elsewhere into the store, wholly or not at all.

        Raises:
            ConfigError: If what is there under its id is something else.
            OSError: If the disk refuses.
        """
        return copy_bundle(bundle, self.directory(bundle.name) / bundle.bundle_id[:_ID_LENGTH])

    def point(self, name: str, pointer: Pointer, bundle: Bundle) -> None:
        """Let a link lead to a bundle of the store, in one step.

        Raises:
            ConfigError: If the bundle is not in the store, or is of another strategy.
        """
        folder = self.directory(name)
        if bundle.name != name or bundle.path.parent != folder.resolve():
            raise ConfigError(f"{bundle.path}: expected a bundle of {name} in {folder}; import it first")
        partial = folder / f".{pointer}.partial"
        partial.unlink(missing_ok=True)
        partial.symlink_to(bundle.path.name)
        partial.replace(folder / pointer)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def promote(self, name: str, bundle_id: str) -> Bundle:
        """Make a bundle the one that is to trade; the one before it stays at hand for `rollback`.

        Raises:
            ConfigError: If there is no such bundle, or it is damaged; nothing has changed then.
        """
        with self._alone(name):
            return self._promote(name, self.find(name, bundle_id))

    def rollback(self, name: str, *, away_from: str | None = None) -> Bundle:
        """Go back to the bundle that traded before; the next rollback returns to this one.

        Args:
            away_from: First digits of the bundle that is to trade no more. Where the one before it is to
                trade already, nothing changes: a request that is sent twice does not come back.

        Raises:
            UnknownModelError: If there is none to go back to.
            ConfigError: If ``away_from`` is not the one that is to trade, or the one before it is damaged;
                nothing has changed then.
        """
        with self._alone(name):
            previous = self.find(name, "previous")
            active = self.find(name, "active")
            if away_from is not None and not active.bundle_id.startswith(away_from):
                if previous.bundle_id.startswith(away_from):
                    return active
                raise ConfigError(
                    f"models of {name}: expected to go back from the one that is to trade, "
                    f"{active.bundle_id[:_ID_LENGTH]}, found {away_from}"
                )
            return self._promote(name, previous)

    def _promote(self, name: str, chosen: Bundle) -> Bundle:
        folder = self.directory(name)
        if _target(folder / "active") is not None:
            active = open_bundle(folder / "active")
            if active.bundle_id == chosen.bundle_id:
                return chosen
            self.point(name, "previous", active)
        self.point(name, "active", chosen)
        return chosen

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Of all processes, only one changes which bundle of a strategy trades."""
        folder = self.directory(name)
        if not folder.is_dir():
            raise UnknownModelError(
                f"models of {name}: expected a bundle in {folder}, found none; import one"
            )
        with (folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def contents_of(bundle: Bundle) -> dict[str, Any]:
    """A bundle's manifest, lineage, scorecard, training and reference for drift as one document."""
    # One whose training data nobody knows has no reference for drift.
    documents = [LINEAGE, SCORECARD, TRAINING, *([DRIFT] if DRIFT in bundle.files else [])]
    return {
        "name": bundle.name,
        "bundle_id": bundle.bundle_id,
        "path": str(bundle.path),
        "files": dict(bundle.files),
        **{file.removesuffix(".json"): bundle.document(file) for file in documents},
    }


def copy_bundle(bundle: Bundle, place: Path) -> Bundle:
    """Copy a bundle, wholly or not at all, and check every byte of the copy.

    Args:
        bundle: Which.
        place: Directory that the copy is to be; it may be there if it is the same bundle.

    Raises:
        ConfigError: If something else is there.
        OSError: If the disk refuses.
    """
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".partial-{place.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(bundle.path, partial)
        partial.rename(place)
    found = open_bundle(place)
    if found.bundle_id != bundle.bundle_id:
        raise ConfigError(f"{place}: another bundle is there; move it away")
    return found


def _target(link: Path) -> str | None:
    """Name of the bundle that a link leads to; None where there is no link.

    Raises:
        ConfigError: If something else lies in its place: it does not say which model is to trade.
    """
    if link.exists() and not link.is_symlink():
        raise ConfigError(
            f"{link}: expected a link to a bundle beside it, found something else; remove it, then promote "
            "the model that is to trade"
        )
    return _led_to(link)


def _led_to(link: Path) -> str | None:
    return link.readlink().name if link.is_symlink() else None
