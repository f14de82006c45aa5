"""A run that was written down is read back as it was, and refused when it is not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.evaluation import EquityCurve
from ops.artifacts import BASELINES, METRICS, write_run
from ops.report import RunContents
from ops.run_records import find_run, read_run
from strategies.errors import DataError
from tests.support.runs import example_run


@pytest.fixture(scope="module")
def run() -> RunContents:
    return example_run(600)


@pytest.fixture(scope="module")
def written(run: RunContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs"), run)


def same(left: EquityCurve, right: EquityCurve) -> bool:
    columns = ("ts_event", "equity", "fees", "gross_exposure")
    return left.initial == right.initial and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in columns
    )


def test_run_comes_back_to_the_bit(run: RunContents, written: Path) -> None:
    found = read_run(written)

    evaluation = run.evaluation
    assert found.metrics == json.loads(json.dumps(evaluation.as_json()))
    assert found.calendar == evaluation.calendar
    assert same(found.account, evaluation.account_curve)
    assert list(found.strategies) == list(evaluation.curves)
    assert all(same(found.strategies[name], curve) for name, curve in evaluation.curves.items())
    assert len(evaluation.baseline_curves) > 0
    assert all(same(found.baselines[name], curve) for name, curve in evaluation.baseline_curves.items())
    assert list(found.fills) == list(run.tape.fills)


def test_run_without_baselines_comes_back(run: RunContents, tmp_path: Path) -> None:
    alone = replace(run, evaluation=replace(run.evaluation, baseline_curves={}, baselines={}, versus={}))

    assert read_run(write_run(tmp_path, alone)).baselines == {}


def test_run_is_found_by_path_id_and_beginning_of_its_id(written: Path) -> None:
    for name in (str(written), written.name, written.name[:5]):
        assert find_run(name, written.parent).name == written.name


def test_ambiguous_or_unknown_name_is_refused(run: RunContents, tmp_path: Path) -> None:
    for name in ("abc1", "abc2"):
        write_run(tmp_path, replace(run, run_id=name))

    with pytest.raises(DataError, match="found 2 in"):
        find_run("abc", tmp_path)
    with pytest.raises(DataError, match=r"found 0 in .*there: abc1, abc2"):
        find_run("xyz", tmp_path)


@pytest.mark.parametrize("name", [METRICS, BASELINES])
def test_changed_run_is_refused(run: RunContents, tmp_path: Path, name: str) -> None:
    place = write_run(tmp_path, run)
    content = bytearray((place / name).read_bytes())
    content[len(content) // 2] ^= 1
    (place / name).write_bytes(content)

    with pytest.raises(DataError, match="its bytes are not those of the run"):
        read_run(place)


def test_run_of_an_older_version_is_refused(run: RunContents, tmp_path: Path) -> None:
    place = write_run(tmp_path, run)
    manifest = json.loads((place / "manifest.json").read_bytes())
    del manifest[BASELINES]
    (place / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(DataError, match=r"expected baselines\.parquet, found a run without"):
        read_run(place)
