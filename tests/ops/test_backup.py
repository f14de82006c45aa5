import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ops.backup import MANIFEST, Backup, Cut, check_backup, restore_backup, write_backup
from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Kind, SigningKey, load_or_create_key, load_verify_key, public_path
from ops.journal.segments import segment_numbers
from ops.journal.verifying import verify
from ops.latch import LATCH, TradingLatch
from ops.model_store import MODELS, ModelStore
from ops.state_dir import IDENTITY, JOURNAL, JOURNAL_KEY
from strategies.errors import AuditError, ConfigError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction
from tests.support.bundles import write_small_bundle
from tests.support.journals import open_journal

RECORDS = 40


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory with a journal of some segments, a latch, an identity and a venue's file."""
    place, disk = tmp_path / "var", LocalDisk()
    key = load_or_create_key_in(place)
    journal, writer = open_journal(disk, folder=place / JOURNAL, key=key, segment_bytes=3_600)
    for number in range(RECORDS):
        journal.append(Kind.NOTE, {"number": number, "what": "x" * 60}, 1_000 + number)
        writer.step()
    journal.close(9_999)
    assert len(segment_numbers(disk, place / JOURNAL)) > 2
    (place / IDENTITY).write_text('{"kind": "paper"}')
    (place / "paper-venue.sqlite").write_bytes(b"a venue")
    (place / "logs").mkdir()
    return place


def load_or_create_key_in(place: Path) -> SigningKey:
    disk = LocalDisk()
    disk.make_folder(place / "keys")
    return load_or_create_key(disk, place / JOURNAL_KEY)


def backed_up(state_dir: Path, destination: Path, seq: int = 30) -> Backup:
    cut = Cut(seq, {"paper-venue.sqlite": state_dir / "paper-venue.sqlite"})
    return write_backup(LocalDisk(), state_dir, destination, cut, created="2026-11-26T00:00:00+00:00")


def restored(source: Path, place: Path) -> Backup:
    return restore_backup(LocalDisk(), source, place, ts_ns=5, who="a test")


def latch_of(place: Path, gate: TradingGate | None = None) -> TradingLatch:
    given = gate or TradingGate(armed=True)
    latch = TradingLatch(place / LATCH, LocalDisk(), given, record=lambda *_: None, now=lambda: 0)
    latch.load()
    return latch


def test_backup_holds_the_journal_up_to_its_instant_and_nothing_that_can_be_made_again(
    state_dir: Path, tmp_path: Path
) -> None:
    done = backed_up(state_dir, tmp_path / "backup")

    disk, place = LocalDisk(), tmp_path / "backup"
    whole = verify(disk, place / JOURNAL, load_verify_key(disk, place / public_path(JOURNAL_KEY)))
    assert (whole.records, whole.head, whole.unfinished_bytes) == (30, done.head, 0)
    for copied in (place / JOURNAL).iterdir():
        assert (state_dir / JOURNAL / copied.name).read_bytes().startswith(copied.read_bytes())
    assert {path.name for path in place.iterdir()} == {
        *(MANIFEST, JOURNAL, "keys", IDENTITY, "paper-venue.sqlite")
    }
    expected = hashlib.sha256(b"a venue").hexdigest()
    assert json.loads((place / MANIFEST).read_text())["files"]["paper-venue.sqlite"] == expected
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / JOURNAL_KEY).stat().st_mode & 0o777 == 0o600


def test_backup_of_the_same_is_the_same_bytes(state_dir: Path, tmp_path: Path) -> None:
    assert backed_up(state_dir, tmp_path / "one") == backed_up(state_dir, tmp_path / "two")
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()


def test_restore_gives_every_file_back_and_halts_everything(state_dir: Path, tmp_path: Path) -> None:
    backed_up(state_dir, tmp_path / "backup")

    done = restored(tmp_path / "backup", tmp_path / "new")

    for name in done.files:
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "backup" / name).read_bytes()
    gate = TradingGate(armed=True)
    latch_of(tmp_path / "new", gate)
    assert gate.state() is TradingState.HALTED
    assert "restored from a backup of 2026-11-26" in gate.reason()
    assert not list(tmp_path.glob(".*draft*"))


def test_restore_halts_with_a_higher_serial_than_the_journal_knows(state_dir: Path, tmp_path: Path) -> None:
    latch = latch_of(state_dir)
    latch.hold(Restriction(EVERYTHING, TradingState.REDUCING, "a limit", "a test", 1, Origin.OPERATOR))
    assert latch.serial == 1
    backed_up(state_dir, tmp_path / "backup")

    restored(tmp_path / "backup", tmp_path / "new")

    assert latch_of(tmp_path / "new").serial == 2


@pytest.fixture
def store(state_dir: Path, tmp_path: Path) -> ModelStore:
    """Models of the state directory: one that trades, one that did before it, one to which nothing leads."""
    models = ModelStore(state_dir)
    old, new, _ = (models.add(write_small_bundle(tmp_path / "trained", seed=seed)) for seed in range(3))
    models.promote("two_trained", old.bundle_id)
    models.promote("two_trained", new.bundle_id)
    return models


def test_restored_state_has_the_bundle_that_trades_and_the_one_to_go_back_to(
    state_dir: Path, store: ModelStore, tmp_path: Path
) -> None:
    backed_up(state_dir, tmp_path / "backup")
    restored(tmp_path / "backup", tmp_path / "new")

    found, before = ModelStore(tmp_path / "new"), store.entries()
    assert {one.pointers for one in found.entries()} == {("active",), ("previous",)}
    for pointer in ("active", "previous"):
        wanted = store.find("two_trained", pointer)
        assert found.find("two_trained", pointer).files == wanted.files
    assert len(before) == 3
    found.rollback("two_trained")


