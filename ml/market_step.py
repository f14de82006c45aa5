"""One bar of many portfolios at once, compiled: what the decision plane does bar by bar, for training.

Flow: market_state, actions → **market_step** → environment.

    action --map--> --caps--> --gate, throttle--> --whole lots--> --cash--> fills at the next open, with costs
    → books marked at the next close → reward

The definitions are those of `strategies`: `allocation` (maps, caps, turnover), `sizing` (lots, trades,
cash), `costs` and `portfolio`. They are written out here once more as scalar loops because a bar must cost
hundreds of nanoseconds instead of tens of microseconds; tests play both on random markets and compare.
"""

import math
from collections.abc import Callable
from typing import cast

import numba
import numpy as np

from ml.datasets import Ints
from ml.market_state import (
    DELTA_NAV,
    LOG_NAV,
    SIMPLEX_CASH,
    TANH_LEVERAGE,
    WEIGHTS,
    Record,
    Records,
)
from strategies.costs import YEAR_NS
from strategies.market import Float32s, Floats
from strategies.portfolio import VOLATILITY_HALFLIFE_BARS

_DECAY = 0.5 ** (1.0 / VOLATILITY_HALFLIFE_BARS)
_ON_GRID = 1e-6
_BPS = 1e-4
_YEAR_NS = float(YEAR_NS)


def compiled[F: Callable[..., object]](function: F) -> F:
    """Compile with numba, exactly: no reordering of sums; kept on disk between processes."""
    return cast("F", numba.njit(cache=True, error_model="numpy")(function))


@compiled
def step(
    books: Records,
    holdings: Records,
    quotes: Records,
    ts_event: Ints,
    names: Records,
    rule: Records,
    term: Records,
    rows: Ints,
    actions: Floats,
    rewards: Floats,
) -> None:
    """Decide at the close of each row, fill at the next open, mark at the next close.

    Args:
        books: `BOOK`, shape (E,); changed in place.
        holdings: `HOLDING`, shape (E, N); changed in place.
        quotes: `QUOTE`, shape (T, N).
        ts_event: Close times, UTC nanoseconds, shape (T,).
        names: `NAME`, shape (N,).
        rule: `RULES`, shape (1,).
        term: `TERMS`, shape (1,).
        rows: Row of each portfolio, shape (E,); below T - 1.
        actions: Shape (E, N), or (E, N + 1) for `SIMPLEX_CASH`; NaN leaves an instrument under `WEIGHTS`.
        rewards: Written, shape (E,).
    """
    rules, terms = rule[0], term[0]
    count = holdings.shape[1]
    wanted, held, openings = np.empty(count), np.empty(count), np.empty(count)
    for e in range(len(rows)):
        book, holding, row = books[e], holdings[e], rows[e]
        now, then = quotes[row], quotes[row + 1]
        before, drawdown = book.equity, book.drawdown
        for n in range(count):
            held[n] = holding[n].position * now[n].close / before if before > 0.0 else 0.0
        map_action(actions[e], rules, wanted)
        for n in range(count):
            if holding[n].position != 0.0 and holding[n].bars_held < rules.min_hold_bars:
                wanted[n] = math.nan
        limit_turnover(wanted, held, rules)
        trade(book, holding, now, names, rules, wanted, openings)
        mark(book, holding, then)
        charge_borrow(book, holding, then, rules, ts_event[row + 1] - ts_event[row])
        rewards[e] = reward(book, holding, then, terms, before, drawdown)


@compiled
def map_action(values: Floats, rules: Record, wanted: Floats) -> None:
    """`strategies.allocation.maps`: from an action to capped weights; NaN stays."""
    count = len(wanted)
    if rules.action_map == SIMPLEX_CASH:
        top = values[0]
        for n in range(1, count):
            top = max(top, values[n])
        total = 0.0
        for n in range(count):
            wanted[n] = math.exp(values[n] - top)
            total += wanted[n]
        gate = values[count]
        share = 1.0 / (1.0 + math.exp(-gate)) if gate >= 0.0 else math.exp(gate) / (1.0 + math.exp(gate))
        for n in range(count):
            wanted[n] *= rules.invest_max * share / total
    elif rules.action_map == TANH_LEVERAGE:
        for n in range(count):
            wanted[n] = math.tanh(values[n])
    else:
        wanted[:] = values
    cap, gross = rules.name_cap_frac, 0.0
    for n in range(count):
        # NaN compares false and so comes through.
        if wanted[n] > cap:
            wanted[n] = cap
        elif wanted[n] < -cap:
            wanted[n] = -cap
        gross += abs(wanted[n])
    limit = rules.invest_max if rules.action_map == SIMPLEX_CASH else rules.gross_leverage_cap
    if rules.action_map != WEIGHTS and gross > limit:
        for n in range(count):
            wanted[n] *= limit / gross


