"""The figures of one book, a strategy's or the account's: net and gross of costs, with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.evaluation import statistics
from ml.evaluation.bootstrap import (
    MIN_OBSERVATIONS,
    Bootstrap,
    Statistic,
    estimate,
    estimate_of_sums,
    resample_indices,
)
from ml.evaluation.calendar import Calendar
from ml.evaluation.curve import EquityCurve, Periods, cut
from ml.round_trips import RoundTrip
from strategies.market import Floats
from strategies.tape import FillRecord


@dataclass(frozen=True, slots=True)
class Dealings:
    """What a book did."""

    trades: Sequence[RoundTrip]
    fills: Sequence[FillRecord]
    open_positions: int
    """Positions still held at the end."""

    @property
    def notional(self) -> float:
        """Value of everything bought and sold, quote currency."""
        return sum(fill.quantity * fill.price for fill in self.fills)


@dataclass(frozen=True, slots=True)
class CurveMetrics:
    """What an equity curve says. Ratios are annualised, with a risk-free rate of nil."""

    pnl_quote: float
    total_return_frac: Statistic
    cagr_frac: Statistic
    """Undefined under a week: a year is too far to see from there."""
    volatility_annual: Statistic
    sharpe: Statistic
    sortino: Statistic
    calmar: Statistic
    max_drawdown_frac: Statistic
    """0..1, exact to the bar."""
    average_drawdown_frac: float
    """Mean over all bars of the distance from the peak."""
    longest_drawdown_secs: float
    """Longest time below a peak, the one not yet recovered included."""


@dataclass(frozen=True, slots=True)
class TradeMetrics:
    """What the round trips say."""

    hit_rate: Statistic
    """Share of trades that won."""
    profit_factor: Statistic
    """Gains over losses."""
    average_trade_quote: Statistic
    average_trade_bps: Statistic
    """Of the value at entry."""
    best_trade_quote: float | None
    worst_trade_quote: float | None


@dataclass(frozen=True, slots=True)
class Activity:
    """How much was done and held."""

    trade_count: int
    """Round trips."""
    fill_count: int
    open_positions: int
    """Positions still held at the end; they are in the equity but are no trades."""
    average_hold_secs: Statistic
    traded_notional_quote: float
    turnover: float
    """Traded value over mean equity."""
    turnover_annual: float
    time_in_market_frac: float
    """Share of bars at which something was held."""
    average_exposure_frac: float
    """Mean of gross exposure over equity."""


@dataclass(frozen=True, slots=True)
class CostMetrics:
    """What trading cost."""

    total_quote: float
    bps_of_notional: float | None
    drag_frac: float
    """Total return gross less net."""


@dataclass(frozen=True, slots=True)
class BookMetrics:
    """All figures of one book."""

    initial_equity_quote: float
    final_equity_quote: float
    start_ts: int
    """Close of the first bar, UTC nanoseconds."""
    end_ts: int
    bar_count: int
    ruined_ts: int | None
    """When equity first was nil or less; figures that need returns end there."""
    return_period: str
    """What the returns behind the ratios are sampled on: day, hour, minute or bar."""
    periods: int
    net: CurveMetrics
    gross: CurveMetrics
    activity: Activity | None
    """None for a baseline of which only the curve is known."""
    costs: CostMetrics
    net_trades: TradeMetrics | None
    gross_trades: TradeMetrics | None


MIN_GROWTH_YEARS = 7.0 / 365.25
"""Shortest run that is scaled to a year."""


def book_metrics(
    curve: EquityCurve, dealings: Dealings | None, calendar: Calendar, bootstrap: Bootstrap
) -> BookMetrics:
    """Compute all figures of one book.

    Args:
        curve: Equity at every bar.
        dealings: What it did; None where only the curve is known.
        calendar: For annualisation.
        bootstrap: For the intervals.
    """
    solvent, ruined_ts = _until_ruin(curve)
    periods = cut(solvent, calendar)
    gross = curve.before_costs
    gross_solvent, gross_ruined_ts = _until_ruin(gross)
    gross_periods = cut(gross_solvent, calendar)
    return BookMetrics(
        initial_equity_quote=curve.initial,
        final_equity_quote=float(curve.equity[-1]),
        start_ts=int(curve.ts_event[0]),
        end_ts=int(curve.ts_event[-1]),
        bar_count=len(curve.ts_event),
        ruined_ts=ruined_ts,
        return_period=periods.unit,
        periods=len(periods),
        net=_curve_metrics(curve, periods, ruined_ts is not None, bootstrap),
        gross=_curve_metrics(gross, gross_periods, gross_ruined_ts is not None, bootstrap),
        activity=_activity(curve, periods, dealings, bootstrap) if dealings else None,
        costs=_costs(curve, dealings),
        net_trades=_net_trades(dealings, bootstrap) if dealings else None,
        gross_trades=_gross_trades(dealings, bootstrap) if dealings else None,
    )


def _until_ruin(curve: EquityCurve) -> tuple[EquityCurve, int | None]:
    ruined = np.flatnonzero(curve.equity <= 0)
    if len(ruined) == 0:
        return curve, None
    at = int(ruined[0])
    # Even the first bar may ruin; one flat bar then stands for a solvent past of no length.
    keep = slice(0, max(at, 1))
    equity = curve.equity[keep] if at else np.array([curve.initial])
    solvent = EquityCurve(
        curve.initial, curve.ts_event[keep], equity, curve.fees[keep], curve.gross_exposure[keep]
    )
    return solvent, int(curve.ts_event[at])


def _curve_metrics(curve: EquityCurve, periods: Periods, ruined: bool, bootstrap: Bootstrap) -> CurveMetrics:
    figures = _ruined_statistics() if ruined else _return_statistics(periods, bootstrap)
    drawdowns = curve.drawdowns
    return CurveMetrics(
        pnl_quote=float(curve.equity[-1] - curve.initial),
        average_drawdown_frac=float(drawdowns.mean()),
        longest_drawdown_secs=_longest_drawdown_secs(curve, drawdowns),
        **figures,
    )


def _ruined_statistics() -> dict[str, Statistic]:
    unknown = Statistic(None)
    ratios = dict.fromkeys(("volatility_annual", "sharpe", "sortino", "calmar"), unknown)
    lost = Statistic(-1.0)
    return {"total_return_frac": lost, "cagr_frac": lost, "max_drawdown_frac": Statistic(1.0), **ratios}


def _return_statistics(periods: Periods, bootstrap: Bootstrap) -> dict[str, Statistic]:
    value = _all_statistics(periods, None)
    samples: dict[str, Floats] = {}
    if len(periods) >= MIN_OBSERVATIONS:
        samples = _all_statistics(periods, resample_indices(len(periods), bootstrap))
    figures = {
        name: estimate(float(v), samples.get(name), bootstrap, len(periods)) for name, v in value.items()
    }
    for name in ("sharpe", "sortino", "calmar"):
        # A ratio without its uncertainty is worse than none.
        if figures[name].ci_low is None:
            figures[name] = Statistic(None)
    return figures


def _all_statistics(periods: Periods, indices: np.ndarray | None) -> dict[str, Floats]:
    def pick(column: Floats) -> Floats:
        return column if indices is None else column[indices]

    log_return = pick(periods.log_return)
    returns = np.expm1(log_return)
    per_year = periods.per_year
    enough = len(periods) >= MIN_OBSERVATIONS
    drawdown = statistics.max_drawdown(
        log_return, pick(periods.log_high), pick(periods.log_low), pick(periods.log_drawdown)
    )
    growth = statistics.growth_annual(log_return, per_year)
    if len(periods) / per_year < MIN_GROWTH_YEARS:
        growth = np.full_like(growth, np.nan)
    undefined = np.full_like(drawdown, np.nan)
    return {
        "total_return_frac": statistics.total_return(log_return),
        "cagr_frac": growth,
        "volatility_annual": statistics.volatility_annual(returns, per_year) if enough else undefined,
        "sharpe": statistics.sharpe(returns, per_year) if enough else undefined,
        "sortino": statistics.sortino(returns, per_year) if enough else undefined,
        "calmar": statistics.calmar(growth, drawdown),
        "max_drawdown_frac": drawdown,
    }


def _longest_drawdown_secs(curve: EquityCurve, drawdowns: Floats) -> float:
    at_peak = np.flatnonzero(drawdowns == 0.0)
    marks = np.concatenate([curve.ts_event[:1], curve.ts_event[at_peak], curve.ts_event[-1:]])
    return float(np.diff(np.sort(marks)).max() / 1e9) if np.any(drawdowns > 0) else 0.0


def _net_trades(dealings: Dealings, bootstrap: Bootstrap) -> TradeMetrics:
    return _trade_metrics(dealings.trades, [trade.net_pnl for trade in dealings.trades], bootstrap)


def _gross_trades(dealings: Dealings, bootstrap: Bootstrap) -> TradeMetrics:
    return _trade_metrics(dealings.trades, [trade.gross_pnl for trade in dealings.trades], bootstrap)


def _trade_metrics(trades: Sequence[RoundTrip], profits: list[float], bootstrap: Bootstrap) -> TradeMetrics:
    pnl = np.array(profits, dtype=np.float64)
    entry_value = np.array([t.quantity * t.entry_price for t in trades], dtype=np.float64)
    won = (pnl > 0).astype(np.float64)
    sides = np.stack([np.maximum(pnl, 0.0), np.maximum(-pnl, 0.0)], axis=1)
    bps = 1e4 * pnl / entry_value
    return TradeMetrics(
        hit_rate=estimate_of_sums(won[:, None], statistics.hit_rate, bootstrap),
        profit_factor=estimate_of_sums(sides, statistics.profit_factor, bootstrap),
        average_trade_quote=estimate_of_sums(pnl[:, None], _first, bootstrap),
        average_trade_bps=estimate_of_sums(bps[:, None], _first, bootstrap),
        best_trade_quote=float(pnl.max()) if len(pnl) else None,
        worst_trade_quote=float(pnl.min()) if len(pnl) else None,
    )


def _first(means: Floats) -> Floats:
    return means[..., 0]


def _activity(curve: EquityCurve, periods: Periods, dealings: Dealings, bootstrap: Bootstrap) -> Activity:
    turnover = dealings.notional / float(curve.equity.mean()) if curve.equity.mean() > 0 else 0.0
    holds = np.array([trade.hold_secs for trade in dealings.trades], dtype=np.float64)[:, None]
    positive = curve.equity > 0
    exposure = curve.gross_exposure[positive] / curve.equity[positive]
    return Activity(
        trade_count=len(dealings.trades),
        fill_count=len(dealings.fills),
        open_positions=dealings.open_positions,
        average_hold_secs=estimate_of_sums(holds, _first, bootstrap),
        traded_notional_quote=dealings.notional,
        turnover=turnover,
        turnover_annual=turnover * periods.per_year / len(periods),
        time_in_market_frac=float((curve.gross_exposure > 0).mean()),
        average_exposure_frac=float(exposure.mean()) if len(exposure) else 0.0,
    )


def _costs(curve: EquityCurve, dealings: Dealings | None) -> CostMetrics:
    total = float(curve.fees[-1])
    notional = dealings.notional if dealings else 0.0
    return CostMetrics(
        total_quote=total,
        bps_of_notional=1e4 * total / notional if notional > 0 else None,
        drag_frac=total / curve.initial,
    )
