"""SMA 20/100 cross in backtesting.py; run by `benchmarks.sma` in an environment of its own."""

import json
import sys
import time

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy


def sma(values, period):
    return pd.Series(values).rolling(period).mean()


class SmaCross(Strategy):
    trades = 0

    def init(self):
        self.fast = self.I(sma, self.data.Close, 20)
        self.slow = self.I(sma, self.data.Close, 100)
        self.side = 0

    def next(self):
        side = 1 if self.fast[-1] > self.slow[-1] else -1
        if side != self.side:
            self.position.close()
            (self.buy if side > 0 else self.sell)(size=1)
            self.side = side
            SmaCross.trades += 1


bars = np.load(sys.argv[1])
frame = pd.DataFrame(
    {name.title(): bars[name] for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(bars["ts_event"]),
)
started = time.process_time()
Backtest(frame, SmaCross, cash=10_000_000.0, commission=0.0005, finalize_trades=True).run()
print(
    json.dumps(
        {
            "cpu_secs": time.process_time() - started,
            "trades": SmaCross.trades,
            "version": backtesting.__version__,
        }
    )
)
