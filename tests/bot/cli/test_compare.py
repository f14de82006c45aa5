"""``argonaut compare`` over runs that were written down."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.artifacts import write_run
from tests.support.runs import example_run

type Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state_dir = tmp_path_factory.mktemp("state")
    for name, bars in (("aa11", 700), ("bb22", 800), ("bb33", 900)):
        write_run(state_dir / "runs", replace(example_run(bars), run_id=name))
    return state_dir


def run(capsys: Captured, *args: object) -> tuple[int, Any]:
    """Exit code and JSON document of ``argonaut compare …``."""
    code = main(["compare", *map(str, args), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_runs_are_compared_and_a_page_is_written(capsys: Captured, state_dir: Path) -> None:
    code, document = run(capsys, "aa", "bb22", "bb33", "--state-dir", state_dir)

    assert code == ExitCode.OK
    assert list(document["runs"]) == ["aa11", "bb22", "bb33"]
    assert set(document["versus"]) == {"bb22", "bb33"}
    assert document["overfitting"]["trials"] == 3
    page = Path(document["html"]).read_text()
    assert page.startswith("<!doctype html>")
    assert all(name in page for name in ("aa11", "bb22", "bb33", "Probability of backtest overfitting"))
    assert "<script" not in page


def test_equal_comparisons_give_equal_pages(capsys: Captured, state_dir: Path, tmp_path: Path) -> None:
    pages = [tmp_path / "one.html", tmp_path / "two.html"]

    for page in pages:
        run(capsys, "aa", "bb22", "--html", page, "--state-dir", state_dir)

    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_baselines_of_the_first_run_may_stand_beside(capsys: Captured, state_dir: Path) -> None:
    _, document = run(capsys, "aa", "bb22", "--baselines", "--state-dir", state_dir)

    assert {"buy_and_hold", "flat"} < set(document["runs"])
    assert document["runs"]["flat"]["sharpe"]["value"] is None


def test_table_is_for_people(capsys: Captured, state_dir: Path) -> None:
    assert main(["compare", "aa", "bb22", "--state-dir", str(state_dir)]) == ExitCode.OK

    assert "Sharpe less the first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "message"),
    [(["aa", "bb"], "found 2 in"), (["aa", "aa11"], "different ids"), (["aa"], "two runs")],
)
def test_what_cannot_be_compared_is_refused(
    capsys: Captured, state_dir: Path, names: list[str], message: str
) -> None:
    code, document = run(capsys, *names, "--state-dir", state_dir)

    assert code == ExitCode.DATA
    assert message in document["error"]["message"]
