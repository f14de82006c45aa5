import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from ops import artifacts
from ops.artifacts import MANIFEST, last_of_each_day, regime_stays, write_run
from ops.report import RunContents
from strategies.tape import DecisionRecord, EquityRecord, MemoryTape
from tests.support.data import ROOT
from tests.support.runs import INSTRUMENTS, example_run

DAY = 86_400_000_000_000
FILES = {
    *("config.toml", "pins.json", "metrics.json", "data_quality.json", "report.html", MANIFEST),
    *(
        "decisions.parquet",
        "verdicts.parquet",
        "equity.parquet",
        "baselines.parquet",
        "orders.csv",
        "fills.csv",
        "trades.csv",
    ),
    *("positions.csv", "regimes.csv", "equity_daily.csv", "halts.csv"),
}


@pytest.fixture(scope="module")
def run() -> RunContents:
    return example_run(1200)


@pytest.fixture(scope="module")
def written(run: RunContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs"), run)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_run_directory_holds_every_file_and_nothing_else(run: RunContents, written: Path) -> None:
    assert written.name == run.run_id
    assert set(contents(written)) == {*FILES, *run.models}
    assert list(written.parent.iterdir()) == [written]


def test_manifest_names_the_hash_of_every_other_file(written: Path) -> None:
    manifest = json.loads((written / MANIFEST).read_text())
    found = {n: hashlib.sha256(b).hexdigest() for n, b in contents(written).items() if n != MANIFEST}

    assert manifest == found


def test_equal_run_gives_equal_bytes_in_another_process(written: Path, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from ops.artifacts import write_run\n"
        "from tests.support.runs import example_run\n"
        "write_run(pathlib.Path(sys.argv[1]), example_run(1200))\n"
    )
    surroundings = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=surroundings, cwd=ROOT)

    assert contents(tmp_path / written.name) == contents(written)


def test_order_in_which_pins_were_gathered_leaves_no_trace(
    run: RunContents, written: Path, tmp_path: Path
) -> None:
    turned = replace(run, pins=dict(sorted(run.pins.items(), reverse=True)))

    assert contents(write_run(tmp_path, turned)) == contents(written)


def test_tables_hold_every_record(run: RunContents, written: Path) -> None:
    tape, matched = run.tape, run.evaluation.matched
    counts = {name: len(rows(written / f"{name}.csv")) for name in ("orders", "fills", "trades", "positions")}

    assert counts == {
        "orders": len(tape.orders),
        "fills": len(tape.fills),
        "trades": len(matched.trades),
        "positions": len(matched.positions),
    }


def test_decisions_keep_their_bits(run: RunContents, written: Path) -> None:
    table = pyarrow.parquet.read_table(written / "decisions.parquet").to_pydict()
    decisions = run.tape.decisions

    assert table["ts_event"] == [d.ts_event for d in decisions]
    assert table["closes"] == [list(d.closes) for d in decisions]
    assert table["observation_sha256"] == [d.observation_sha256 for d in decisions]
    assert np.array_equal(table["weights"], [d.weights for d in decisions], equal_nan=True)


def test_absent_price_is_an_empty_cell_and_a_present_one_reads_back_exactly(
    run: RunContents, written: Path
) -> None:
    assert {row["trigger_price"] for row in rows(written / "orders.csv")} == {""}
    assert [float(row["price"]) for row in rows(written / "fills.csv")] == [f.price for f in run.tape.fills]


def test_text_with_commas_quotes_and_lines_survives_the_table(tmp_path: Path) -> None:
    run = example_run(300)
    awkward = 'too "big", by\nfar'
    run.tape.halts[0] = run.tape.halts[0]._replace(detail=awkward)

    assert rows(write_run(tmp_path, run) / "halts.csv")[0]["detail"] == awkward


def test_empty_run_is_written_whole(tmp_path: Path) -> None:
    run = example_run(3)
    empty = replace(
        run, tape=MemoryTape(), bars={}, data_quality={}, instruments={"donchian_fast": INSTRUMENTS}
    )

    assert set(contents(write_run(tmp_path, empty))) == {*FILES, *empty.models}


def test_same_run_written_twice_is_left_as_it_is(run: RunContents, tmp_path: Path) -> None:
    first = write_run(tmp_path, run)
    inode = first.stat().st_ino

    assert write_run(tmp_path, run).stat().st_ino == inode


def test_other_run_of_the_same_name_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    run = example_run(300)
    place = write_run(tmp_path, run)
    before = contents(place)

    with pytest.raises(FileExistsError, match="holds another run of this id"):
        write_run(tmp_path, replace(run, title="another"))
    assert contents(place) == before
    assert list(tmp_path.iterdir()) == [place]


def test_other_run_gives_way_where_that_is_asked_for(tmp_path: Path) -> None:
    run = example_run(300)
    write_run(tmp_path, run)
    place = write_run(tmp_path, replace(run, config_text="changed"), replace=True)

    assert (place / "config.toml").read_text() == "changed"
    assert list(tmp_path.iterdir()) == [place]


def test_damaged_run_is_mended_where_replacing_is_asked_for(tmp_path: Path) -> None:
    run = example_run(300)
    place = write_run(tmp_path, run)
    before = contents(place)
    (place / "fills.csv").write_text("lost")

    assert contents(write_run(tmp_path, run, replace=True)) == before


def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: RunContents) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "render_report", full)

    with pytest.raises(OSError, match="No space left"):
        write_run(tmp_path, example_run(300))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run_id", ["", "../escape", "a/b", ".hidden", "x" * 101, "a\n"])
def test_run_id_that_is_no_directory_name_is_refused(run_id: str, run: RunContents, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run id"):
        write_run(tmp_path, replace(run, run_id=run_id))
    assert list(tmp_path.iterdir()) == []


def decision(ts: int, strategy: str, state: int, belief: float) -> DecisionRecord:
    probs = tuple(belief if k == state else 1 - belief for k in range(2))
    return DecisionRecord(ts, strategy, "", state, probs, (), (), 1.0, (), ())


def test_regime_timeline_joins_neighbours_of_each_strategy() -> None:
    decisions = [
        decision(1, "a", 0, 0.8),
        decision(1, "b", 1, 0.7),
        decision(2, "a", 0, 0.6),
        decision(3, "a", 1, 0.9),
        decision(4, "c", -1, 0.5),
    ]
    found = regime_stays(decisions)

    assert [(s.strategy, s.state, s.first_ts, s.last_ts, s.bars) for s in found] == [
        ("a", 0, 1, 2, 2),
        ("b", 1, 1, 1, 1),
        ("a", 1, 3, 3, 1),
    ]
    assert found[0].mean_probability == pytest.approx(0.7)


def test_last_mark_of_a_day_is_the_one_at_its_midnight() -> None:
    marks = [EquityRecord(ts, "a", float(ts), 0, 0, 0, 0, 0, 0, 0) for ts in (1, DAY - 1, DAY, DAY + 1)]

    assert [mark.ts_event for mark in last_of_each_day(marks)] == [DAY, DAY + 1]