@compiled
def limit_turnover(wanted: Floats, held: Floats, rules: Record) -> None:
    """`strategies.allocation.turnover`: drop small changes, spread large ones; NaN leaves an instrument."""
    turnover = 0.0
    for n in range(len(wanted)):
        change = abs(wanted[n] - held[n])
        if change > 0.0 and (change >= rules.rebalance_eps or wanted[n] == 0.0):
            turnover += change
        else:
            wanted[n] = math.nan
    if turnover > rules.max_step_change:
        pace = rules.max_step_change / turnover
        for n in range(len(wanted)):
            wanted[n] = held[n] + (wanted[n] - held[n]) * pace


@compiled
def trade(
    book: Record,
    holding: Records,
    now: Records,
    names: Records,
    rules: Record,
    wanted: Floats,
    openings: Floats,
) -> None:
    """`strategies.sizing`: weights to whole lots, reductions first, purchases no larger than the cash.

    Cash counts as it is at the decision: what the reductions bring in comes too late.
    """
    equity = book.equity
    if not equity > 0.0:
        return
    spendable = book.cash - rules.cash_buffer_frac * equity
    for n in range(len(wanted)):
        openings[n] = 0.0
        if math.isnan(wanted[n]):
            continue
        name, close = names[n], now[n].close
        held = whole_lots(holding[n].position, name.lot_size)
        goal = whole_lots(wanted[n] * equity / close, name.lot_size)
        reducing, opening = 0.0, goal - held
        if held != 0.0 and not (held * goal > 0.0 and abs(goal) >= abs(held)):
            reducing, opening = (goal - held, 0.0) if held * goal > 0.0 else (-held, goal)
        openings[n] = opening if name.shortable else max(opening, 0.0)
        quantity = reducing * name.lot_size
        if reducing != 0.0 and (name.shortable or is_sendable(quantity, close, name)):
            fill(book, holding[n], now[n], name, rules, quantity)
    for n in range(len(wanted)):
        if openings[n] == 0.0:
            continue
        name, close = names[n], now[n].close
        quantity = openings[n] * name.lot_size
        if not is_sendable(quantity, close, name):
            continue
        if not name.shortable:
            if quantity * close > spendable:
                quantity = whole_lots(max(spendable, 0.0) / close, name.lot_size) * name.lot_size
                if quantity <= 0.0 or not is_sendable(quantity, close, name):
                    continue
            spendable -= quantity * close
        fill(book, holding[n], now[n], name, rules, quantity)


@compiled
def whole_lots(quantity: float, lot: float) -> float:
    """`strategies.sizing.lots`: whole lots in a quantity, towards zero."""
    lots = quantity / lot
    nearest = float(np.rint(lots))
    return nearest if abs(lots - nearest) <= _ON_GRID else float(np.trunc(lots))


@compiled
def is_sendable(quantity: float, price: float, name: Record) -> bool:
    """Whether the venue would take an order of this size."""
    size = abs(quantity)
    if size < name.min_quantity - _ON_GRID * name.lot_size:
        return False
    return bool(size * price >= name.min_notional)


@compiled
def fill(book: Record, holding: Record, quote: Record, name: Record, rules: Record, quantity: float) -> None:
    """`strategies.portfolio.Ledger.apply_fill` of a taker's fill that `strategies.costs` has priced."""
    price, size = quote.fill, abs(quantity)
    participation = size / quote.volume if quote.volume > 0.0 else 1.0
    slippage_bps = rules.half_spread_bps + rules.impact_k * math.sqrt(participation)
    cost = rules.commission_per_unit * size + (name.taker_fee_bps + slippage_bps) * _BPS * size * price
    held, average = holding.position, holding.average
    # A position is a whole number of lots: counting in lots keeps it free of rounding.
    after = np.rint((held + quantity) / name.lot_size) * name.lot_size
    if held * quantity < 0.0:
        book.realised += math.copysign(min(size, abs(held)), held) * (price - average)
        if held * after < 0.0:
            holding.average = price
    else:
        holding.average = (abs(held) * average + size * price) / (abs(held) + size)
    if after == 0.0:
        holding.average = 0.0
    if held * after <= 0.0:
        holding.bars_held = 0
    holding.position = after
    book.cash -= quantity * price + cost
    book.fees += cost
    book.traded += size * price


