"""Seeded example runs: a breakout on a made-up market, as a tape. Realistic enough to look at."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ml.evaluation import Bootstrap, Calendar, EquityCurve, evaluate_run
from ml.evaluation.curve import Ints
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


type _Channels = list[tuple[list[float], list[float]]]


@dataclass
class _Market:
    ts: list[int]
    open: list[list[float]]
    close: list[list[float]]
    state: list[int]
    noise: list[list[float]]


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


def example_bars(num_bars: int, seed: int, interval_ns: int) -> tuple[dict[str, BarSeries], Ints]:
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
    channels = {book.name: [_channel(bars[name], book.lookback) for name in INSTRUMENTS] for book in books}
    market = _Market(
        bars[INSTRUMENTS[0]].ts_event.tolist(),
        np.stack([bars[name].open for name in INSTRUMENTS], axis=1).tolist(),
        np.stack([bars[name].close for name in INSTRUMENTS], axis=1).tolist(),
        states.tolist(),
        rng.random((num_bars, 3)).tolist(),
    )
    for t in range(num_bars):
        for book in books:
            _step(tape, book, market, channels[book.name], t)
    curve = _hold(bars, sum(book.capital for book in books))
    fees = sum(fill.fee for fill in tape.fills)
    tape.halts.append(
        HaltRecord(market.ts[num_bars // 2], books[0].name, "REDUCING", "daily_loss", "loss 101.20 of 100.00")
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
        "models": {"models/breakout/bundle/policy.onnx": b"a network"},
        "costs_quote": {"commission": 0.7 * fees, "half_spread": 0.1 * fees, "impact": 0.2 * fees},
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


def _step(tape: MemoryTape, book: _Book, market: _Market, channels: _Channels, t: int) -> None:
    ts, close, state = market.ts[t], market.close[t], market.state[t]
    weights = [NAN, NAN]
    for i, name in enumerate(INSTRUMENTS):
        upper, lower = channels[i][0][t], channels[i][1][t]
        if book.position[i] == 0 and close[i] > upper and state != 2:
            weights[i] = 0.35
            reason, share = _verdict(market.noise[t][0])
            wanted = round(0.35 * book.cash / close[i], 5)
            approved = round(share * wanted, 5)
            tape.write(VerdictRecord(ts, book.name, name, wanted, approved, reason, 1.0, market.noise[t][1]))
            if approved > 0:
                _order(tape, book, market, t, i, approved, "OPEN")
        elif book.position[i] > 0 and (close[i] < lower or close[i] < 0.985 * book.average[i]):
            weights[i] = 0.0
            held = -book.position[i]
            tape.write(VerdictRecord(ts, book.name, name, held, held, "ok", NAN, NAN))
            _order(tape, book, market, t, i, held, "CLOSE" if close[i] < lower else "STOP")
    _record(tape, book, ts, close, state, weights)


def _verdict(draw: float) -> tuple[str, float]:
    if draw < 0.1:
        return "spread", 0.0
    return ("notional_max", 0.6) if draw < 0.3 else ("ok", 1.0)


def _record(
    tape: MemoryTape, book: _Book, ts: int, close: list[float], state: int, weights: list[float]
) -> None:
    digest = hashlib.sha256(f"{book.name}{ts}".encode()).hexdigest()
    probs = tuple(0.9 if k == state else 0.05 for k in range(3))
    asked, targets = tuple(weights), tuple(book.position)
    tape.write(DecisionRecord(ts, book.name, digest, state, probs, tuple(close), asked, 0.9, asked, targets))
    value = sum(q * c for q, c in zip(book.position, close, strict=True))
    unrealised = value - sum(q * a for q, a in zip(book.position, book.average, strict=True))
    equity = book.cash + value
    book.peak = max(book.peak, equity)
    tape.write(
        EquityRecord(
            ts_event=ts,
            strategy=book.name,
            equity=equity,
            cash=book.cash,
            gross_exposure=value,
            net_exposure=value,
            realised=book.realised,
            unrealised=unrealised,
            fees=book.fees,
            drawdown=1 - equity / book.peak,
        )
    )


def _order(
    tape: MemoryTape, book: _Book, market: _Market, t: int, i: int, quantity: float, role: str
) -> None:
    if t + 1 == len(market.ts):
        return
    book.count += 1
    order_id = f"A{book.name[-4:]}{book.count:06d}"
    side, size, ts = "BUY" if quantity > 0 else "SELL", abs(quantity), market.ts[t] + 1
    submitted = OrderRecord(
        market.ts[t], book.name, INSTRUMENTS[i], "0" * 64, order_id, side, size, "MARKET", role, NAN, NAN,
        "SUBMITTED", "",
    )  # fmt: skip
    tape.write(submitted)
    if role == "OPEN" and market.noise[t][2] < 0.05:
        tape.write(submitted._replace(ts_event=ts, status="REJECTED", reason="insufficient balance"))
        return
    price = market.open[t + 1][i]
    fee = size * price * FEE_FRAC
    tape.write(submitted._replace(ts_event=ts, status="FILLED"))
    tape.write(
        FillRecord(ts, book.name, INSTRUMENTS[i], order_id, f"T{order_id}", side, size, price, fee, "TAKER")
    )
    if quantity < 0:
        book.realised += size * (price - book.average[i])
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
