"""The observation by hand: what is in it, in which order, and that the window is the last rows."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.belief_summary import BeliefSummary
from strategies.features import FeatureVector
from strategies.market import Instrument
from strategies.observation import (
    PORTFOLIO_FIELDS,
    ObservationBuilder,
    portfolio_vector,
)
from strategies.portfolio import Ledger
from strategies.regime import RegimeBelief
from strategies.regime_params import RegimeParams


def _ledger(num_instruments: int, capital: float = 1000.0) -> Ledger:
    instrument = Instrument(
        instrument_id="BTCUSDT.BINANCE",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=10.0,
        taker_fee_bps=10.0,
        shortable=True,
    )
    return Ledger([instrument] * num_instruments, capital)


def _vector(
    step: int, num_instruments: int = 2, num_features: int = 3, *, ready: bool = True
) -> FeatureVector:
    size = num_instruments * num_features
    values = (100.0 * step + np.arange(size, dtype=np.float64)).reshape(num_instruments, num_features)
    return FeatureVector(ts_event=step, values=values, ready=ready)


@settings(max_examples=50, deadline=None)
@given(lookback=st.integers(1, 7), length=st.integers(1, 40))
def test_window_after_any_number_of_rows_is_the_last_ones_oldest_first(lookback: int, length: int) -> None:
    builder = ObservationBuilder(lookback, 2, 3, 0)
    ledger, closes = _ledger(2), (1.0, 1.0)
    vectors = [_vector(step) for step in range(length)]

    for count, vector in enumerate(vectors, start=1):
        builder.push(vector)

        assert builder.ready == (count >= lookback)
        if builder.ready:
            observation = builder.build(ledger, closes, None)
            expected = np.stack([v.values for v in vectors[count - lookback : count]]).astype(np.float32)
            assert np.array_equal(observation.window, expected)
            assert observation.window.dtype == np.float32
            assert observation.window.flags.c_contiguous
            assert observation.ts_event == vector.ts_event
            assert observation.features is vector.values


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.integers(-1000, 1000), min_size=4, max_size=20), data=st.data())
def test_observation_never_looks_ahead(steps: list[int], data: st.DataObject) -> None:
    length = data.draw(st.integers(3, len(steps)))

    def window_after(count: int) -> list[float]:
        builder = ObservationBuilder(3, 2, 3, 0)
        windows = []
        for at, step in enumerate(steps[:count], start=1):
            builder.push(_vector(step))
            if at == length:
                windows = builder.build(_ledger(2), (1.0, 1.0), None).window.ravel().tolist()
        return windows

    assert window_after(len(steps)) == window_after(length)


def test_push_of_a_row_that_is_not_ready_empties_the_window() -> None:
    builder = ObservationBuilder(2, 2, 3, 0)
    builder.push(_vector(1))
    builder.push(_vector(2))

    builder.push(_vector(3, ready=False))
    builder.push(_vector(4))
    after_one = builder.ready
    builder.push(_vector(5))

    assert not after_one
    assert builder.ready
    assert builder.build(_ledger(2), (1.0, 1.0), None).window[:, 0, 0].tolist() == [400.0, 500.0]


def test_push_of_another_shape_is_refused_and_leaves_the_window_unchanged() -> None:
    builder = ObservationBuilder(2, 2, 3, 0)
    builder.push(_vector(1))
    builder.push(_vector(2))

    with pytest.raises(ValueError, match=r"expected features of shape \(2, 3\), found \(1, 3\)"):
        builder.push(_vector(3, num_instruments=1))

    assert builder.ready
    assert builder.build(_ledger(2), (1.0, 1.0), None).window[:, 0, 0].tolist() == [100.0, 200.0]


def test_build_before_the_first_row_is_refused() -> None:
    with pytest.raises(ValueError, match="push before build"):
        ObservationBuilder(2, 2, 3, 0).build(_ledger(2), (1.0, 1.0), None)


def test_builder_with_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 column names, found 1"):
        ObservationBuilder(2, 2, 3, 0, columns=("rsi_14",))


def test_portfolio_vector_of_a_traded_book_by_hand() -> None:
    # Buys 2 at 100 (fee 1), sells 1 short at 50 (no fee), closes are 110 and 40: cash 1000 - 201 + 50 = 849,
    # unrealised 20 + 10, equity 849 + 220 - 40 = 1029. Then one unit is sold at 120: realised 20,
    # cash 969, unrealised 10 + 10, equity 969 + 110 - 40 = 1039; that bar turned over 120 of 1029.
    ledger = _ledger(2)
    ledger.apply_fill(0, 2.0, 100.0, 1.0)
    ledger.apply_fill(1, -1.0, 50.0, 0.0)
    ledger.mark([110.0, 40.0])
    ledger.apply_fill(0, -1.0, 120.0, 0.0)
    ledger.mark([110.0, 40.0])

    portfolio = dict(
        zip((*PORTFOLIO_FIELDS, "first", "second"), portfolio_vector(ledger).tolist(), strict=True)
    )

    assert portfolio == pytest.approx(
        {
            "cash_frac": 969.0 / 1039.0,
            "margin_used": 150.0 / 1039.0,
            "drawdown": 0.0,
            "unrealised": 0.020,
            "realised": 0.020,
            "rolling_vol": ledger.rolling_volatility,
            "turnover": 120.0 / 1029.0,
            "first": 110.0 / 1039.0,
            "second": -40.0 / 1039.0,
        },
        rel=1e-6,
    )


def test_portfolio_vector_of_an_untouched_book_is_all_cash() -> None:
    assert portfolio_vector(_ledger(2)).tolist() == [1.0] + [0.0] * 8


def test_portfolio_vector_of_a_ruined_book_is_finite() -> None:
    ledger = _ledger(1, capital=100.0)
    ledger.apply_fill(0, -1.0, 100.0, 0.0)
    ledger.mark([300.0])

    portfolio = portfolio_vector(ledger)

    assert ledger.equity == -100.0
    assert np.isfinite(portfolio).all()
    assert portfolio[0] == 0.0
    assert portfolio[3] == -2.0


def test_build_shows_the_book_and_the_belief() -> None:
    ledger = _ledger(2)
    ledger.apply_fill(1, 3.0, 10.0, 0.0)
    ledger.mark([50.0, 10.0])
    belief = RegimeBelief((0.25, 0.75), 1, 0.811278)
    builder = ObservationBuilder(1, 2, 3, 2, columns=("a", "b", "c"))
    builder.push(_vector(1))

    observation = builder.build(ledger, (50.0, 10.0), belief)

    assert observation.beliefs.tolist() == [0.25, 0.75]
    assert observation.beliefs.dtype == np.float32
    assert observation.belief is belief
    assert observation.positions == (0.0, 3.0)
    assert observation.bars_held == (0, 1)
    assert observation.closes == (50.0, 10.0)
    assert observation.columns == ("a", "b", "c")


def test_build_shows_the_summary_in_the_place_of_the_belief() -> None:
    params = RegimeParams(
        np.array([0.5, 0.5]), np.eye(2), np.array([[-1.0], [2.0]]), np.array([[1.0], [4.0]])
    )
    summary = BeliefSummary(params, 0)
    belief = RegimeBelief((0.25, 0.75), 1, 0.811278)
    builder = ObservationBuilder(1, 2, 3, 2, summary=summary)
    builder.push(_vector(1))

    observation = builder.build(_ledger(2), (1.0, 1.0), belief)

    assert observation.beliefs.tolist() == pytest.approx(summary(belief.probs))
    assert observation.beliefs[0] == 0.75
    assert observation.beliefs.dtype == np.float32
    assert observation.belief is belief


def test_build_keeps_the_belief_from_a_policy_that_is_not_shown_it() -> None:
    builder = ObservationBuilder(1, 2, 3, 0)
    builder.push(_vector(1))

    observation = builder.build(_ledger(2), (1.0, 1.0), RegimeBelief((1.0, 0.0), 0, 0.0))

    assert observation.beliefs.shape == (0,)
    assert observation.belief is None


@pytest.mark.parametrize("belief", [None, RegimeBelief((1.0,), 0, 0.0)])
def test_build_without_the_belief_that_the_policy_needs_is_refused(belief: RegimeBelief | None) -> None:
    builder = ObservationBuilder(1, 2, 3, 2)
    builder.push(_vector(1))

    with pytest.raises(ValueError, match="expected a belief over 2 states"):
        builder.build(_ledger(2), (1.0, 1.0), belief)


def test_observation_of_an_earlier_bar_keeps_its_book_when_the_ledger_moves_on() -> None:
    ledger = _ledger(2)
    builder = ObservationBuilder(1, 2, 3, 0)
    builder.push(_vector(1))
    observation = builder.build(ledger, (1.0, 1.0), None)

    ledger.apply_fill(0, 5.0, 1.0, 0.0)

    assert observation.positions == (0.0, 0.0)
    assert observation.portfolio[0] == 1.0