@compiled
def mark(book: Record, holding: Records, then: Records) -> None:
    """`strategies.portfolio.Ledger.mark`: value the book at the closes of a bar."""
    equity = book.cash
    for n in range(len(holding)):
        position, close = holding[n].position, then[n].close
        if position != 0.0:
            holding[n].bars_held += 1
            equity += position * close
        holding[n].unrealised = position * (close - holding[n].average)
    book.equity = equity
    book.peak = max(book.peak, equity)
    book.drawdown = 1.0 - equity / book.peak
    last = book.last_equity
    change = equity / last - 1.0 if last > 0.0 else 0.0
    book.variance = _DECAY * book.variance + (1.0 - _DECAY) * change * change
    book.turnover = book.traded / last if last > 0.0 else 0.0
    book.traded = 0.0
    book.last_equity = equity


@compiled
def charge_borrow(book: Record, holding: Records, then: Records, rules: Record, elapsed_ns: int) -> None:
    """`strategies.costs.CostModel.borrow_cost` of what is short, for the time since the last bar."""
    short = 0.0
    for n in range(len(holding)):
        if holding[n].position < 0.0:
            short -= holding[n].position * then[n].close
    if short > 0.0:
        fee = short * rules.borrow_annual_frac * (elapsed_ns / _YEAR_NS)
        book.cash -= fee
        book.fees += fee
        book.equity -= fee


@compiled
def reward(
    book: Record, holding: Records, then: Records, terms: Record, before: float, drawdown: float
) -> float:
    """The base reward less penalties; see `ml.environment.RewardConfig`."""
    equity = book.equity
    if terms.base == LOG_NAV:
        paid = math.log(max(equity / before, _ON_GRID)) if before > 0.0 else 0.0
    elif terms.base == DELTA_NAV:
        paid = (equity - before) / book.capital
    else:
        change = equity / before - 1.0 if before > 0.0 else 0.0
        paid = differential_sharpe(book, change, terms.sharpe_rate)
    fallen = book.drawdown if terms.drawdown_on_level else book.drawdown - drawdown
    gross = 0.0
    for n in range(len(holding)):
        gross += abs(holding[n].position) * then[n].close
    leverage = gross / equity if equity > 0.0 else 0.0
    return float(
        paid
        - terms.drawdown * fallen
        - terms.turnover * book.turnover
        - terms.volatility * math.sqrt(book.variance)
        - terms.leverage * leverage
    )


@compiled
def differential_sharpe(book: Record, change: float, rate: float) -> float:
    """What one return adds to a running Sharpe ratio; 0 until there is a spread of returns.

    Source:
        Moody and Saffell (1998), Reinforcement learning for trading, eq. 10.
    """
    mean, square = book.sharpe_mean, book.sharpe_square
    mean_change, square_change = change - mean, change * change - square
    variance = square - mean * mean
    book.sharpe_mean = mean + rate * mean_change
    book.sharpe_square = square + rate * square_change
    if variance <= 1e-12:
        return 0.0
    return float((square * mean_change - 0.5 * mean * square_change) / variance**1.5)


@compiled
def portfolio_vectors(
    books: Records, holdings: Records, quotes: Records, rows: Ints, vectors: Float32s
) -> None:
    """`strategies.observation.portfolio_vector` of each book, shape (E, 7 + N), at the closes of its row."""
    for e in range(len(rows)):
        book, now = books[e], quotes[rows[e]]
        inverse = 1.0 / book.equity if book.equity > 0.0 else 0.0
        gross = unrealised = 0.0
        for n in range(holdings.shape[1]):
            value = holdings[e, n].position * now[n].close
            gross += abs(value)
            unrealised += holdings[e, n].unrealised
            vectors[e, 7 + n] = value * inverse
        vectors[e, 0] = book.cash * inverse
        vectors[e, 1] = gross * inverse
        vectors[e, 2] = book.drawdown
        vectors[e, 3] = unrealised / book.capital
        vectors[e, 4] = book.realised / book.capital
        vectors[e, 5] = math.sqrt(book.variance)
        vectors[e, 6] = book.turnover
