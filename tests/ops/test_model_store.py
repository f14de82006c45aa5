"""The store of models: links that lead to one bundle or the other, never to half of one."""

import shutil
from pathlib import Path

import pytest

from ops.model_store import ModelStore
from strategies.bundle import Bundle, open_bundle
from strategies.errors import ConfigError
from tests.support.bundles import write_small_bundle

NAME = "two_trained"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "state")


def add(store: ModelStore, tmp_path: Path, seed: int) -> Bundle:
    return store.add(write_small_bundle(tmp_path / "elsewhere", seed=seed))


def test_imported_bundle_is_found_by_the_first_digits_of_its_id(store: ModelStore, tmp_path: Path) -> None:
    first, second = add(store, tmp_path, 0), add(store, tmp_path, 1)

    assert store.find(NAME, first.bundle_id[:6]) == first
    assert store.find(NAME, second.bundle_id) == second
    assert sorted(entry.path for entry in store.entries()) == sorted([first.path, second.path])


@pytest.mark.parametrize("bundle_id", ["", "zzz"])
def test_id_of_none_or_several_is_refused(store: ModelStore, tmp_path: Path, bundle_id: str) -> None:
    add(store, tmp_path, 0)
    add(store, tmp_path, 1)

    with pytest.raises(ConfigError, match="first digits of one of"):
        store.find(NAME, bundle_id)


def test_nothing_is_active_before_it_is_promoted(store: ModelStore, tmp_path: Path) -> None:
    add(store, tmp_path, 0)

    assert store.active_id(NAME) is None
    with pytest.raises(ConfigError, match="none is active yet"):
        store.find(NAME, "active")


def test_promotion_and_rollback_change_places(store: ModelStore, tmp_path: Path) -> None:
    first, second = add(store, tmp_path, 0), add(store, tmp_path, 1)
    store.promote(NAME, first.bundle_id)
    store.promote(NAME, second.bundle_id)

    assert store.active_id(NAME) == second.bundle_id
    assert store.rollback(NAME) == first
    assert store.active_id(NAME) == first.bundle_id
    assert store.find(NAME, "previous") == second
    assert store.rollback(NAME) == second


def test_promoting_what_is_active_keeps_the_one_before_it(store: ModelStore, tmp_path: Path) -> None:
    first, second = add(store, tmp_path, 0), add(store, tmp_path, 1)
    store.promote(NAME, first.bundle_id)
    store.promote(NAME, second.bundle_id)

    store.promote(NAME, second.bundle_id)

    assert store.find(NAME, "previous") == first


def test_rollback_without_a_predecessor_is_refused(store: ModelStore, tmp_path: Path) -> None:
    bundle = add(store, tmp_path, 0)
    store.promote(NAME, bundle.bundle_id)

    with pytest.raises(ConfigError, match="none is previous yet"):
        store.rollback(NAME)
    assert store.active_id(NAME) == bundle.bundle_id


def test_damaged_bundle_is_listed_and_never_promoted(store: ModelStore, tmp_path: Path) -> None:
    first, second = add(store, tmp_path, 0), add(store, tmp_path, 1)
    store.promote(NAME, first.bundle_id)
    (second.path / "policy.onnx").write_bytes(b"")

    with pytest.raises(ConfigError, match="not what the manifest says"):
        store.promote(NAME, second.bundle_id)
    assert store.active_id(NAME) == first.bundle_id
    problems = {entry.path: entry.problem for entry in store.entries()}
    assert problems[first.path] == ""
    assert "policy.onnx" in problems[second.path]


def test_link_of_the_store_can_be_followed_by_a_strategy_file(store: ModelStore, tmp_path: Path) -> None:
    bundle = add(store, tmp_path, 0)
    store.promote(NAME, bundle.bundle_id)

    assert open_bundle(tmp_path / "state" / "models" / NAME / "active") == bundle


def test_store_can_be_moved_with_its_links(store: ModelStore, tmp_path: Path) -> None:
    bundle = add(store, tmp_path, 0)
    store.promote(NAME, bundle.bundle_id)

    shutil.move(tmp_path / "state", tmp_path / "moved")

    assert ModelStore(tmp_path / "moved").active_id(NAME) == bundle.bundle_id


def test_interrupted_import_is_no_entry_and_is_done_over(store: ModelStore, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "elsewhere")
    partial = store.directory(NAME) / f".partial-{bundle.bundle_id[:12]}"
    partial.mkdir(parents=True)
    (partial / "policy.onnx").write_bytes(b"half")

    assert store.entries() == []
    assert store.add(bundle).bundle_id == bundle.bundle_id
    assert len(store.entries()) == 1


def test_bundle_from_elsewhere_cannot_be_pointed_at(store: ModelStore, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "elsewhere")

    with pytest.raises(ConfigError, match="import it first"):
        store.point(NAME, "active", bundle)


@pytest.mark.parametrize("pointer", ["active", "previous"])
@pytest.mark.parametrize("damage", ["file", "flipped"])
def test_damaged_link_is_refused_and_moves_nothing(
    store: ModelStore, tmp_path: Path, pointer: str, damage: str
) -> None:
    first, second = add(store, tmp_path, 0), add(store, tmp_path, 1)
    store.promote(NAME, first.bundle_id)
    store.promote(NAME, second.bundle_id)
    folder = store.directory(NAME)
    target = (folder / pointer).readlink().name
    (folder / pointer).unlink()
    if damage == "file":
        (folder / pointer).write_text(target)
    else:
        (folder / pointer).symlink_to(f"{target[:-1]}~")
    before = sorted((one.name, one.is_symlink() and one.readlink()) for one in folder.iterdir())

    with pytest.raises(ConfigError, match=r"expected a link|cannot be read"):
        store.find(NAME, pointer)
    with pytest.raises(ConfigError, match=r"expected a link|cannot be read"):
        store.rollback(NAME)
    assert sorted((one.name, one.is_symlink() and one.readlink()) for one in folder.iterdir()) == before
