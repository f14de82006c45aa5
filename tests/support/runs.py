"""Seeded example runs: a breakout on a made-up market, as a tape. Realistic enough to look at."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ml.evaluation import Bootstrap, Calendar, EquityCurve, evaluate_run
from ops.report import BarSeries, RunContents
from strategies.market import Floats
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    MemoryTape,
    OrderRecord,
    VerdictRecord,
)

MINUTE_NS = 60_000_000_000
START_NS = 1_672_531_200_000_000_000
"""2023-01-01 00:00 UTC."""
INSTRUMENTS = ("BTCUSDT.BINANCE", "ETHUSDT.BINANCE")
FEE_FRAC = 0.0006
NAN = float("nan")


@dataclass
class _Book:
    name: str
    capital: float
    lookback: int
    cash: float = 0.0
    fees: float = 0.0
    realised: float = 0.0
    peak: float = 0.0
    count: int = 0
    position: list[float] = field(default_factory=lambda: [0.0, 0.0])
    average: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def __post_init__(self) -> None:
        self.cash = self.peak = self.capital


def example_bars(num_bars: int, seed: int, interval_ns: int) -> tuple[dict[str, BarSeries], np.ndarray]:
    """Two correlated symbols with regime-switching drift and volatility, and the true states."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(interval_ns / (365 * 86_400e9))
    states = np.zeros(num_bars, dtype=np.int64)
    leave = rng.random(num_bars) < 0.004
    moves = rng.integers(1, 3, num_bars)
    for t in range(1, num_bars):
        states[t] = (states[t - 1] + moves[t]) % 3 if leave[t] else states[t - 1]
    volatility = np.array([0.35, 0.6, 1.1])[states] * scale
    drift = np.array([1.6, 0.0, -1.4])[states] * scale**2
    common = rng.standard_normal(num_bars)
    ts = START_NS + interval_ns * np.arange(1, num_bars + 1)
    bars = {}
    for name, start, beta in zip(INSTRUMENTS, (16_500.0, 1_200.0), (1.0, 1.25), strict=True):
        shocks = 0.8 * common + 0.6 * rng.standard_normal(num_bars)
        close = np.round(start * np.exp(np.cumsum(beta * (drift + volatility * shocks))), 2)
        opening = np.concatenate([[start], close[:-1]])
        wick = np.abs(rng.standard_normal((2, num_bars))) * volatility * close * 0.5
        high, low = np.maximum(opening, close) + wick[0], np.minimum(opening, close) - wick[1]
        volume = np.exp(rng.standard_normal(num_bars)) * 40
        bars[name] = BarSeries(ts, opening, np.round(high, 2), np.round(low, 2), close, np.round(volume, 5))
    return bars, states


