"""A week of real bars through the whole bot, pinned: BTC and ETH, March 2023, with an outage of 80 minutes.

The hashes may change only with a reason, which goes into CHANGELOG.md. To pin them anew, run this file, see
that the change is the one that was meant, and copy what the failing test shows into `PINNED`. Stops, targets
and prices are in the hashes of orders and fills alone. The counts tell what kind of change it was.
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from adapters.catalog import Catalog
from tests.support.bots import PATIENT_DISK
from tests.support.command import argonaut
from tests.support.data import shared_data
from tests.support.pairs import Pair, assert_same

PINNED = {
    "decisions_sha256": "f5c6a54eba17381694bc544c376bfe18eab75f6b5c74c3eab4529c91c88371ca",
    "orders_sha256": "b70821ceade1de266b412bf6ebc0a08dbd94bc588db14786f5bd5a167630b025",
    "fills_sha256": "288dd1560a9961191c8f04c24e348cfe5a201ad35e56bc6c8f073697a77cab68",
}
DECISIONS = 9_849
FILLS = 163

MINUTE_NS = 60_000_000_000
MONDAY, NEXT_MONDAY = np.datetime64("2023-03-20", "ns"), np.datetime64("2023-03-27", "ns")
OUTAGE = (
    np.datetime64("2023-03-24T12:40", "ns").astype(np.int64),
    np.datetime64("2023-03-24T14:00", "ns").astype(np.int64),
)
STRATEGY = Path(__file__).with_name("golden") / "strategy.toml"
HOST = """\
kind = "{kind}"
strategies = ["{strategy}"]

[venue]
name = "BINANCE"
starting_balance = 100_000.0

[costs]
taker_fee_bps = 7.5
maker_fee_bps = 7.5

[data]
catalog = "{catalog}"
"""


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with a catalog of the week and the two host files."""
    directory = tmp_path_factory.mktemp("golden")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        table = pq.read_table(shared_data("crypto_1m", f"BINANCE_{symbol}_1m_20220101_20230630.parquet"))
        ts = table["ts"].cast("int64")
        inside = pc.and_(
            pc.greater_equal(ts, int(MONDAY.astype(np.int64))), pc.less(ts, int(NEXT_MONDAY.astype(np.int64)))
        )
        file = directory / f"BINANCE_{symbol}_1m.parquet"
        pq.write_table(table.filter(inside), file)
        place = ("--catalog", directory / "catalog", "--symbol", symbol, "--venue", "BINANCE")
        answer = argonaut("data", "import", file, *place)
        assert answer.code == 0, answer.err
    for kind in ("backtest", "paper"):
        text = HOST.format(kind=kind, strategy=STRATEGY, catalog=directory / "catalog")
        (directory / f"{kind}.toml").write_text(text + (PATIENT_DISK if kind == "paper" else ""))
    return directory


@pytest.fixture(scope="module")
def pair(week: Path) -> Pair:
    """The week in the engine and in the daemon."""
    return Pair(week / "backtest.toml", week / "paper.toml", week)


def test_golden_week_has_the_outage(week: Path) -> None:
    ts_event = Catalog(week / "catalog").read_arrays("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL").ts_event

    assert len(ts_event) == 7 * 1_440 - 80
    assert not ((ts_event > OUTAGE[0]) & (ts_event <= OUTAGE[1])).any()


def test_golden_week_decides_as_it_is_pinned(pair: Pair) -> None:
    assert (len(pair.engine["decisions"]), len(pair.engine["fills"])) == (DECISIONS, FILLS)
    assert (pair.engine["faults"], pair.engine["incomplete_panels"], pair.engine["late_bars"]) == ({}, 0, 0)
    assert {name: pair.engine[name] for name in PINNED} == PINNED


def test_golden_week_on_paper_is_the_backtest(pair: Pair) -> None:
    assert_same(pair)
