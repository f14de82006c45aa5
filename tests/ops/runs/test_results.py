"""Recorded backtests: told of whole, partial and damaged; all that is in them as it was written."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from ops.artifacts import write_run
from ops.refusals import RefusedError
from ops.runs.folder import PLACE, RunFolder
from ops.runs.results import Results
from tests.support.runs import example_run


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as a backtest leaves it."""
    return write_run(tmp_path_factory.mktemp("written"), example_run(400))


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    """The same, in a state directory of its own."""
    return Path(shutil.copytree(written, tmp_path / "runs" / "one"))


def test_whole_run_is_listed_with_its_figures_and_shown_with_its_files(run: Path, tmp_path: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())

    (row,) = Results(tmp_path).newest(10)["rows"]
    shown = Results(tmp_path).show("one")

    assert (row["state"], row["problem"], row["kind"], row["asked_as"]) == ("whole", None, "backtest", None)
    assert row["strategies"] == ["donchian_fast", "donchian_slow"]
    assert row["metrics"]["sharpe"] == metrics["sharpe"]
    assert shown["all_metrics"] == metrics
    assert {one["state"] for one in shown["files"]} == {"whole"}
    assert [halt["reason"] for halt in shown["halts"]] == ["daily_loss"]


def test_verdicts_are_counted_by_what_was_said(run: Path, tmp_path: Path) -> None:
    said = [
        (
            one.strategy,
            one.reason,
            "refused" if one.approved == 0 else "cut" if one.approved < one.requested else "",
        )
        for one in example_run(400).tape.verdicts
        if one.requested > 0
    ]

    counted = Results(tmp_path).show("one")["verdicts"]

    found = {(row["strategy"], row["reason"], row["outcome"]): row["count"] for row in counted}
    for strategy, reason, outcome in set(said):
        if outcome:
            assert found[strategy, reason, outcome] == said.count((strategy, reason, outcome))
    assert sum(found.values()) == len(example_run(400).tape.verdicts)


def test_round_trips_come_a_page_at_a_time_as_the_file_has_them(run: Path, tmp_path: Path) -> None:
    with (run / "trades.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    results = Results(tmp_path)

    first, second = results.trades("one", 0, 2), results.trades("one", 2, 10_000)

    assert first["total"] == second["total"] == len(expected)
    assert (first["rows"], second["offset"], second["rows"]) == (2, 2, len(expected) - 2)
    profits = first["columns"]["net_pnl"] + second["columns"]["net_pnl"]
    assert profits == [float(row["net_pnl"]) for row in expected]
    coded = first["columns"]["instrument_id"]
    assert [coded["names"][at] for at in coded["at"]] == [row["instrument_id"] for row in expected[:2]]


def test_curves_begin_and_end_where_the_figures_do(run: Path, tmp_path: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())

    curves = Results(tmp_path).curves("one")

    account = curves["lines"][0]
    assert {line["name"] for line in curves["lines"]} >= {"Account", "donchian_fast", "buy_and_hold", "flat"}
    assert account["returns"][-1] == pytest.approx(metrics["total_return_frac"]["value"], abs=1e-6)
    assert max(account["drawdown"]) == pytest.approx(metrics["max_drawdown_frac"]["value"], abs=1e-5)
    assert curves["t"][-1] * 1e9 == metrics["end_ts"]


@pytest.mark.parametrize(
    ("harm", "state", "problem"),
    [
        (lambda run: (run / "equity.parquet").unlink(), "partial", "missing: equity.parquet"),
        (lambda run: (run / "manifest.json").unlink(), "partial", "manifest.json: the file is missing"),
        (lambda run: (run / "metrics.json").write_text("{"), "damaged", "metrics.json"),
        (lambda run: (run / "metrics.json").write_text("[]"), "damaged", "metrics.json: expected an object"),
        (lambda run: (run / "manifest.json").write_text("\0"), "damaged", "manifest.json"),
        (lambda run: (run / "metrics.json").write_text("{}"), "damaged", "metrics.json: it says nothing of"),
    ],
)
def test_run_that_is_not_whole_is_told_of_and_shown_as_far_as_it_goes(
    run: Path, tmp_path: Path, harm: object, state: str, problem: str
) -> None:
    harm(run)  # type: ignore[operator]

    (row,) = Results(tmp_path).newest(10)["rows"]
    shown = Results(tmp_path).show("one")

    assert (row["state"], shown["state"]) == (state, state)
    assert row["problem"].startswith(problem)
    assert shown["config"].startswith("kind")


def test_changed_byte_is_found_where_the_run_is_shown(run: Path, tmp_path: Path) -> None:
    text = (run / "trades.csv").read_text()
    (run / "trades.csv").write_text(text.replace("LONG", "SHORT", 1))

    shown = Results(tmp_path).show("one")

    assert (shown["state"], shown["problem"]) == ("damaged", "trades.csv changed")


def test_harm_after_a_run_was_listed_is_seen(run: Path, tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert results.newest(10)["rows"][0]["state"] == "whole"

    (run / "fills.csv").unlink()

    assert results.newest(10)["rows"][0]["state"] == "partial"


@pytest.mark.parametrize("name", ["equity.parquet", "metrics.json", "trades.csv"])
def test_what_cannot_be_read_is_refused_with_the_reason(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).write_bytes(b"\0" * 40)
    results = Results(tmp_path)

    with pytest.raises(RefusedError, match=r"one: its \w+ cannot be read: "):
        results.trades("one", 0, 10) if name == "trades.csv" else results.curves("one")


def test_round_trips_of_another_shape_are_refused(run: Path, tmp_path: Path) -> None:
    text = (run / "trades.csv").read_text()
    (run / "trades.csv").write_text(text.replace("net_pnl", "profit", 1))

    with pytest.raises(RefusedError, match="net_pnl"):
        Results(tmp_path).trades("one", 0, 10)


def test_folds_and_runs_that_were_asked_for_are_found_and_drafts_and_links_are_not(
    run: Path, tmp_path: Path
) -> None:
    fold = tmp_path / "walk-forwards" / "walk" / "fold-001" / "runs"
    shutil.copytree(run, fold / "two")
    shutil.copytree(run, tmp_path / "runs" / ".one.7.partial")
    (tmp_path / "runs" / "linked").symlink_to(run)
    folder = RunFolder.of(tmp_path, 7)
    folder.path.mkdir(parents=True)
    folder.write(PLACE, {"output": "runs/one"})

    found = {row["key"]: row for row in Results(tmp_path).newest(10)["rows"]}

    assert {key: row["kind"] for key, row in found.items()} == {
        "one": "backtest",
        "walk.fold-001.two": "walk-forward",
    }
    assert (found["one"]["asked_as"], found["walk.fold-001.two"]["asked_as"]) == (7, None)


@pytest.mark.parametrize("key", ["", "..", "../runs/one", "two", "/etc", "linked"])
def test_name_that_none_has_is_refused(run: Path, tmp_path: Path, key: str) -> None:
    (tmp_path / "runs" / "linked").symlink_to(run)

    with pytest.raises(RefusedError, match="no recorded run") as refused:
        Results(tmp_path).show(key)
    assert refused.value.is_unknown


def test_manifest_that_names_a_file_elsewhere_reads_none(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"../../secret": "0" * 64}))

    names = [one["name"] for one in Results(tmp_path).show("one")["files"]]

    assert "secret" not in names
    assert len(names) == len(manifest)


def test_directory_without_runs_has_none(tmp_path: Path) -> None:
    assert Results(tmp_path).newest(10) == {"rows": [], "total": 0}