def example_run(
    num_bars: int = 2000,
    seed: int = 1,
    interval_ns: int = 15 * MINUTE_NS,
    lookbacks: dict[str, int] | None = None,
    **changes: object,
) -> RunContents:
    """A whole run; ``changes`` replace fields of the result."""
    bars, states = example_bars(num_bars, seed, interval_ns)
    rng = np.random.default_rng(seed + 1)
    tape = MemoryTape()
    lookbacks = lookbacks or {"donchian_fast": 55, "donchian_slow": 200}
    books = [_Book(name, 10_000.0, lookback) for name, lookback in lookbacks.items()]
    closes = np.stack([bars[name].close for name in INSTRUMENTS], axis=1)
    opens = np.stack([bars[name].open for name in INSTRUMENTS], axis=1)
    channels = {
        book.name: [_channel(bars[name], book.lookback) for name in INSTRUMENTS] for book in books
    }
    noise = rng.random((num_bars, 3))
    close_rows, open_rows = closes.tolist(), opens.tolist()
    ts_rows = bars[INSTRUMENTS[0]].ts_event.tolist()
    for t in range(num_bars):
        for book in books:
            _step(tape, book, t, ts_rows, close_rows, open_rows, channels[book.name], int(states[t]), noise[t])
    curve = _hold(bars, sum(book.capital for book in books))
    fees = sum(fill.fee for fill in tape.fills)
    tape.halts.append(
        HaltRecord(ts_rows[num_bars // 2], books[0].name, "REDUCING", "daily_loss", "loss 101.20 of 100.00")
    )
    contents: dict[str, object] = {
        "run_id": f"example-{seed}-{num_bars}",
        "title": "Donchian breakout with regimes",
        "currency": "USDT",
        "tape": tape,
        "evaluation": evaluate_run(
            tape,
            capital_quote={book.name: book.capital for book in books},
            calendar=Calendar.crypto(interval_ns),
            baselines={"buy_and_hold": curve, "flat": _flat(curve)},
            bootstrap=Bootstrap(resamples=200),
        ),
        "instruments": {book.name: INSTRUMENTS for book in books},
        "bars": bars,
        "pins": {"config_sha256": "ab" * 32, "data_sha256": "cd" * 32, "argonaut": "0.1.0", "seed": seed},
        "config_text": 'kind = "backtest"\n[venue]\nname = "BINANCE"\n',
        "costs_quote": {"commission": 0.7 * fees, "half_spread": 0.1 * fees, "impact": 0.2 * fees, "borrow": 0.0},
        "data_quality": {
            "bars": 2 * num_bars,
            "issues": [{"kind": "gap", "instrument": INSTRUMENTS[0], "from": "2023-03-24 12:40", "bars": 80}],
        },
    }
    return RunContents(**{**contents, **changes})  # type: ignore[arg-type]


def _channel(bars: BarSeries, lookback: int) -> tuple[list[float], list[float]]:
    upper, lower = np.full(len(bars.close), np.inf), np.full(len(bars.close), -np.inf)
    if len(bars.close) > lookback:
        windows = np.lib.stride_tricks.sliding_window_view
        upper[lookback:] = windows(bars.high, lookback).max(axis=1)[:-1]
        lower[lookback:] = windows(bars.low, lookback // 2).min(axis=1)[lookback - lookback // 2 : -1]
    return upper.tolist(), lower.tolist()


def _step(tape, book, t, ts_rows, closes, opens, channel, state, noise):  # type: ignore[no-untyped-def]
    ts, close = ts_rows[t], closes[t]
    equity = book.cash + sum(q * c for q, c in zip(book.position, close, strict=True))
    probs = [0.05, 0.05, 0.05]
    probs[state] = 0.9
    weights = [NAN, NAN]
    for i, name in enumerate(INSTRUMENTS):
        upper, lower = channel[i][0][t], channel[i][1][t]
        if book.position[i] == 0 and close[i] > upper and state != 2:
            weights[i] = 0.35
            reason, keep = ("spread", 0.0) if noise[0] < 0.1 else ("notional_max", 0.6) if noise[0] < 0.3 else ("ok", 1.0)
            wanted = round(0.35 * equity / close[i], 5)
            got = round(keep * wanted, 5)
            tape.write(VerdictRecord(ts, book.name, name, wanted, got, reason, 1.0, float(noise[1])))
            if got > 0 and t + 1 < len(ts_rows):
                _order(tape, book, t, i, got, "OPEN", ts_rows, opens, noise)
        elif book.position[i] > 0 and (close[i] < lower or close[i] < 0.985 * book.average[i]):
            weights[i] = 0.0
            quantity = book.position[i]
            tape.write(VerdictRecord(ts, book.name, name, -quantity, -quantity, "ok", NAN, NAN))
            if t + 1 < len(ts_rows):
                role = "CLOSE" if close[i] < lower else "STOP"
                _order(tape, book, t, i, -quantity, role, ts_rows, opens, noise)
    digest = hashlib.sha256(f"{book.name}{t}".encode()).hexdigest()
    targets = tuple(book.position)
    tape.write(
        DecisionRecord(
            ts, book.name, digest, state, tuple(probs), tuple(close), tuple(weights), 0.9, tuple(weights), targets
        )
    )
    gross = sum(abs(q) * c for q, c in zip(book.position, close, strict=True))
    unrealised = sum(
        q * (c - a) for q, c, a in zip(book.position, close, book.average, strict=True)
    )
    equity = book.cash + gross
    book.peak = max(book.peak, equity)
    tape.write(
        EquityRecord(
            ts, book.name, equity, book.cash, gross, gross, book.realised, unrealised, book.fees,
            1 - equity / book.peak,
        )
    )  # fmt: skip


def _order(tape, book, t, i, quantity, role, ts_rows, opens, noise):  # type: ignore[no-untyped-def]
    book.count += 1
    order_id = f"A{book.name[-4:]}{book.count:06d}"
    side = "BUY" if quantity > 0 else "SELL"
    common = (book.name, INSTRUMENTS[i], "0" * 64, order_id, side, abs(quantity), "MARKET", role, NAN, NAN)
    tape.write(OrderRecord(ts_rows[t], *common, "SUBMITTED", ""))
    if role == "OPEN" and noise[2] < 0.05:
        tape.write(OrderRecord(ts_rows[t] + 1, *common, "REJECTED", "insufficient balance"))
        return
    price = opens[t + 1][i]
    ts = ts_rows[t] + 1
    fee = abs(quantity) * price * FEE_FRAC
    tape.write(OrderRecord(ts, *common, "FILLED", ""))
    tape.write(
        FillRecord(ts, book.name, INSTRUMENTS[i], order_id, f"T{order_id}", side, abs(quantity), price, fee, "TAKER")
    )
    if quantity < 0:
        book.realised += -quantity * (price - book.average[i])
    book.average[i] = price if quantity > 0 else 0.0
    book.position[i] = round(book.position[i] + quantity, 5)
    book.cash -= quantity * price + fee
    book.fees += fee


def _hold(bars: dict[str, BarSeries], capital: float) -> EquityCurve:
    series = [bars[name].close / bars[name].close[0] for name in INSTRUMENTS]
    equity: Floats = capital * 0.5 * (series[0] + series[1])
    ts = bars[INSTRUMENTS[0]].ts_event
    return EquityCurve(capital, ts, equity, np.zeros(len(ts)), equity)


def _flat(curve: EquityCurve) -> EquityCurve:
    nothing = np.zeros(len(curve.ts_event))
    return EquityCurve(curve.initial, curve.ts_event, nothing + curve.initial, nothing, nothing)
