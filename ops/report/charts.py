"""The data behind the charts and the trades table, small enough to travel inside the page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.evaluation import EquityCurve, RoundTrip
from ml.evaluation.curve import marks_at
from ops.report.contents import RunContents
from ops.report.sampling import (
    Ints,
    candle_seconds,
    day_returns,
    dominant_runs,
    extreme_indices,
    join_candles,
)
from strategies.market import Floats
from strategies.tape import DecisionRecord, FillRecord

MAX_EQUITY_POINTS = 4000
MAX_CANDLES_IN_ALL = 9000
MAX_CANDLES = 3000
MIN_CANDLES = 300
MAX_FILLS = 3000
"""Per strategy and instrument; beyond it, fills of one candle and side are drawn as one."""
MAX_TRADES = 6000
"""In the page's table; all of them are in trades.csv."""
HISTOGRAM_BINS = 41
SECOND_NS = 1_000_000_000


def chart_data(run: RunContents) -> dict[str, Any]:
    """Everything that the page's script draws.

    Times are UTC seconds; money is in quote currency; returns and drawdowns are fractions.
    """
    seconds = _candle_length(run)
    return {
        "currency": run.currency,
        "candleSeconds": seconds,
        "equity": _equity(run),
        "days": _days(run.evaluation.account_curve),
        "markets": [_market(run, name, seconds) for name in sorted(run.bars) if len(run.bars[name].ts_event)],
        "books": [_book(run, strategy, seconds) for strategy in run.instruments],
        "trades": _trades(run.evaluation.matched.trades),
    }


def _equity(run: RunContents) -> dict[str, Any]:
    evaluation = run.evaluation
    return equity_lines(
        evaluation.account_curve, evaluation.curves, evaluation.baseline_curves, MAX_EQUITY_POINTS
    )


def equity_lines(
    account: EquityCurve,
    strategies: Mapping[str, EquityCurve],
    baselines: Mapping[str, EquityCurve],
    most: int,
) -> dict[str, Any]:
    """Returns, drawdowns and exposure of a run as lines over common times.

    Args:
        account: All strategies together.
        strategies: By name; a single one is the account itself, and no line of its own.
        baselines: By name.
        most: Bound on the number of times; the account's extremes are among them.
    """
    lines = [("Account", "account", account)]
    if len(strategies) > 1:
        lines += [(name, "strategy", curve) for name, curve in strategies.items()]
    lines += [(name, "baseline", curve) for name, curve in baselines.items()]
    at = extreme_indices([account.equity, account.drawdowns], most)
    ts = account.ts_event[at]
    exposure = np.divide(
        account.gross_exposure, account.equity, out=np.zeros_like(account.equity), where=account.equity > 0
    )
    return {
        "t": (ts / SECOND_NS).tolist(),
        "initial": account.initial,
        "lines": [
            {"name": name, "kind": kind, "returns": _rounded(_returns_at(curve, ts)),
             "drawdown": _rounded(marks_at(ts, curve.ts_event, curve.drawdowns, 0.0), 5)}
            for name, kind, curve in lines
        ],
        "exposure": _rounded(exposure[at], 4),
    }  # fmt: skip


def _returns_at(curve: EquityCurve, ts: Ints) -> Floats:
    return marks_at(ts, curve.ts_event, curve.equity, curve.initial) / curve.initial - 1.0


def _days(account: EquityCurve) -> dict[str, Any]:
    days = day_returns(account.ts_event, account.equity, account.initial)
    return {"t": [day * 86_400 for day in days], "returns": _rounded(days.values(), 6)}


