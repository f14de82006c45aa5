"""Folds on a Ray cluster of two machines, as far as one machine can be two."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ml.walk_forward import (
    Fold,
    FoldError,
    FoldOutcome,
    WorkersConfig,
    WorkersKind,
    make_workers,
    walk_forward,
)
from strategies.errors import ConfigError
from tests.support.data import ROOT
from tests.support.fold_runs import HOUR_NS, Judge, Trainer

ray = pytest.importorskip("ray", reason="Ray is not installed: make learn")

FOLDS = tuple(
    Fold(number, start - 5 * HOUR_NS, start - HOUR_NS, start, start + HOUR_NS)
    for number in range(1, 3)
    for start in [number * 10 * HOUR_NS]
)


@dataclass(frozen=True)
class WitnessedJudge:
    """Notes which node of the cluster it was asked on, and in which process."""

    directory: Path

    def __call__(self, fold: Fold, directory: Path) -> FoldOutcome:
        node = ray.get_runtime_context().get_node_id()
        (self.directory / fold.name).write_text(f"{node} {os.getpid()}")
        time.sleep(1.0)  # so that one node cannot have them all before the other has begun
        return Judge()(fold, directory)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with a processor each."""
    from ray.cluster_utils import Cluster

    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # as on a machine that has Argonaut installed
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()
        os.environ.pop("PYTHONPATH")
        if kept is not None:
            os.environ["PYTHONPATH"] = kept


def on(address: str) -> WorkersConfig:
    return WorkersConfig(WorkersKind.RAY, count=2, address=address)


def test_cluster_of_two_workers_finds_what_this_machine_finds(address: str, tmp_path: Path) -> None:
    witnesses = tmp_path / "witnesses"
    witnesses.mkdir()

    there = walk_forward(
        FOLDS,
        tmp_path / "there",
        fit=Trainer(tmp_path / "there.log"),
        evaluate=WitnessedJudge(witnesses),
        pins={},
        workers=make_workers(on(address)),
    )
    here = walk_forward(
        FOLDS, tmp_path / "here", fit=Trainer(tmp_path / "here.log"), evaluate=Judge(), pins={}
    )

    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(ours.curve.equity, theirs.curve.equity)
    seen = [one.read_text().split() for one in witnesses.iterdir()]
    assert len({node for node, _ in seen}) == 2
    assert len({pid for _, pid in seen}) == len(FOLDS)


def test_worker_that_dies_is_named_and_the_same_call_goes_on(address: str, tmp_path: Path) -> None:
    walk = tmp_path / "walk"
    trainer = Trainer(tmp_path / "log")

    with pytest.raises(FoldError, match="fold-001: its process died without a word"):
        walk_forward(
            FOLDS[:1], walk, fit=trainer, evaluate=Judge(dying=1), pins={}, workers=make_workers(on(address))
        )
    outcomes = walk_forward(FOLDS[:1], walk, fit=trainer, evaluate=Judge(), pins={})

    assert [outcome.curve.equity[-1] for outcome in outcomes] == [101.0]
    assert (tmp_path / "log").read_text().split() == ["1"], "what was trained there is not trained again"


def test_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"workers\.address = '127\.0\.0\.1:1'.*ray start --head"):
        make_workers(on("127.0.0.1:1"))
