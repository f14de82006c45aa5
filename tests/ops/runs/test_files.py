"""Files of a run: what there is, by which names, and all of them as one."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from ops.refusals import RefusedError
from ops.runs import files
from ops.runs.files import files_of, files_to_zip, find_file, zipped
from ops.runs.folder import PLACE, RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run with output, a model, and things around it that are none of its files."""
    state_dir = tmp_path / "state"
    made = RunFolder.of(state_dir, 1)
    made.path.mkdir(parents=True)
    for name in ("training/a/tensorboard", "models/one/abc", "journal"):
        (state_dir / name).mkdir(parents=True)
    made.write(PLACE, {"output": "training/a", "model": "models/one/abc"})
    (made.path / "run.log").write_bytes(b"said\n")
    (state_dir / "api-tokens.json").write_text("secret")
    (state_dir / "training/a/metrics.json").write_bytes(b"{}")
    (state_dir / "training/a/tensorboard/events").write_bytes(bytes(range(256)) * 1_000)
    (state_dir / "training/a/.partial").write_text("half")
    (state_dir / "training/a/daemon.lock").write_text("1")
    (state_dir / "training/a/link.json").symlink_to(state_dir / "api-tokens.json")
    (state_dir / "training/a/up").symlink_to(state_dir)
    (state_dir / "models/one/abc/policy.onnx").write_bytes(b"onnx")
    return made


NAMES = ["model/policy.onnx", "output/metrics.json", "output/tensorboard/events", "place.json", "run.log"]


def state_of(folder: RunFolder) -> Path:
    return folder.path.parent.parent


def test_files_are_those_of_the_run_its_output_and_its_model_and_no_links(folder: RunFolder) -> None:
    assert list(files_of(folder, state_of(folder))) == NAMES


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../api-tokens.json", "../../api-tokens.json", "output/../../../api-tokens.json",
        "/etc/passwd", "output/link.json", "output/up/api-tokens.json", "output/.partial", "output",
        "output//metrics.json", "output/metrics.json\0", "OUTPUT/metrics.json", "run.log/", "./run.log",
    ],
)  # fmt: skip
def test_name_that_is_no_file_of_the_run_leads_nowhere(folder: RunFolder, name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        find_file(folder, state_of(folder), name)
    assert refused.value.is_unknown


def test_etag_changes_with_the_file(folder: RunFolder) -> None:
    log = folder.path / "run.log"
    os.utime(log, ns=(10, 10))
    before = find_file(folder, state_of(folder), "run.log").etag
    log.write_bytes(b"more\n")
    os.utime(log, ns=(10, 11))

    assert before == '"5-a"'
    assert find_file(folder, state_of(folder), "run.log").etag == '"5-b"'


@pytest.mark.parametrize("include_model", [False, True])
def test_bundle_has_every_byte_and_equal_files_give_equal_bundles(
    folder: RunFolder, *, include_model: bool
) -> None:
    chosen = files_to_zip(folder, state_of(folder), include_model=include_model)
    pieces = list(zipped(chosen))
    again = b"".join(zipped(chosen))

    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        names = NAMES if include_model else NAMES[1:]
        assert archive.namelist() == names
        assert archive.read("output/tensorboard/events") == bytes(range(256)) * 1_000
    assert b"".join(pieces) == again
    assert max(map(len, pieces)) < 2 * 65_536


def test_file_that_grows_meanwhile_is_what_it_was(folder: RunFolder) -> None:
    chosen = files_to_zip(folder, state_of(folder), include_model=False)
    with (folder.path / "run.log").open("ab") as log:
        log.write(b"more\n")

    with zipfile.ZipFile(io.BytesIO(b"".join(zipped(chosen)))) as archive:
        assert archive.read("run.log") == b"said\n"


def test_bundle_and_listing_are_bounded(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ZIP_BYTES", 256_000)
    with pytest.raises(RefusedError, match="at most 256000 bytes in a bundle"):
        files_to_zip(folder, state_of(folder), include_model=False)

    monkeypatch.setattr(files, "MOST_FILES", 4)
    with pytest.raises(RefusedError, match="at most 4 files"):
        files_of(folder, state_of(folder))