@pytest.mark.parametrize("harm", ["byte", "link", "no link"])
def test_restore_of_a_backup_whose_models_were_changed_is_refused(
    state_dir: Path, store: ModelStore, tmp_path: Path, harm: str
) -> None:
    backed_up(state_dir, tmp_path / "backup")
    active = tmp_path / "backup" / MODELS / "two_trained" / "active"
    if harm == "byte":
        with (active / "policy.onnx").open("r+b") as file:
            file.write(b"\xff")
    else:
        active.unlink()
    if harm == "link":
        active.symlink_to(store.find("two_trained", "previous").path.name)

    with pytest.raises(AuditError, match="policy.onnx" if harm == "byte" else "expected the links"):
        restored(tmp_path / "backup", tmp_path / "new")

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("target", ["../elsewhere", "/etc", ".."])
def test_link_of_the_model_store_that_leads_out_of_it_is_refused_on_both_ways(
    state_dir: Path, store: ModelStore, tmp_path: Path, target: str
) -> None:
    backed_up(state_dir, tmp_path / "backup")
    manifest = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    manifest["links"]["models/two_trained/active"] = target
    (tmp_path / "backup" / MANIFEST).write_text(json.dumps(manifest))
    link = store.directory("two_trained") / "active"
    link.unlink()
    link.symlink_to(target)

    with pytest.raises(ConfigError, match="inside the backup"):
        restored(tmp_path / "backup", tmp_path / "new")
    with pytest.raises(ConfigError, match="expected a link to a bundle beside it"):
        backed_up(state_dir, tmp_path / "second")
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("place", ["taken", "file"])
def test_backup_and_restore_overwrite_nothing(state_dir: Path, tmp_path: Path, place: str) -> None:
    backed_up(state_dir, tmp_path / "backup")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").touch()
    (tmp_path / "file").touch()

    for attempt in (backed_up, lambda _, to: restored(tmp_path / "backup", to)):
        with pytest.raises(ConfigError, match="never overwritten"):
            attempt(state_dir, tmp_path / place)


def test_restore_into_an_empty_folder_works(state_dir: Path, tmp_path: Path) -> None:
    backed_up(state_dir, tmp_path / "backup")
    (tmp_path / "empty").mkdir()

    restored(tmp_path / "backup", tmp_path / "empty")

    assert (tmp_path / "empty" / JOURNAL).is_dir()


@pytest.mark.parametrize(
    "name", ["paper-venue.sqlite", IDENTITY, "journal/segment-00000001.jsonl", "keys/journal.key"]
)
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_restore_of_a_harmed_backup_is_refused_and_leaves_nothing(
    state_dir: Path, tmp_path: Path, name: str, harm: str
) -> None:
    backed_up(state_dir, tmp_path / "backup")
    path = tmp_path / "backup" / name
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:] if harm == "flip" else content[:-1])
    if harm == "remove":
        path.unlink()

    with pytest.raises(AuditError, match=path.name):
        restored(tmp_path / "backup", tmp_path / "new")

    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*draft*"))


def test_restore_of_a_backup_whose_manifest_was_made_to_fit_is_refused_by_the_chain(
    state_dir: Path, tmp_path: Path
) -> None:
    backed_up(state_dir, tmp_path / "backup")
    segment = tmp_path / "backup" / JOURNAL / "segment-00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"number":3', b'"number":8', 1))
    manifest = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    manifest["files"]["journal/segment-00000001.jsonl"] = hashlib.sha256(segment.read_bytes()).hexdigest()
    (tmp_path / "backup" / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(BrokenChainError):
        check_backup(LocalDisk(), tmp_path / "backup")


def test_restore_of_a_backup_that_lacks_its_last_segment_is_refused(state_dir: Path, tmp_path: Path) -> None:
    backed_up(state_dir, tmp_path / "backup", RECORDS)
    last = max((tmp_path / "backup" / JOURNAL).iterdir())
    manifest = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    last.unlink()
    del manifest["files"][f"journal/{last.name}"]
    (tmp_path / "backup" / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(AuditError, match=f"expected {RECORDS} records"):
        restored(tmp_path / "backup", tmp_path / "new")


@pytest.mark.parametrize("manifest", ["", "[]", '{"format": 2}', '{"format": 1}'])
def test_restore_of_what_is_no_backup_is_refused(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / MANIFEST).write_text(manifest)

    with pytest.raises(ConfigError, match="expected"):
        restored(tmp_path / "backup", tmp_path / "new")


def test_restore_of_a_manifest_that_names_files_elsewhere_is_refused(state_dir: Path, tmp_path: Path) -> None:
    backed_up(state_dir, tmp_path / "backup")
    shutil.copy(state_dir / IDENTITY, tmp_path / "outside")
    manifest = json.loads((tmp_path / "backup" / MANIFEST).read_text())
    manifest["files"]["../outside"] = hashlib.sha256((tmp_path / "outside").read_bytes()).hexdigest()
    (tmp_path / "backup" / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ConfigError, match="inside the backup"):
        restored(tmp_path / "backup", tmp_path / "new")


def test_backup_of_more_records_than_there_are_is_refused_and_leaves_nothing(
    state_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(AuditError, match="expected 4000 records"):
        backed_up(state_dir, tmp_path / "backup", 4_000)

    assert not (tmp_path / "backup").exists()
    assert not list(tmp_path.glob(".*draft*"))
