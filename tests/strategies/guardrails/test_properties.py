"""What holds for every trade, every context and every limit."""

import json
import math
from collections.abc import Callable
from copy import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from strategies.config import GuardrailConfig
from strategies.guardrails import (
    AccountGuard,
    AccountLimits,
    GuardrailChain,
    GuardrailContext,
    RiskBook,
    TradingState,
)
from strategies.sizing import Trade
from tests.strategies.guardrails.scenario import (
    CAPITAL,
    CLOSES,
    MINUTE,
    NOON,
    SECOND,
    context,
    instrument,
    limits,
    trade,
    with_changes,
)

NAN, INF = math.nan, math.inf
RULES = tuple(instrument(n, shortable=n != 2) for n in range(3))


def _lots(largest: int) -> st.SearchStrategy[float]:
    return st.integers(-largest, largest).map(lambda lots: lots / 100)


def _vector(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=3, max_size=3)


QUOTE = st.floats(0.5, 5000.0)
LIMITS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, float], Any]]] = {
    # the range of each limit, and how to make it tighter by a share of 0..1
    "min_confidence": (st.floats(0.0, 1.0), lambda v, s: v + (1.0 - v) * s),
    "max_spread_bps": (st.floats(0.1, 200.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "max_position_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "state_drawdown_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "daily_loss_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "session_loss_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "drawdown_frac": (st.floats(0.001, 1.0), lambda v, s: v * (1.0 - s)),
    "max_daily_notional_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "min_notional_quote": (st.floats(0.0, 50.0), lambda v, s: v + 1000.0 * s),
    "max_notional_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "min_price": (st.floats(0.0, 100.0), lambda v, s: v + 1000.0 * s),
    "max_price": (st.floats(1.0, 1000.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "allow_short": (st.booleans(), lambda v, s: False),
    "cooldown_secs": (st.floats(0.0, 100.0), lambda v, s: v + 100.0 * s),
    "stale_after_secs": (st.floats(1.0, 300.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "max_reject_rate": (st.floats(0.0, 1.0), lambda v, s: v * (1.0 - s)),
    "max_orders_per_minute": (st.integers(1, 10), lambda v, s: max(1, int(v * (1.0 - s)))),
    "price_collar_bps": (st.floats(1.0, 1000.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "max_participation_frac": (st.floats(0.001, 1.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "max_gross_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "max_net_quote": (QUOTE, lambda v, s: v * (1.0 - s) or 1e-9),
    "name_cap_frac": (st.floats(0.001, 2.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "sector_cap_frac": (st.floats(0.001, 2.0), lambda v, s: v * (1.0 - s) or 1e-9),
    "loss_readings": (st.integers(1, 4), lambda v, s: max(1, int(v * (1.0 - s)))),
}


@st.composite
def configurations(draw: st.DrawFn) -> GuardrailConfig:
    chosen = draw(st.sets(st.sampled_from(sorted(LIMITS)), max_size=6))
    return limits(**{name: draw(LIMITS[name][0]) for name in sorted(chosen)})


@st.composite
def trades(draw: st.DrawFn) -> Trade:
    index = draw(st.integers(0, 2))
    quantity = draw(_lots(5000))
    reduces = draw(st.booleans())
    price = CLOSES[index] * draw(st.sampled_from([1.0, 1.0, 0.97, 1.04]))
    return trade(quantity, index, price=price, reduces=reduces, closes=reduces and draw(st.booleans()))


@st.composite
def contexts(draw: st.DrawFn) -> GuardrailContext:
    half = draw(st.sampled_from([0.0, 0.0, 0.0005, 0.01]))
    working = draw(st.booleans())
    return context(
        ts_event=NOON,
        now_ns=NOON + draw(st.sampled_from([0, 0, 1, 100, 200, -1, -2])) * SECOND,
        trading_state=draw(
            st.sampled_from([TradingState.ACTIVE] * 9 + [TradingState.HALTED, TradingState.REDUCING])
        ),
        armed=draw(st.sampled_from([True] * 11 + [False])),
        reconciled=draw(st.sampled_from([True] * 11 + [False])),
        doubtful=draw(st.sampled_from([frozenset()] * 8 + [frozenset({0}), frozenset({2})])),
        equity=draw(st.one_of(st.floats(100.0, 20_000.0), st.just(-1.0))),
        positions=draw(_vector(_lots(3000))),
        bid=[close * (1 - half) for close in CLOSES],
        ask=[close * (1 + half) for close in CLOSES],
        bar_volumes=draw(_vector(st.floats(0.0, 1e4))),
        confidence=draw(st.floats(0.0, 1.0)),
        regime_state=draw(st.sampled_from([None, 0, 1])),
        working_buys=draw(_vector(st.integers(0, 500).map(lambda n: n / 100))) if working else (),
        working_sells=draw(_vector(st.integers(0, 500).map(lambda n: n / 100))) if working else (),
    )


type History = list[tuple[float, int | None, int, int, float, bool]]

HISTORIES = st.lists(
    st.tuples(
        st.floats(8000.0, 12_000.0),
        st.sampled_from([None, 0, 1]),
        st.integers(0, 2),
        st.sampled_from([-1, 1]),
        st.floats(1.0, 400.0),
        st.booleans(),
    ),
    max_size=8,
)


def _book(config: GuardrailConfig, history: History) -> RiskBook:
    """A book that has lived through some bars, five seconds apart, up to noon."""
    book = RiskBook(config, 3, CAPITAL)
    for bar, (equity, state, index, side, notional, rejected) in enumerate(history):
        ts_event = NOON - 5 * SECOND * (len(history) - bar)
        book.mark(ts_event, equity, state)
        book.on_order_sent(ts_event, index, side, notional, f"d{bar}")
        book.on_outcome(rejected=rejected)
    book.mark(NOON, history[-1][0] if history else CAPITAL, 0)
    return book


def _approve(
    config: GuardrailConfig, history: History, asked: list[Trade], moment: GuardrailContext
) -> list[float]:
    chain, book = GuardrailChain(config, RULES), _book(config, history)
    return [chain.check(each, moment, book).approved for each in asked]


def _adds(asked: Trade, approved: float, moment: GuardrailContext) -> bool:
    """Whether what was approved takes a position away from zero, or through it."""
    held = moment.positions[asked.index]
    return abs(held + approved) > abs(held) + 1e-9 or (held + approved) * held < -1e-9


@given(configurations(), HISTORIES, trades(), contexts())
@settings(max_examples=150, deadline=None)
def test_never_more_than_was_asked_never_the_other_side_never_half_a_lot(
    config: GuardrailConfig, history: History, asked: Trade, moment: GuardrailContext
) -> None:
    (approved,) = _approve(config, history, [asked], moment)

    assert abs(approved) <= abs(asked.quantity)
    assert approved == 0.0 or math.copysign(1.0, approved) == math.copysign(1.0, asked.quantity)
    assert approved * 100 == pytest.approx(round(approved * 100), abs=1e-6)


@pytest.mark.parametrize("name", sorted(LIMITS))
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_tighter_limit_never_approves_more(name: str, data: st.DataObject) -> None:
    values, tighten = LIMITS[name]
    config = data.draw(configurations())
    loose_value = data.draw(st.one_of(values, st.none()) if _may_be_off(name) else values)
    base = loose_value if loose_value is not None else data.draw(values)
    tight_value = tighten(base, data.draw(st.floats(0.0, 1.0)))
    history, asked, moment = data.draw(HISTORIES), data.draw(trades()), data.draw(contexts())

    (loose,) = _approve(_changed(config, name, loose_value), history, [asked], moment)
    (tight,) = _approve(_changed(config, name, tight_value), history, [asked], moment)

    assert abs(tight) <= abs(loose)


def _may_be_off(name: str) -> bool:
    return "None" in str(GuardrailConfig.model_fields[name].annotation)


def _changed(config: GuardrailConfig, name: str, value: Any) -> GuardrailConfig:
    return GuardrailConfig(**(config.model_dump() | {name: value}))


@given(configurations(), HISTORIES, trades(), contexts(), st.sampled_from(["HALTED", "REDUCING"]))
@settings(max_examples=100, deadline=None)
def test_halted_and_reducing_approve_only_reductions(
    config: GuardrailConfig, history: History, asked: Trade, moment: GuardrailContext, state: str
) -> None:
    moment = with_changes(moment, trading_state=TradingState(state))

    (approved,) = _approve(config, history, [asked], moment)

    assert not _adds(asked, approved, moment)


@given(configurations(), HISTORIES, trades(), contexts())
@settings(max_examples=100, deadline=None)
def test_trade_that_says_it_reduces_never_adds(
    config: GuardrailConfig, history: History, asked: Trade, moment: GuardrailContext
) -> None:
    asked = replace(asked, reduces=True)

    (approved,) = _approve(config, history, [asked], moment)

    assert not _adds(asked, approved, moment)


@given(configurations(), HISTORIES, contexts(), st.integers(0, 1), st.floats(0.0, 1.0))
@settings(max_examples=150, deadline=None)
def test_reduction_passes_whatever_limit_is_hit(
    config: GuardrailConfig, history: History, moment: GuardrailContext, index: int, share: float
) -> None:
    held = moment.positions[index]
    quantity = -round(held * share, 2)
    assume(quantity)
    moment = with_changes(moment, armed=True, doubtful=frozenset(), working_buys=(), working_sells=())

    (approved,) = _approve(config, history, [trade(quantity, index, reduces=True)], moment)

    assert approved == quantity


@pytest.mark.parametrize(
    "name", ["equity", "cash", "confidence", "positions", "closes", "bid", "ask", "bar_volumes"]
)
@pytest.mark.parametrize("poison", [NAN, INF, -INF])
@given(configurations(), HISTORIES, trades(), contexts(), st.integers(0, 2), st.lists(trades(), max_size=2))
@settings(max_examples=12, deadline=None)
def test_number_that_is_none_never_approves_new_risk(
    name: str,
    poison: float,
    config: GuardrailConfig,
    history: History,
    asked: Trade,
    moment: GuardrailContext,
    at: int,
    others: list[Trade],
) -> None:
    value = getattr(moment, name)
    poisoned = poison if isinstance(value, float) else [poison if n == at else x for n, x in enumerate(value)]

    approved = _approve(config, history, [*others, asked], with_changes(moment, **{name: poisoned}))

    for each, quantity in zip([*others, asked], approved, strict=True):
        # From a position that is no number nothing is approved at all; else at most a reduction.
        assert quantity == 0.0 or not _adds(each, quantity, moment)


@given(configurations(), HISTORIES, st.lists(trades(), min_size=1, max_size=6), contexts())
@settings(max_examples=100, deadline=None)
def test_book_restored_from_its_snapshot_gives_the_same_verdicts(
    config: GuardrailConfig, history: History, asked: list[Trade], moment: GuardrailContext
) -> None:
    chain, book = GuardrailChain(config, RULES), _book(config, history)
    half = len(asked) // 2
    for each in asked[:half]:
        chain.check(each, moment, book)
    again = RiskBook(config, 3, CAPITAL)
    again.restore(json.loads(json.dumps(book.snapshot())))

    first = [str(chain.check(each, moment, book)) for each in asked[half:]]
    second = [str(chain.check(each, moment, again)) for each in asked[half:]]
    latches = [each.mark(NOON + MINUTE, 8500.0, 1) for each in (book, again)]

    assert first == second
    assert latches[0] == latches[1]
    assert book.snapshot() == again.snapshot()


@given(HISTORIES, st.lists(trades(), min_size=1, max_size=8), contexts(), st.floats(100.0, 4000.0))
@settings(max_examples=150, deadline=None)
def test_all_approvals_of_a_bar_together_keep_the_gross_limit_whatever_fills(
    history: History, asked: list[Trade], moment: GuardrailContext, limit: float
) -> None:
    account = AccountGuard(AccountLimits(max_gross_quote=2 * limit), CAPITAL)
    config = limits(max_gross_quote=limit, min_notional_quote=1.0)
    chain, book = GuardrailChain(config, RULES, account), _book(config, history)
    account.mark(NOON, CAPITAL, 0.0, 0.0)
    before = sum(abs(held) * close for held, close in zip(moment.positions, CLOSES, strict=True))
    highs, lows = list(moment.positions), list(moment.positions)
    for each in asked:
        approved = chain.check(each, moment, book).approved
        highs[each.index] += max(approved, 0.0)
        lows[each.index] += min(approved, 0.0)

    # Whichever subset fills: the worst is every purchase without a sale, or the other way round.
    worst = sum(max(high, -low) * close for high, low, close in zip(highs, lows, CLOSES, strict=True))
    assert worst <= max(limit, before) + 1e-6


@given(st.lists(st.integers(-3 * 86_400, 12 * 86_400), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_budget_is_won_back_only_by_time_that_went_forward_to_another_day(seconds: list[int]) -> None:
    book = RiskBook(limits(), 3, CAPITAL)
    book.mark(NOON, CAPITAL, None)
    book.on_order_sent(NOON, 0, 1, 500.0, "d")
    day = 86_400 * SECOND
    believed = NOON
    for offset in seconds:
        spent = book.daily_notional
        book.mark(NOON + offset * SECOND, CAPITAL, None)

        clock = book.clock.ts
        assert clock is not None
        assert clock >= believed
        if book.daily_notional < spent:
            assert clock // day > believed // day
        believed = clock
