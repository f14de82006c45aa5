"""Days of the generated market through the whole bot, by the command that a person types."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.catalog import Catalog
from bot.exit_codes import ExitCode
from tests.support.bots import ALL, write_bot
from tests.support.command import Answer, argonaut, run_script
from tests.support.markets import ALPHA, BETA, MINUTE_NS

ENGINE_RUN = Path(__file__).with_name("engine_run.py")
THREE = ("wanderer", "breakout", "holder")
NAMES = {"ALPHAUSDT.DEMO": ALPHA, "BETAUSDT.DEMO": BETA}


class Run:
    """A finished backtest on disk."""

    def __init__(self, answer: Answer) -> None:
        assert answer.code == 0, answer.err[-2000:]
        self.document = answer.document()
        self.directory = Path(self.document["run_dir"])

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.directory / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.directory.iterdir())}


@pytest.fixture(scope="module")
def run(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three strategies on one account, a day, with baselines."""
    directory = tmp_path_factory.mktemp("three")
    host = write_bot(directory, market, THREE, end="2024-01-02")
    return Run(argonaut("backtest", host, "--state-dir", directory / "var", "--json", hash_seed=1))


def engine_run(host: Path, hash_seed: int | None = None, **plan: Any) -> dict[str, Any]:
    answer: dict[str, Any] = run_script(ENGINE_RUN, {"host": str(host)} | plan, hash_seed)
    return answer


def test_backtest_run_again_from_its_own_configuration_is_the_same_run_to_the_byte(
    run: Run, tmp_path: Path
) -> None:
    # Another directory, another order of hashes: neither may leave a trace.
    host = tmp_path / "backtest.toml"  # a run is named after its file
    host.write_bytes((run.directory / "config.toml").read_bytes())

    again = Run(argonaut("backtest", host, "--state-dir", tmp_path / "elsewhere", "--json", hash_seed=2))

    assert again.document["run_id"] == run.document["run_id"]
    assert again.contents() == run.contents()
    assert "report.html" in run.contents()


def test_backtest_of_another_span_is_another_run(run: Run, market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, THREE)

    other = Run(
        argonaut(
            "backtest", host, "--end", "2024-01-01T06:00", "--no-baselines", "--json", "--state-dir", tmp_path
        )
    )

    assert other.document["run_id"] != run.document["run_id"]
    assert other.document["decisions_sha256"] != run.document["decisions_sha256"]


def test_backtest_document_has_the_names_that_others_script_against(run: Run) -> None:
    document = run.document

    assert Path(document["run_dir"]).name == document["run_id"]
    assert all(len(document[name]) == 64 for name in ("decisions_sha256", "orders_sha256"))
    assert document["metrics"]["trade_count"] == len(run.rows("trades.csv")) > 50
    assert set(document["metrics"]["baselines"]) == {"flat", "equal", "first_long", "random", "buy_and_hold"}
    assert document["pins"] == json.loads((run.directory / "pins.json").read_text())
    assert set(document["pins"]["data"]) == {ALPHA, BETA}
    assert set(document["pins"]["strategies"]) == set(THREE)
    assert document["faults"] == {}


def test_backtest_market_order_fills_at_the_open_of_the_next_bar(run: Run, market: Path) -> None:
    opens = {}
    for instrument_id, name in NAMES.items():
        bars = Catalog(market).read_arrays(name)
        opens[instrument_id] = dict(
            zip((bars.ts_event - MINUTE_NS).tolist(), bars.open.tolist(), strict=True)
        )
    orders = {
        row["client_order_id"]: row
        for row in run.rows("orders.csv")
        if row["kind"] == "MARKET" and row["status"] == "SUBMITTED"
    }
    fills = [row for row in run.rows("fills.csv") if row["client_order_id"] in orders]

    assert len(fills) > 150
    for fill in fills:
        decided = int(orders[fill["client_order_id"]]["ts_event"])
        assert int(fill["ts_event"]) == decided + 1
        assert float(fill["price"]) == opens[fill["instrument_id"]][decided]


def test_backtest_profits_of_the_strategies_sum_to_the_accounts(run: Run, market: Path) -> None:
    cash, held = 0.0, defaultdict[str, float](float)
    for fill in run.rows("fills.csv"):
        signed = float(fill["quantity"]) * (1.0 if fill["side"] == "BUY" else -1.0)
        cash -= signed * float(fill["price"]) + float(fill["fee"])
        held[fill["instrument_id"]] += signed
    last = {
        name: Catalog(market).read_arrays(NAMES[name], None, 1_704_153_600 * 10**9).close[-1] for name in held
    }
    account_profit = cash + sum(quantity * last[name] for name, quantity in held.items())
    profits = {end["name"]: end["equity"] - end["capital"] for end in run.document["strategies"]}

    assert sum(profits.values()) == pytest.approx(account_profit, abs=1e-6)
    assert abs(run.document["attribution_error"]) <= 1e-6
    assert len({round(profit, 2) for profit in profits.values()} - {0.0}) == 3


