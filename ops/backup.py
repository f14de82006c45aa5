"""A copy of a state directory that another daemon can go on from, and the way back from it.

Flow: state directory, one instant → **backup** → manifest → **restore** → halted until an operator resumes.

A backup is what a crash at one instant would have left: the journal up to a record, and the paper venue as
it was when that record was the newest. So the way back from it is the way back from a crash. What the venue
has done since, the backup cannot know: whoever restores one starts halted, and the comparison with the venue
at the start names every order and position that is newer.

The bundles that a link of the model store leads to come along, with the links. What a host file names
elsewhere does not: configuration and the bundles beside it are kept where they are written.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ops.disk import Disk
from ops.journal import load_verify_key, public_path, read_chain
from ops.journal.reading import StoredLine
from ops.journal.records import stored_hash
from ops.journal.segments import segment_path
from ops.journal.verifying import Verified, verify
from ops.latch import LATCH, TradingLatch
from ops.model_store import MODELS, POINTERS
from ops.state_dir import IDENTITY, JOURNAL, JOURNAL_KEY
from strategies.errors import AuditError, ConfigError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction

MANIFEST = "backup.json"
_FORMAT = 1


class Cut(NamedTuple):
    """The instant that a backup is of."""

    seq: int
    """The newest record of the journal then."""
    venue: Mapping[str, Path]
    """The venue's own files as they were then, by the name that they have in the state directory."""


class Backup(NamedTuple):
    """What a manifest says."""

    created: str
    seq: int
    """Records of the journal."""
    head: str
    """Hash of the last of them."""
    files: Mapping[str, str]
    """SHA-256 of each file, by its path."""
    links: Mapping[str, str]
    """Links of the model store by their path: the name beside them that each leads to."""


def write_backup(disk: Disk, state_dir: Path, destination: Path, cut: Cut, *, created: str) -> Backup:
    """Copy a state directory, also while a daemon uses it; the destination is whole, or is not there.

    It holds the key that signs the journal, so nobody else may read it (mode 0700).

    Args:
        destination: Must not exist, or be an empty folder.
        created: Now, as ISO text.

    Raises:
        ConfigError: If the destination is taken, or there is nothing to copy.
        BrokenChainError: If the journal is damaged.
        OSError: If the disk refuses.
    """
    _refuse_taken(destination, "backups")
    if not (state_dir / JOURNAL).is_dir():
        raise ConfigError(f"{state_dir}: expected a state directory with a journal, found none")
    draft = _draft_of(destination)
    try:
        (draft / JOURNAL).mkdir()
        head = _copy_journal(disk, state_dir, draft, cut.seq)
        names = [JOURNAL_KEY, public_path(JOURNAL_KEY), Path(IDENTITY), Path(LATCH)]
        given = {str(name): state_dir / name for name in names if (state_dir / name).exists()}
        for name, path in {**given, **cut.venue}.items():
            _put(draft / name, path.read_bytes())
        links = _copy_models(state_dir, draft)
        backup = Backup(created, cut.seq, head, _hashes(draft), links)
        _put(draft / MANIFEST, json.dumps({"format": _FORMAT, **backup._asdict()}, indent=2).encode() + b"\n")
        _publish(draft, destination)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return backup


def restore_backup(disk: Disk, source: Path, state_dir: Path, *, ts_ns: int, who: str) -> Backup:
    """Make a state directory of a backup: halted, until an operator has compared it with the venue.

    Args:
        state_dir: Must not exist, or be an empty folder; it is whole afterwards, or as it was.
        ts_ns: Now, UTC nanoseconds.
        who: Who restores; the halt names them.

    Raises:
        ConfigError: If the source is no backup, or the state directory is taken.
        AuditError: If the backup is not what was written.
        OSError: If the disk refuses.
    """
    backup = check_backup(disk, source)
    state_dir = state_dir.resolve()
    _refuse_taken(state_dir, "state directories")
    draft = _draft_of(state_dir)
    try:
        for name in backup.files:
            _put(draft / name, (source / name).read_bytes())
        for name, target in backup.links.items():
            (draft / name).symlink_to(target)
        _halt(disk, draft, backup, ts_ns, who)
        _publish(draft, state_dir)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return backup


def check_backup(disk: Disk, source: Path) -> Backup:
    """Check that a backup is what was written: every file, and the journal's chain and signatures.

    Raises:
        ConfigError: If it is no backup.
        AuditError: If it is damaged.
    """
    backup = _read_manifest(source)
    found = _hashes(source)
    found.pop(MANIFEST)
    for name in sorted({*found, *backup.files}):
        if found.get(name) != backup.files.get(name):
            raise AuditError(
                f"{source / name}: expected the file that the manifest names, found "
                f"{'another' if name in found else 'none'}; take another backup"
            )
    if _links(source) != backup.links:
        raise AuditError(
            f"{source / MODELS}: expected the links {dict(backup.links)}, found {_links(source)}; "
            "take another backup"
        )
    key = load_verify_key(disk, source / public_path(JOURNAL_KEY))
    whole: Verified = verify(disk, source / JOURNAL, key)
    if (whole.records, whole.head) != (backup.seq, backup.head):
        raise AuditError(
            f"{source}: expected {backup.seq} records up to {backup.head}, found {whole.records} up to "
            f"{whole.head}; take another backup"
        )
    return backup


