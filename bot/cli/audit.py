"""``argonaut audit verify | prove | show``: the journal, also while a daemon writes."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
)
from bot.exit_codes import ExitCode
from bot.pins import code_sha256
from ops.disk import LocalDisk
from ops.journal import (
    BrokenChainError,
    Kind,
    VerifyKey,
    load_or_create_key,
    load_verify_key,
    public_path,
)
from ops.journal.anchors import AnchoredHead, read_anchors
from ops.journal.index import open_index
from ops.journal.reading import StoredLine, newest_lines
from ops.journal.records import decode
from ops.journal.segments import segment_numbers
from ops.journal.verifying import check_proof, prove, verify
from ops.state_dir import INDEX, JOURNAL, JOURNAL_KEY
from ops.waypoints import advance_waypoint
from strategies.errors import ConfigError

app = typer.Typer(no_args_is_help=True)

_HEAD = re.compile(r"[0-9a-f]{64}")

KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="Public key that must have signed; default: keys/journal.pub of the state."),
]


@app.command(name="verify")
def verify_journal(
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="HEAD", help="Hash that must be in it, or a file of anchors."),
    ] = None,
    key: KeyOption = None,
    index: Annotated[
        bool, typer.Option("--index", help="Check the index, too, and make it again where it is wrong.")
    ] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Check every byte of the journal; it is tamper-evident up to the last anchor, nothing more.

    Examples:
      argonaut audit verify

      argonaut audit verify --index

      argonaut audit verify --anchor 9f2c… --anchor /mnt/anchors.jsonl

    Exit codes: 0 it is what was written; 1 the index was not, and was made again; 70 the journal is not, and
    where; 78 there is no journal or key.
    """
    folder = _journal(state_dir)
    anchors = [head for given in anchor or () for head in _anchors(given)]
    try:
        found = verify(LocalDisk(), folder, _key(state_dir, key), anchors)
    except BrokenChainError as error:
        if not as_json:
            raise
        where = {"segment": error.segment, "offset": error.offset, "seq": error.seq, "why": error.why}
        emit_json({"is_whole": False, **where})
        note(f"argonaut: {error}")
        return ExitCode.AUDIT_CHAIN
    is_index_right = _check_index(state_dir) if index else None
    if as_json:
        emit_json({"is_whole": True, "is_index_right": is_index_right, **found._asdict()})
    else:
        tail = f", {found.unfinished_bytes} bytes unfinished" if found.unfinished_bytes else ""
        emit_text(
            f"whole: {found.records} records in {found.segments} segments{tail}\n"
            f"head {found.head}\n"
            f"signed up to record {found.signed_seq} by {found.checkpoints} checkpoints; "
            f"{found.anchors} anchors given, all found"
        )
        if is_index_right is not None:
            emit_text(
                "the index says the same" if is_index_right else "the index was wrong, and was made again"
            )
    return ExitCode.FINDINGS if is_index_right is False else ExitCode.OK


@app.command(name="prove")
def prove_record(
    seq: Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Number of the record.")],
    key: KeyOption = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Prove to somebody who has the public key, and nothing else, that a record is in the journal.

    Examples:
      argonaut audit prove 1204 > proof.json

    Exit codes: 0 proven; 64 no such record, or not signed yet; 70 the journal is broken; 78 there is none.
    """
    verify_key = _key(state_dir, key)
    try:
        proof = prove(LocalDisk(), _journal(state_dir), verify_key, seq)
    except LookupError as error:
        raise typer.BadParameter(str(error), param_hint="SEQ") from error
    check_proof(proof, verify_key)
    document = proof._asdict() | {"path": list(proof.path)}
    if as_json:
        emit_json(document)
    else:
        emit_text(
            f"{proof.line}\n"
            f"is record {seq} of the {proof.checkpoint['seq']} under root {proof.checkpoint['root']},\n"
            f"signed by key {proof.checkpoint['key']}; --json prints the proof"
        )
    return ExitCode.OK


@app.command(name="show")
def show_records(
    kind: Annotated[list[Kind] | None, typer.Option("--kind", help="Only these kinds; repeatable.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="ISO date or time, UTC.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show the newest records of the journal, oldest first.

    Examples:
      argonaut audit show --kind control --limit 20

    Exit codes: 0 done; 70 the journal is broken; 78 there is none.
    """
    kinds, since_ns = frozenset(kind or Kind), _ns(since)

    def is_wanted(line: StoredLine) -> bool:
        return line.kind in kinds and (since_ns is None or decode(line.content).ts_ns >= since_ns)

    lines = newest_lines(LocalDisk(), _journal(state_dir), is_wanted, limit)
    records = [decode(line.content) for line in lines]
    if as_json:
        emit_json([record._asdict() for record in records])
    else:
        emit_text("\n".join(map(_text, records)) if records else "no records")
    return ExitCode.OK


@app.command()
def mark(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Note how far the journal was checked, and what it says, so that a start reads what came after.

    Everything up to the segment that is written now; it is read and checked first, from the last mark on. The
    daemon's job ``mark-journal`` does it every night.

    Examples:
      argonaut audit mark

    Exit codes: 0 done; 70 the journal is not what was written; 74 the disk refused; 78 there is no journal.
    """
    _journal(state_dir)
    disk, path = LocalDisk(), state_dir / JOURNAL_KEY
    if not path.exists():
        raise ConfigError(f"{path}: expected the key that signs the journal, found none; put it back")
    seq = advance_waypoint(disk, state_dir, load_or_create_key(disk, path), code_sha256())
    emit_json({"seq": seq}) if as_json else emit_text(f"a start reads the records after {seq:,}")
    return ExitCode.OK


def _check_index(state_dir: Path) -> bool:
    with open_index(state_dir / JOURNAL, state_dir / INDEX) as index:
        return index.check()


def _journal(state_dir: Path) -> Path:
    folder = state_dir / JOURNAL
    if not segment_numbers(LocalDisk(), folder):
        raise ConfigError(f"{folder}: expected a journal, found none; give the daemon's --state-dir")
    return folder


def _key(state_dir: Path, given: Path | None) -> VerifyKey:
    path = given or public_path(state_dir / JOURNAL_KEY)
    try:
        return load_verify_key(LocalDisk(), path)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: expected the public key of the journal, found none; put it back, or give it with --key"
        ) from None


def _anchors(given: str) -> list[AnchoredHead]:
    if _HEAD.fullmatch(given):
        return [AnchoredHead(0, given)]
    path = Path(given)
    if not path.is_file():
        raise ConfigError(f"--anchor {given}: expected 64 hex digits or a file of anchors, found neither")
    return read_anchors(path)


def _ns(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--since {text}: expected an ISO date or time, for example 2024-01-31") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp()) * 10**9 + at.microsecond * 1_000


def _text(record: Any) -> str:
    at = datetime.fromtimestamp(record.ts_ns // 10**9, UTC)
    fields = " ".join(f"{key}={value}" for key, value in record.body.items())
    return f"{record.seq:>8} {at:%Y-%m-%d %H:%M:%S} {record.kind:<13} {fields}"
