"""``argonaut evaluate``: a model is judged on bars that it did not learn from, or it is said where it did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bot.exit_codes import ExitCode
from bot.runs.evaluation import Learned, Overlap, choose_rows, evaluate, overlap_of
from strategies.errors import ConfigError, DataError
from tests.support.bundles import write_small_bundle
from tests.support.command import argonaut
from tests.support.data import ROOT
from tests.support.markets import DAY_START_NS, MINUTE_NS, market

__all__ = ["market"]

HOST = ROOT / "configs" / "paper.toml"
TIMES = np.arange(10, dtype=np.int64)


def minute(number: int) -> int:
    """Close of the so many-th bar."""
    return DAY_START_NS + number * MINUTE_NS


def spans(chosen_by: int) -> dict[str, Any]:
    """Of a model that learned on half of the bars up to one, and was chosen by the other half."""
    half = chosen_by // 2
    return {
        "learn": {"first_ns": minute(1), "last_ns": minute(half)},
        "select": {"first_ns": minute(half + 1), "last_ns": minute(chosen_by)},
        "judge": {"first_ns": minute(chosen_by + 1), "last_ns": minute(2_880)},
    }


def test_model_is_judged_on_all_that_comes_after_what_it_knows(market: Path, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "bundles", spans=spans(2_400))
    args = (HOST, bundle.path, "--catalog", market, "--state-dir", tmp_path, "--json")

    answer = argonaut("evaluate", *args)

    assert answer.code == ExitCode.OK, answer.err
    document = answer.document()
    # Two days are 2,880 minutes, and the last 480 of them are unknown to it.
    assert (document["start_ns"], document["end_ns"]) == (minute(2_401), minute(2_880))
    assert document["learned"] == {"start_ns": minute(1), "end_ns": minute(2_400)}
    assert document["overlap"] is None
    decided = pq.read_table(Path(document["run_dir"]) / "decisions.parquet").column("ts_event").to_pylist()
    assert (decided[0], decided[-1], len(decided)) == (minute(2_401), minute(2_880), 480)
    assert sum(document["answers"]["ALPHAUSDT.DEMO"]["counts"]) == 480
    assert set(document["baselines"]) == {"flat", "equal", "first_long", "random", "buy_and_hold"}
    assert sum(state["bars"] for state in document["regimes"]["states"]) == 480
    directory = Path(document["directory"])
    stored = json.loads((directory / "report.json").read_text())
    assert stored == {key: document[key] for key in document if key not in ("directory", "run_dir")}
    page = (directory / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "None of these bars is among those that it learned from" in page


@pytest.mark.parametrize(
    ("chosen_by", "start", "kind", "message"),
    [
        # Bars 2,161 to 2,880 are asked for; 240 of these 720 are known.
        (
            2_400,
            "2024-01-02T12:00",
            ConfigError,
            "240 of 720 that it did, from 2024-01-02T12:01.* to 2024-01-02T16",
        ),
        (2_880, None, DataError, "expected bars to judge by, found 0"),
        (2_400, "2024-01-02T12:00:00 nonsense", ConfigError, "data.start"),
    ],
)
def test_span_that_the_model_knows_or_that_is_empty_is_refused(
    market: Path, tmp_path: Path, chosen_by: int, start: str | None, kind: type[Exception], message: str
) -> None:
    bundle = write_small_bundle(tmp_path / "bundles", spans=spans(chosen_by))

    with pytest.raises(kind, match=message):
        evaluate(HOST, bundle, tmp_path / "evaluations", catalog=market, start=start)

    assert not (tmp_path / "evaluations").exists()


def test_model_that_does_not_say_what_it_knows_is_refused(market: Path, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "bundles")

    with pytest.raises(ConfigError, match=r"expected the spans .* in scorecard.json, found none"):
        evaluate(HOST, bundle, tmp_path / "evaluations", catalog=market)


def test_bars_that_are_known_are_counted_where_they_are_allowed(market: Path, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "bundles", spans=spans(2_800))
    span = ("--start", "2024-01-02T22:00", "--allow-overlap", "--no-baselines")
    args = (HOST, bundle.path, *span, "--catalog", market, "--state-dir", tmp_path, "--json")

    answer = argonaut("evaluate", *args)

    assert answer.code == ExitCode.OK, answer.err
    document = answer.document()
    # 22:00 of the second day is minute 2,760.
    assert document["overlap"] == {"start_ns": minute(2_761), "end_ns": minute(2_800), "bars": 40}
    assert document["baselines"] == {}
    assert "40 of these bars" in (Path(document["directory"]) / "report.html").read_text()


def test_name_that_is_no_model_is_refused(tmp_path: Path) -> None:
    answer = argonaut("evaluate", HOST, "nobody-3f2a", "--state-dir", tmp_path)

    assert answer.code == ExitCode.CONFIG
    assert "expected the directory of a bundle, or the id of one training, found 0" in answer.err


@pytest.mark.parametrize(
    ("learned", "start", "end", "rows"),
    [
        (Learned(2, 4), None, None, (5, 10)),
        (Learned(-9, -5), None, None, (3, 10)),  # the first three only warm up
        (None, None, 7, (3, 8)),
        (Learned(2, 8), 0, 2, (1, 3)),  # what is asked for is what is judged by, or refused later
    ],
)
def test_bars_to_judge_by(
    learned: Learned | None, start: int | None, end: int | None, rows: tuple[int, int]
) -> None:
    found = choose_rows(TIMES, learned, start, end, needed=3)

    assert (found.start, found.stop) == rows


def test_overlap_is_what_lies_in_the_span_that_was_learned_from() -> None:
    assert overlap_of(TIMES, Learned(7, 20)) == Overlap(7, 9, 3)
    assert overlap_of(TIMES, Learned(10, 20)) is None
    assert overlap_of(TIMES, None) is None