def test_backtest_that_ends_with_an_order_on_its_way_still_adds_up(market: Path, tmp_path: Path) -> None:
    # The wanderer draws at its first decision, on the 36th bar; the data end there.
    host = write_bot(tmp_path, market, ("wanderer",), end="2024-01-01T00:36")

    run = engine_run(host)

    assert run["fills"] == []
    assert sum(run["profits"].values()) == run["account_profit"] == 0.0


def test_backtest_strategies_are_called_in_configuration_order(run: Run) -> None:
    rows = pq.read_table(run.directory / "decisions.parquet", columns=["ts_event", "strategy"]).to_pylist()
    by_time = defaultdict[int, list[str]](list)
    for row in rows:
        by_time[row["ts_event"]].append(row["strategy"])
    pairs = [[name for name in names if name != "holder"] for names in by_time.values()]

    # The holder watches one instrument and need not wait for the other's bar.
    assert len(pairs) > 1_300
    assert all(pair == ["wanderer", "breakout"] for pair in pairs)


def test_backtest_strategy_decides_the_same_whoever_runs_beside_it(
    run: Run, market: Path, tmp_path: Path
) -> None:
    alone = engine_run(write_bot(tmp_path, market, ("breakout",), end="2024-01-02"))
    rows = pq.read_table(run.directory / "decisions.parquet").to_pylist()

    assert [row["ts_event"] for row in rows if row["strategy"] == "breakout"] == [
        ts_event for ts_event, _ in alone["decisions"]
    ]
    profit = next(
        end["equity"] - end["capital"] for end in run.document["strategies"] if end["name"] == "breakout"
    )
    assert alone["profits"]["breakout"] == pytest.approx(profit, abs=1e-6)


def test_backtest_in_many_stretches_decides_as_in_one(market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, THREE)

    whole, torn = engine_run(host), engine_run(host, stretch_rows=97)

    assert (whole["stretches"], torn["stretches"]) == (1, 30)
    for name in ("decisions_sha256", "orders_sha256", "fills_sha256", "profits"):
        assert torn[name] == whole[name]
    assert len(whole["fills"]) > 400


def test_backtest_does_not_depend_on_the_order_of_hashes(torn_market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, torn_market, THREE)

    one, other = engine_run(host, hash_seed=11), engine_run(host, hash_seed=12)

    assert one == other
    assert one["incomplete_panels"] > 40


def test_backtest_market_order_of_an_incomplete_panel_fills_at_the_next_open_too(
    torn_market: Path, tmp_path: Path
) -> None:
    run = Run(
        argonaut(
            "backtest",
            write_bot(tmp_path, torn_market, ("wanderer",)),
            "--no-baselines",
            "--json",
            "--state-dir",
            tmp_path,
        )
    )
    bars = {name: Catalog(torn_market).read_arrays(series) for name, series in NAMES.items()}
    first_open = {name: one.ts_event - MINUTE_NS for name, one in bars.items()}
    decided = {
        row["client_order_id"]: int(row["ts_event"])
        for row in run.rows("orders.csv")
        if row["status"] == "SUBMITTED"
    }

    quality = json.loads((run.directory / "data_quality.json").read_text())
    assert quality["incomplete_panels"] > 40
    for fill in run.rows("fills.csv"):
        name, at = fill["instrument_id"], decided[fill["client_order_id"]]
        following = int(np.searchsorted(first_open[name], at))
        assert int(fill["ts_event"]) == int(first_open[name][following]) + 1
        assert float(fill["price"]) == bars[name].open[following]


