"""Models over the interface: the store behind it, what is said of the daemon that runs, and uploads."""

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.bundle_upload import MOST_BYTES, MOST_FILES
from ops.model_desk import ModelDesk
from ops.model_store import MODELS, ModelStore
from ops.refusals import RefusedError
from strategies.bundle import Bundle
from tests.support.bundles import write_small_bundle

NAME = "two_trained"


def using[T](
    state_dir: Path, use: Callable[[ModelDesk], Awaitable[T]], trading: Mapping[str, str] | None = None
) -> T:
    async def run() -> T:
        desk = ModelDesk(state_dir, lambda: trading or {})
        try:
            return await use(desk)
        finally:
            desk.close()

    return asyncio.run(run())


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def files_of(bundle: Bundle, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}{path.name}": path.read_bytes() for path in bundle.path.iterdir()}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Bundle, Bundle]:
    """Two bundles in the store of the directory."""
    store = ModelStore(tmp_path)
    made = [write_small_bundle(tmp_path / "elsewhere", seed=seed) for seed in (0, 1)]
    return store.add(made[0]), store.add(made[1])


def test_models_are_listed_with_the_links_to_them_and_shown_whole(
    tmp_path: Path, two: tuple[Bundle, Bundle]
) -> None:
    ModelStore(tmp_path).promote(NAME, two[0].bundle_id)

    listed = using(tmp_path, lambda desk: desk.models())
    shown = using(tmp_path, lambda desk: desk.show(NAME, "active"))

    assert {one["bundle_id"]: one["pointers"] for one in listed} == {
        two[0].bundle_id: ["active"],
        two[1].bundle_id: [],
    }
    assert (shown["bundle_id"], shown["lineage"]) == (two[0].bundle_id, {"parent": None})


@pytest.mark.parametrize(
    ("trades", "words"),
    [
        (None, "no strategy of this daemon is called two_trained"),
        ("0" * 64, "goes on with 000000000000 until this daemon starts anew"),
        ("promoted", "trades it already"),
    ],
)
def test_promotion_says_what_the_daemon_that_runs_makes_of_it(
    tmp_path: Path, two: tuple[Bundle, Bundle], trades: str | None, words: str
) -> None:
    policy = two[0].bundle_id if trades == "promoted" else trades
    trading = {} if policy is None else {NAME: policy}

    answer = using(tmp_path, lambda desk: desk.promote(NAME, two[0].bundle_id[:8]), trading)

    assert (answer["bundle_id"], answer["trades_now"]) == (two[0].bundle_id, policy)
    assert answer["takes_effect"] == "at the next start"
    assert words in answer["effect"]
    assert ModelStore(tmp_path).active_id(NAME) == two[0].bundle_id


def test_rollback_that_is_sent_twice_goes_back_once(tmp_path: Path, two: tuple[Bundle, Bundle]) -> None:
    store = ModelStore(tmp_path)
    store.promote(NAME, two[0].bundle_id)
    store.promote(NAME, two[1].bundle_id)

    for _ in range(2):
        answer = using(tmp_path, lambda desk: desk.rollback(NAME, two[1].bundle_id[:12]))
        assert answer["bundle_id"] == two[0].bundle_id

    assert store.active_id(NAME) == two[0].bundle_id


def test_rollback_from_what_is_not_active_is_refused(tmp_path: Path, two: tuple[Bundle, Bundle]) -> None:
    store = ModelStore(tmp_path)
    store.promote(NAME, two[0].bundle_id)
    store.promote(NAME, two[1].bundle_id)

    with pytest.raises(RefusedError, match="expected to go back from"):
        using(tmp_path, lambda desk: desk.rollback(NAME, "0000"))
    assert store.active_id(NAME) == two[1].bundle_id


@pytest.mark.parametrize("ask", ["show", "promote", "rollback"])
def test_model_that_is_not_there_is_unknown(tmp_path: Path, ask: str) -> None:
    with pytest.raises(RefusedError) as refused:
        using(tmp_path, lambda desk: getattr(desk, ask)(NAME, "abcd"))

    assert refused.value.is_unknown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["", "bundle/"])
def test_bundle_that_is_sent_joins_the_store_and_is_not_promoted(tmp_path: Path, folder: str) -> None:
    bundle = write_small_bundle(tmp_path / "elsewhere")

    answer = using(tmp_path, lambda desk: desk.take_in(zipped(files_of(bundle, folder))))

    store = ModelStore(tmp_path)
    assert (answer["name"], answer["bundle_id"]) == (NAME, bundle.bundle_id)
    assert [entry.pointers for entry in store.entries()] == [()]
    assert store.find(NAME, bundle.bundle_id).files == bundle.files


def hostile() -> list[Any]:
    many = {f"file-{number}.json": b"{}" for number in range(MOST_FILES + 1)}
    bomb = {"manifest.json": b"\0" * (MOST_BYTES + 1)}
    return [
        pytest.param(b"", "File is not a zip file", id="nothing"),
        pytest.param(b"PK\x03\x04 no archive", "File is not a zip file", id="no archive"),
        pytest.param(zipped({"../../escape.json": b"{}"}), "several folders", id="upwards"),
        pytest.param(zipped({"/etc/escape.json": b"{}"}), "several folders", id="absolute"),
        pytest.param(zipped({"a/b/escape.json": b"{}"}), "several folders", id="deeper"),
        pytest.param(zipped({"..\\escape.json": b"{}"}), "plain names", id="backslash"),
        pytest.param(zipped({".hidden.json": b"{}"}), "plain names", id="hidden"),
        pytest.param(zipped({"a/x.json": b"", "b/y.json": b""}), "several folders", id="two folders"),
        pytest.param(zipped({"policy.onnx": b""}), "no manifest", id="no manifest"),
        pytest.param(zipped(many), f"at most {MOST_FILES} files", id="too many"),
        pytest.param(zipped(bomb), f"at most {MOST_BYTES} bytes unpacked", id="bomb"),
    ]


@pytest.mark.parametrize(("content", "why"), hostile())
def test_archive_that_is_no_bundle_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, why: str
) -> None:
    state_dir = tmp_path / "deep" / "state"

    with pytest.raises(RefusedError, match=why):
        using(state_dir, lambda desk: desk.take_in(content))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((state_dir / MODELS).iterdir()) == []


def test_archive_with_a_byte_changed_is_refused(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "elsewhere")
    files = files_of(bundle) | {"scorecard.json": b'{"judged": {}}'}

    with pytest.raises(RefusedError, match=r"scorecard\.json is not what the manifest says"):
        using(tmp_path, lambda desk: desk.take_in(zipped(files)))
    assert ModelStore(tmp_path).entries() == []