def _candle_length(run: RunContents) -> int:
    filled = [bars.ts_event for bars in run.bars.values() if len(bars.ts_event)]
    if not filled:
        return 60
    share = max(MIN_CANDLES, min(MAX_CANDLES, MAX_CANDLES_IN_ALL // len(filled)))
    span = max(int(ts[-1]) for ts in filled) - min(int(ts[0]) for ts in filled)
    shortest = run.evaluation.calendar.bar_interval_ns / SECOND_NS
    return candle_seconds(span / SECOND_NS, shortest, share)


def _market(run: RunContents, instrument_id: str, seconds: int) -> dict[str, Any]:
    candles = join_candles(run.bars[instrument_id], seconds)
    columns = {name: _prices(getattr(candles, name)) for name in ("open", "high", "low", "close")}
    return {"instrument": instrument_id, "t": candles.start.tolist(), **columns}


def _book(run: RunContents, strategy: str, seconds: int) -> dict[str, Any]:
    decisions = [d for d in run.tape.decisions if d.strategy == strategy]
    believed = [d for d in decisions if d.regime_state >= 0]
    ts = np.array([d.ts_event for d in believed], dtype=np.int64)
    states = np.array([d.regime_state for d in believed], dtype=np.int64)
    roles = {order.client_order_id: order.role for order in run.tape.orders}
    return {
        "strategy": strategy,
        "regimes": dominant_runs(ts, states, max(seconds, _spacing(ts))),
        "instruments": {
            instrument_id: {
                "position": _position(run, strategy, instrument_id),
                "fills": _fills(_own(run.tape.fills, strategy, instrument_id), roles, seconds),
                "weights": _histogram(decisions, at),
            }
            for at, instrument_id in enumerate(run.instruments[strategy])
        },
    }


def _spacing(ts: Ints) -> int:
    """Usual seconds between decisions: a band narrower than that would leave holes."""
    return int(np.median(np.diff(ts)) / SECOND_NS) if len(ts) > 1 else 0


def _own(fills: Iterable[FillRecord], strategy: str, instrument_id: str) -> list[FillRecord]:
    return [fill for fill in fills if fill.strategy == strategy and fill.instrument_id == instrument_id]


def _position(run: RunContents, strategy: str, instrument_id: str) -> dict[str, Any]:
    rows = [
        (row.ts_event, row.quantity)
        for row in run.evaluation.matched.positions
        if row.strategy == strategy and row.instrument_id == instrument_id
    ]
    if not rows:
        return {"t": [], "quantity": []}
    quantity = np.array([row[1] for row in rows])
    at = extreme_indices([quantity], MAX_FILLS)
    return {
        "t": [rows[i][0] / SECOND_NS for i in at],
        "quantity": _rounded(quantity[at], 8),
    }


def _fills(fills: Sequence[FillRecord], roles: Mapping[str, str], seconds: int) -> list[list[Any]]:
    """(time, 1 for a buy or -1, quantity, average price, number of fills, role)."""
    if len(fills) <= MAX_FILLS:
        return [
            [f.ts_event / SECOND_NS, _sign(f), f.quantity, f.price, 1, roles.get(f.client_order_id, "")]
            for f in fills
        ]
    joined: dict[tuple[int, int], list[float]] = {}
    for fill in fills:
        slot = (fill.ts_event - 1) // (seconds * SECOND_NS) * seconds
        total = joined.setdefault((slot, _sign(fill)), [0.0, 0.0, 0.0])
        total[0] += fill.quantity
        total[1] += fill.quantity * fill.price
        total[2] += 1
    return [
        [slot + seconds / 2, sign, _short(quantity), _short(value / quantity), int(count), ""]
        for (slot, sign), (quantity, value, count) in sorted(joined.items())
    ]


def _sign(fill: FillRecord) -> int:
    return 1 if fill.side == "BUY" else -1


def _histogram(decisions: Sequence[DecisionRecord], at: int) -> dict[str, Any] | None:
    """How often each weight was asked for; a decision that leaves the instrument alone is counted apart."""
    asked = np.array([d.weights[at] for d in decisions if at < len(d.weights)])
    weights = asked[np.isfinite(asked)]
    if len(weights) == 0:
        return None
    reach = float(max(np.abs(weights).max(), 1e-9))
    low = -reach if weights.min() < 0 else 0.0
    counts, edges = np.histogram(weights, bins=HISTOGRAM_BINS, range=(low, reach))
    return {"edges": _rounded(edges, 5), "counts": counts.tolist(), "held": int(len(asked) - len(weights))}


def _trades(trades: Sequence[RoundTrip]) -> dict[str, Any]:
    shown: Sequence[RoundTrip] = trades
    if len(trades) > MAX_TRADES:
        largest = sorted(range(len(trades)), key=lambda i: (-abs(trades[i].net_pnl), i))[:MAX_TRADES]
        shown = [trades[i] for i in sorted(largest)]
    names: dict[str, list[str]] = {
        field: sorted({getattr(trade, field) for trade in shown})
        for field in ("strategy", "instrument_id", "exit_role")
    }
    return {
        "total": len(trades),
        "names": names,
        "rows": [
            [
                names["strategy"].index(t.strategy), names["instrument_id"].index(t.instrument_id),
                1 if t.side == "LONG" else -1, t.entry_ts // SECOND_NS, t.exit_ts // SECOND_NS,
                _short(t.quantity), _short(t.entry_price, 8), _short(t.exit_price, 8), _short(t.gross_pnl),
                _short(t.fees), _short(t.net_pnl), _short(t.return_bps, 5), round(t.hold_secs),
                names["exit_role"].index(t.exit_role),
            ]
            for t in shown
        ],
    }  # fmt: skip


def _short(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def _rounded(values: Iterable[float], digits: int = 6) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]


def _prices(values: Floats) -> list[float]:
    return [float(f"{value:.7g}") for value in values.tolist()]
