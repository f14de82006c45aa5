"""``argonaut backup | restore``: a state directory copied while it is used, and the way back."""

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.paper.store import VENUE_FILE, VenueStore
from bot.cli.ask import operator_name, post
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from ops.backup import MANIFEST, Backup, Cut, delete_drafts, restore_backup, write_backup
from ops.disk import LOW_BYTES, LocalDisk
from ops.journal import load_verify_key, public_path, read_chain
from ops.retention import delete_surplus
from ops.state_dir import JOURNAL, JOURNAL_KEY
from ops.state_lock import lock_holder, try_lock
from strategies.errors import ConfigError, TransientError

_TIMES = "????????T??????Z"
"""In the names of backups that a later one may delete; a person's own never."""


def backup(
    destination: Annotated[
        Path | None, typer.Argument(metavar="[DEST]", help="New folder for the backup.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Make one here, named by daemon and time.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="With --into: delete all but so many of the newest.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Copy the state directory as it is at one instant, also while a daemon trades.

    The copy has the journal, the key that signs it, what restricts trading, and the paper account; it holds
    a secret, so keep it where nobody else reads it. Backtests, logs and the index are not in it.

    Examples:
      argonaut backup /mnt/backups/argonaut-2026-11-26

      argonaut backup --into /mnt/backups --keep 7

    Exit codes: 0 done; 64 neither DEST nor --into, or both; 70 the journal is damaged; 74 the disk refused or
    is too full; 75 the daemon does not answer; 78 there is nothing to copy, or something at DEST.
    """
    if not (state_dir / JOURNAL).is_dir():
        raise ConfigError(f"{state_dir}: expected a state directory with a journal, found none")
    now = datetime.now(UTC)
    created = now.isoformat(timespec="seconds")
    if (destination is None) == (into is None) or (keep is not None and into is None):
        raise typer.BadParameter("expected DEST, or --into and perhaps --keep", param_hint="DEST")
    if destination is None:
        assert into is not None
        delete_drafts(into)
        destination = into / f"{_prefix(state_dir)}{now:%Y%m%dT%H%M%SZ}"
    _refuse_full(state_dir, destination)
    answer = post(state_dir, "/v1/snapshot", {"who": operator_name(), "reason": f"backup to {destination}"})
    if answer is not None:
        snapshot = None if answer["venue"] is None else state_dir / answer["venue"]
        try:
            done = _write(state_dir, destination, answer["seq"], snapshot, created)
        finally:
            if snapshot is not None:
                snapshot.unlink(missing_ok=True)
    else:
        done = _backup_alone(state_dir, destination, created)
    if into is not None and keep is not None:
        delete_surplus(into, _prefix(state_dir) + _TIMES, keep=keep, manifest=MANIFEST)
    _tell(done, destination, f"{destination} has", as_json=as_json)
    return ExitCode.OK


def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A backup.")],
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make a new state directory of a backup; a daemon on it starts halted.

    What has been traded since the backup was taken is not in it. A live venue knows it, and the comparison at
    the start names each difference; so look at `argonaut reconcile` before you resume.

    Examples:
      argonaut restore /mnt/backups/argonaut-2026-11-26 --state-dir var

    Exit codes: 0 done; 70 the backup is damaged; 74 the disk refused; 78 it is no backup, or the state
    directory is not empty.
    """
    done = restore_backup(LocalDisk(), source, state_dir, ts_ns=time.time_ns(), who=operator_name())
    _tell(
        done,
        state_dir,
        f"{state_dir} is restored, and halted until `argonaut resume`; it has",
        as_json=as_json,
    )
    return ExitCode.OK


def _prefix(state_dir: Path) -> str:
    """How the backups of this daemon, and of no other one, are named where several share a folder."""
    key = load_verify_key(LocalDisk(), state_dir / public_path(JOURNAL_KEY))
    return f"argonaut-{key.fingerprint[:8]}-"


def _refuse_full(state_dir: Path, destination: Path) -> None:
    """Refuse where the copy would leave the disk so full that the daemon on it takes no more risk."""
    disk, place = LocalDisk(), next(one for one in (destination, *destination.parents) if one.exists())
    needed = sum(path.stat().st_size for path in (state_dir / JOURNAL).iterdir()) + LOW_BYTES
    if disk.free_bytes(place) < needed:
        raise OSError(
            f"{destination}: expected {needed >> 20} MiB free, found {disk.free_bytes(place) >> 20} MiB; "
            "give a place on another disk ([jobs] backup_dir)"
        )


def _backup_alone(state_dir: Path, destination: Path, created: str) -> Backup:
    """Back up what no daemon uses."""
    lock = try_lock(state_dir)
    if lock is None:
        raise TransientError(
            f"process {lock_holder(state_dir)} uses {state_dir} and does not listen (yet); try again"
        )
    with lock:
        disk = LocalDisk()
        key = load_verify_key(disk, state_dir / public_path(JOURNAL_KEY))
        seq = read_chain(disk, state_dir / JOURNAL, key).chain.seq
        if not (state_dir / VENUE_FILE).exists():
            return _write(state_dir, destination, seq, None, created)
        snapshot = state_dir / f".{VENUE_FILE}.backup"
        try:
            with closing(VenueStore(state_dir / VENUE_FILE)) as store:
                store.copy_to(snapshot)
            return _write(state_dir, destination, seq, snapshot, created)
        finally:
            snapshot.unlink(missing_ok=True)


def _write(state_dir: Path, destination: Path, seq: int, snapshot: Path | None, created: str) -> Backup:
    venue = {} if snapshot is None else {VENUE_FILE: snapshot}
    return write_backup(LocalDisk(), state_dir, destination, Cut(seq, venue), created=created)


def _tell(done: Backup, place: Path, what: str, *, as_json: bool) -> None:
    if as_json:
        emit_json({"path": str(place), **done._asdict()})
    else:
        emit_text(f"{what} {done.seq} records of {done.created} in {len(done.files)} files\nhead {done.head}")