def test_backtest_faulty_strategy_is_halted_and_says_so_and_the_others_go_on(
    market: Path, tmp_path: Path
) -> None:
    host = write_bot(tmp_path, market, ("breakout", "wanderer"), end="2024-01-02")

    healthy = engine_run(host)
    broken = engine_run(host, fail={"kind": "donchian", "healthy_calls": 300})

    def of(run: dict[str, Any], kind: str, name: str) -> list[int]:
        return [ts_event for ts_event, strategy in run[kind] if strategy == name]

    assert broken["faults"] == {"breakout": "ZeroDivisionError: the policy broke"}
    ((halted_at, *halt),) = broken["halts"]
    assert halt == ["breakout", "HALTED", "fault", "ZeroDivisionError in decide: the policy broke"]
    assert len(of(broken, "decisions", "breakout")) == 300
    # It decides nothing more, but its bracket rests at the venue: what that does is booked all the same.
    assert max(of(broken, "fills", "breakout")) > halted_at
    assert sum(broken["profits"].values()) == pytest.approx(broken["account_profit"], abs=1e-3)
    assert max(of(healthy, "fills", "breakout")) > halted_at
    assert of(broken, "decisions", "wanderer") == of(healthy, "decisions", "wanderer")
    assert broken["profits"]["wanderer"] == pytest.approx(healthy["profits"]["wanderer"], abs=1e-6)


def test_backtest_command_with_a_faulty_strategy_ends_with_a_finding(market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, ("breakout", "wanderer"), end="2024-01-01T08:00")
    plan = {
        "fail": {"kind": "random", "healthy_calls": 9},
        "command": ["backtest", str(host), "--no-baselines"],
    }

    answer = run_script(ENGINE_RUN, plan | {"state_dir": str(tmp_path)})

    assert answer["code"] == ExitCode.FINDINGS, answer["err"]
    assert "strategy wanderer halted: ZeroDivisionError: the policy broke" in answer["err"]


def refused(answer: Answer, code: ExitCode, *words: str) -> None:
    assert answer.code == code, answer.err
    document = answer.document()["error"]
    assert document["exit_code"] == code
    assert "Traceback" not in answer.err
    missing = [word for word in words if word not in document["message"]]
    assert not missing, document["message"]


def test_backtest_without_a_catalog_says_how_to_make_one(tmp_path: Path) -> None:
    host = write_bot(tmp_path, tmp_path / "nothing")

    refused(
        argonaut("backtest", host, "--json", "--state-dir", tmp_path / "var"),
        ExitCode.DATA,
        "nothing",
        "argonaut data",
    )
    assert list((tmp_path / "var").glob("runs/*")) == []


def test_backtest_of_an_empty_catalog_says_that_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    host = write_bot(tmp_path, tmp_path / "empty")

    refused(
        argonaut("backtest", host, "--json", "--state-dir", tmp_path),
        ExitCode.DATA,
        "ALPHAUSDT",
        "an empty catalog",
    )


def test_backtest_of_a_damaged_file_names_it(market: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "damaged"
    (catalog / "data").mkdir(parents=True)
    for path in market.rglob("*"):
        place = catalog / path.relative_to(market)
        place.mkdir(parents=True, exist_ok=True) if path.is_dir() else place.write_bytes(path.read_bytes())
    (file,) = (catalog / "data" / "bars" / BETA).glob("*.parquet")
    file.write_bytes(file.read_bytes()[:5_000])
    host = write_bot(tmp_path, catalog)

    refused(
        argonaut("backtest", host, "--json", "--state-dir", tmp_path),
        ExitCode.DATA,
        file.name,
        "damage",
        "again",
    )


def test_backtest_of_an_instrument_without_bars_says_which_there_are(tmp_path: Path, market: Path) -> None:
    host = write_bot(tmp_path, market)
    strategy = tmp_path / "breakout.toml"
    strategy.write_text(ALL["breakout"].replace("BETAUSDT.DEMO", "GAMMAUSDT.DEMO"))

    refused(
        argonaut("backtest", host, "--json", "--state-dir", tmp_path),
        ExitCode.DATA,
        "GAMMAUSDT.DEMO",
        "found ALPHAUSDT.DEMO",
    )


def test_backtest_outside_the_span_of_the_bars_says_what_there_is(tmp_path: Path, market: Path) -> None:
    host = write_bot(tmp_path, market)

    refused(
        argonaut("backtest", host, "--start", "2025-01-01", "--json", "--state-dir", tmp_path),
        ExitCode.DATA,
        "2024-01-01 00:01 to 2024-01-03 00:00",
    )


def test_backtest_of_a_misspelt_key_suggests_the_right_one(tmp_path: Path, market: Path) -> None:
    host = write_bot(tmp_path, market)
    host.write_text(host.read_text().replace("starting_balance", "starting_balanse"))

    refused(
        argonaut("backtest", host, "--json", "--state-dir", tmp_path),
        ExitCode.CONFIG,
        "venue.starting_balanse: unknown key",
        'did you mean "starting_balance"?',
    )