def delete_drafts(folder: Path) -> None:
    """Delete what backups that were killed have left in a folder; one that is being made stays.

    Raises:
        OSError: If the disk refuses.
    """
    for path in folder.glob(".*.draft"):
        pid = path.name.split(".")[-2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and not path.is_symlink():
            shutil.rmtree(path)


def _copy_journal(disk: Disk, state_dir: Path, draft: Path, seq: int) -> str:
    """Copy the journal up to a record, checking it on the way; the record's hash."""
    ends: dict[int, int] = {}
    last = b""

    def visit(line: StoredLine) -> None:
        nonlocal last
        if line.seq <= seq:
            ends[line.segment], last = line.offset + len(line.content), line.content

    folder = state_dir / JOURNAL
    end = read_chain(disk, folder, load_verify_key(disk, state_dir / public_path(JOURNAL_KEY)), visit)
    if end.chain.seq < seq:
        raise AuditError(f"{folder}: expected {seq} records, found {end.chain.seq}")
    for number, size in ends.items():
        _put(segment_path(draft / JOURNAL, number), disk.read(segment_path(folder, number), 0, size))
    return stored_hash(last).hex() if last else "0" * 64


def _copy_models(state_dir: Path, draft: Path) -> dict[str, str]:
    """Copy the bundles that links of the model store lead to, and the links; these, by their path."""
    links = _links(state_dir)
    for name, target in links.items():
        if not _is_beside(target):
            raise ConfigError(f"{state_dir / name}: expected a link to a bundle beside it, found {target}")
        bundle = (state_dir / name).with_name(target)
        for path in sorted(one for one in bundle.rglob("*") if one.is_file() and not one.is_symlink()):
            place = draft / path.relative_to(state_dir)
            if not place.exists():  # two links may lead to one bundle
                _put(place, path.read_bytes())
        (draft / name).symlink_to(target)
    return links


def _links(place: Path) -> dict[str, str]:
    found = (
        link for pointer in POINTERS for link in (place / MODELS).glob(f"*/{pointer}") if link.is_symlink()
    )
    return {str(link.relative_to(place)): str(link.readlink()) for link in sorted(found)}


def _halt(disk: Disk, draft: Path, backup: Backup, ts_ns: int, who: str) -> None:
    gate = TradingGate(armed=False, now=lambda: ts_ns)
    latch = TradingLatch(draft / LATCH, disk, gate, record=lambda *_: None, now=lambda: ts_ns)
    latch.load()
    reason = (
        f"restored from a backup of {backup.created} (record {backup.seq}); "
        "compare with the venue (argonaut reconcile), then resume"
    )
    latch.hold(Restriction(EVERYTHING, TradingState.HALTED, reason, who, ts_ns, Origin.OPERATOR))
    if not latch.is_durable:
        raise OSError(latch.fault)


def _read_manifest(source: Path) -> Backup:
    path = source / MANIFEST
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            raise ConfigError(
                f"{path}: expected a backup of format {_FORMAT}, found {document['format']}; "
                "use the version of Argonaut that made it"
            )
        document.setdefault("links", {})  # those of before have none
        backup = Backup(*(document[field] for field in Backup._fields))
        strange = [name for name in [*backup.files, *backup.links] if _leads_out(name)]
        strange += [
            target for target in backup.links.values() if len(Path(target).parts) != 1 or target == ".."
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected the manifest of a backup, found: {error!r}") from error
    if strange:
        raise ConfigError(f"{path}: expected files inside the backup, found {strange[0]}")
    return backup


def _is_beside(target: str) -> bool:
    return len(Path(target).parts) == 1 and target != ".." and not Path(target).is_absolute()


def _leads_out(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _refuse_taken(place: Path, what: str) -> None:
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(
            f"{place}: expected an empty folder or none, for {what} are never overwritten; give another"
        )


def _draft_of(place: Path) -> Path:
    draft = place.with_name(f".{place.name}.{os.getpid()}.draft")
    draft.mkdir(mode=0o700, parents=True)
    return draft


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _publish(draft: Path, place: Path) -> None:
    for folder in [*(path for path in draft.rglob("*") if path.is_dir()), draft]:
        _flush(folder)
    draft.rename(place)  # an empty folder is replaced
    _flush(place.parent)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
