"""SMA 20/100 cross in backtrader; run by `benchmarks.sma` in an environment of its own."""

import json
import sys
import time

import backtrader as bt
import numpy as np
import pandas as pd


class SmaCross(bt.Strategy):
    trades = 0

    def __init__(self):
        self.fast = bt.indicators.SMA(self.data.close, period=20)
        self.slow = bt.indicators.SMA(self.data.close, period=100)
        self.side = 0

    def next(self):
        side = 1 if self.fast[0] > self.slow[0] else -1
        if side != self.side:
            self.order_target_size(target=side)
            self.side = side
            SmaCross.trades += 1


bars = np.load(sys.argv[1])
frame = pd.DataFrame(
    {name: bars[name] for name in ("open", "high", "low", "close", "volume")},
    index=pd.to_datetime(bars["ts_event"]),
)
started = time.process_time()
cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(bt.feeds.PandasData(dataname=frame))
cerebro.addstrategy(SmaCross)
cerebro.broker.setcash(10_000_000.0)
cerebro.broker.setcommission(commission=0.0005)
cerebro.run()
print(
    json.dumps(
        {"cpu_secs": time.process_time() - started, "trades": SmaCross.trades, "version": bt.__version__}
    )
)
