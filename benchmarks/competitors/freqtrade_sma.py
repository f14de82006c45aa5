"""SMA 20/100 cross in freqtrade; run by `benchmarks.sma` in an environment of its own.

Freqtrade asks the exchange for its markets at start-up; a stub of one market stands in, so that no network
is needed. Spot, so it is long only: it enters where the others turn long, and leaves where they turn short.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import freqtrade
import numpy as np
import pandas as pd
from freqtrade.configuration import Configuration
from freqtrade.enums import RunMode
from freqtrade.exchange import Exchange
from freqtrade.optimize.backtesting import Backtesting

PAIR = "AAA/USDT"
MARKET = {
    "id": "AAAUSDT",
    "symbol": PAIR,
    "base": "AAA",
    "quote": "USDT",
    "active": True,
    "spot": True,
    "margin": False,
    "swap": False,
    "type": "spot",
    "contract": False,
    "precision": {"amount": 1e-5, "price": 0.01},
    "limits": {"amount": {"min": 1e-5, "max": None}, "cost": {"min": 1.0, "max": None}, "price": {}},
    "taker": 0.0005,
    "maker": 0.0005,
    "info": {},
}
STRATEGY = """
from freqtrade.strategy import IStrategy


class SmaCross(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 1000.0}
    stoploss = -0.99
    startup_candle_count = 100

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = dataframe["close"].rolling(20).mean()
        dataframe["slow"] = dataframe["close"].rolling(100).mean()
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["fast"] > dataframe["slow"], "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["fast"] <= dataframe["slow"], "exit_long"] = 1
        return dataframe
"""


def config(directory: Path) -> dict:
    (directory / "strategies").mkdir()
    (directory / "strategies" / "sma_cross.py").write_text(STRATEGY)
    settings = {
        "user_data_dir": str(directory),
        "datadir": str(directory),
        "strategy": "SmaCross",
        "strategy_path": str(directory / "strategies"),
        "exchange": {"name": "binance", "pair_whitelist": [PAIR], "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}],
        "stake_currency": "USDT",
        "stake_amount": 40_000.0,
        "dry_run": True,
        "dry_run_wallet": 10_000_000.0,
        "max_open_trades": 1,
        "timeframe": "1m",
        "fee": 0.0005,
        "trading_mode": "spot",
        "margin_mode": "",
        "export": "none",
        "entry_pricing": {"price_side": "same", "use_order_book": False},
        "exit_pricing": {"price_side": "same", "use_order_book": False},
    }
    path = directory / "config.json"
    path.write_text(json.dumps(settings))
    loaded = Configuration({"config": [str(path)], "strategy": "SmaCross"}, RunMode.BACKTEST).get_config()
    return loaded | settings | {"user_data_dir": directory, "datadir": directory}


def main() -> None:
    bars = np.load(sys.argv[1])
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "date", pd.to_datetime(bars["ts_event"], utc=True).astype("datetime64[ms, UTC]"))
    with (
        tempfile.TemporaryDirectory() as name,
        patch.object(Exchange, "reload_markets", lambda self, *_, **__: self._markets.update({PAIR: MARKET})),
        patch.object(Exchange, "validate_config", lambda *_: None),
        patch.object(Exchange, "get_fee", lambda *_, **__: 0.0005),
        patch.object(Exchange, "validate_ordertypes", lambda *_: None),
        patch.object(Exchange, "validate_timeframes", lambda *_: None),
        patch.object(Exchange, "get_precision_amount", lambda *_: 1e-5),
        patch.object(Exchange, "get_precision_price", lambda *_: 0.01),
    ):
        backtesting = Backtesting(config(Path(name)))
        backtesting._set_strategy(backtesting.strategylist[0])  # noqa: SLF001 - what its `start` does after loading
        started = time.process_time()
        data = {PAIR: frame}
        processed = backtesting.strategy.advise_all_indicators(data)
        result = backtesting.backtest(
            processed=processed, start_date=frame["date"].iloc[100], end_date=frame["date"].iloc[-1]
        )
        spent = time.process_time() - started
    trades = len(result["results"])
    print(json.dumps({"cpu_secs": spent, "trades": trades, "version": freqtrade.__version__}))


main()
