"""What a step of the market works on: books, prices and rules, as arrays of records for a compiled loop.

Flow: datasets, configuration → **market_state** → market_step.

A record is passed to a compiled function as one pointer; a tuple of arrays would cost more than the
arithmetic, and a class of ours would tie the compiler's cache to its name. Prices are in quote currency,
quantities in base units.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.datasets import Dataset
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.market import Instrument

type Records = npt.NDArray[np.void]
"""Array of records; which, is said where it is used."""
type Record = Any
"""One record; its fields are attributes in compiled code."""

WEIGHTS, SIMPLEX_CASH, TANH_LEVERAGE = 0, 1, 2
"""Action maps, as `strategies.config.ActionMap` defines them."""
LOG_NAV, DELTA_NAV, DIFFERENTIAL_SHARPE = 0, 1, 2
"""Base rewards."""

_MAPS = {
    ActionMap.WEIGHTS: WEIGHTS,
    ActionMap.SIMPLEX_CASH: SIMPLEX_CASH,
    ActionMap.TANH_LEVERAGE: TANH_LEVERAGE,
}


BOOK = np.dtype(
    [
        (name, np.float64)
        for name in (
            "capital",
            "cash",
            "equity",
            "peak",
            "drawdown",
            "last_equity",
            "variance",
            "traded",
            "turnover",
            "realised",
            "fees",
            "sharpe_mean",
            "sharpe_square",
        )
    ]
)
"""One portfolio, as `strategies.portfolio.Ledger` keeps it; and the moments of the differential Sharpe."""

HOLDING = np.dtype(
    [("position", "<f8"), ("average", "<f8"), ("unrealised", "<f8"), ("bars_held", "<i8")], align=True
)
"""What a portfolio holds of one instrument."""

QUOTE = np.dtype([("fill", "<f8"), ("close", "<f8"), ("volume", "<f8")])
"""One instrument at one row: what an order that is decided at its close fills at, the close, the volume."""

NAME = np.dtype(
    [
        ("lot_size", "<f8"),
        ("min_quantity", "<f8"),
        ("min_notional", "<f8"),
        ("taker_fee_bps", "<f8"),
        ("shortable", "?"),
    ],
    align=True,
)
"""Trading rules of one instrument."""


RULES = np.dtype(
    [
        ("action_map", "<i8"),
        ("min_hold_bars", "<i8"),
        ("invest_max", "<f8"),
        ("gross_leverage_cap", "<f8"),
        ("name_cap_frac", "<f8"),
        ("max_step_change", "<f8"),
        ("rebalance_eps", "<f8"),
        ("cash_buffer_frac", "<f8"),
        ("commission_per_unit", "<f8"),
        ("half_spread_bps", "<f8"),
        ("impact_k", "<f8"),
        ("borrow_annual_frac", "<f8"),
    ]
)
"""How actions become trades and what they cost; units as in `strategies.config`."""

TERMS = np.dtype(
    [
        ("base", "<i8"),
        ("drawdown_on_level", "<i8"),
        ("drawdown", "<f8"),
        ("turnover", "<f8"),
        ("volatility", "<f8"),
        ("leverage", "<f8"),
        ("sharpe_rate", "<f8"),
    ]
)
"""What a step is paid; see `ml.environment.RewardConfig`."""


def new_books(num_envs: int, num_instruments: int, capital: float) -> tuple[Records, Records]:
    """Portfolios that hold nothing but cash.

    Args:
        num_envs: E.
        num_instruments: N.
        capital: Cash of each, quote currency.

    Returns:
        Records of `BOOK`, shape (E,), and of `HOLDING`, shape (E, N).
    """
    books, holdings = np.zeros(num_envs, BOOK), np.zeros((num_envs, num_instruments), HOLDING)
    books["capital"] = capital
    reset_books(books, holdings, np.ones(num_envs, dtype=np.bool_))
    return books, holdings


def reset_books(books: Records, holdings: Records, which: npt.NDArray[np.bool_]) -> None:
    """Empty some portfolios, shape (E,), of everything but their capital."""
    fresh = np.zeros(int(which.sum()), BOOK)
    for name in ("capital", "cash", "equity", "peak", "last_equity"):
        fresh[name] = books["capital"][which]
    books[which] = fresh
    holdings[which] = np.zeros(1, HOLDING)


def market_of(dataset: Dataset) -> Records:
    """Prices as the engine fills them, records of `QUOTE`, shape (T, N).

    What was decided at a close fills at the open of the next bar, also over a gap of the whole market; at
    the last close, the newest price there is, where the instrument alone has no bar.
    """
    quotes = np.zeros(dataset.close.shape, QUOTE)
    quotes["close"] = quotes["fill"] = dataset.close
    quotes["fill"][:-1] = np.where(dataset.present[1:], dataset.open[1:], dataset.close[:-1])
    newest = np.where(dataset.present, np.arange(len(dataset))[:, None], 0)
    quotes["volume"] = np.take_along_axis(dataset.volume, np.maximum.accumulate(newest), axis=0)
    return quotes


def names_of(instruments: Sequence[Instrument], costs: CostConfig) -> Records:
    """Trading rules as records of `NAME`, shape (N,)."""
    names = np.zeros(len(instruments), NAME)
    taker = costs.taker_fee_bps
    for name, instrument in zip(names, instruments, strict=True):
        name["lot_size"] = float(instrument.lot_size)
        name["min_quantity"] = float(instrument.min_quantity)
        name["min_notional"] = float(instrument.min_notional)
        name["taker_fee_bps"] = instrument.taker_fee_bps if taker is None else taker
        name["shortable"] = instrument.shortable
    return names


def rules_of(
    allocation: AllocationConfig, costs: CostConfig, *, min_hold_bars: int = 0, cash_buffer_frac: float = 0.0
) -> Records:
    """Configuration as one record of `RULES`, shape (1,)."""
    rules = np.zeros(1, RULES)
    given = allocation.model_dump() | costs.model_dump()
    given |= {"min_hold_bars": min_hold_bars, "cash_buffer_frac": cash_buffer_frac}
    given["action_map"] = _MAPS[allocation.action_map]
    for name in RULES.fields or ():
        rules[name] = given[name]
    return rules
