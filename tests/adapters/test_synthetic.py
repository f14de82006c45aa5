from datetime import UTC, datetime

import numpy as np
import pytest

from adapters.bars import content_sha256
from adapters.errors import IngestError
from adapters.synthetic import (
    CORRELATION,
    INITIAL_PROBS,
    STATE_MEANS,
    STATE_SDS,
    SYMBOLS,
    TRANSITION_MATRIX,
    SyntheticConfig,
    SyntheticMarket,
    generate_market,
)

ALPHA = "ALPHAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL"
BETA = "BETAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL"


@pytest.fixture(scope="module")
def year() -> SyntheticMarket:
    return generate_market(SyntheticConfig(seed=11, days=365))


def log_returns(market: SyntheticMarket, bar_type: str) -> np.ndarray:
    bars = market.bars[bar_type]
    return np.log(bars.close / bars.open)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (7, "6f15bd09f369900cc89dd3602ed067f7c5b93f308e2f54035ef4c6f29ee58829"),
        (8, "2c55a56ddea44f0953660c8858f1a8ccd3f813382e23c2fa81dbc7e4147413f8"),
    ],
)
def test_market_of_a_seed_is_pinned_to_the_byte(seed: int, expected: str) -> None:
    market = generate_market(SyntheticConfig(seed=seed, days=30))

    assert content_sha256([market.bars[ALPHA]], interval="1-MINUTE", adjustment="none") == expected


def test_longer_market_begins_with_the_shorter() -> None:
    short = generate_market(SyntheticConfig(days=2)).bars[BETA]
    long = generate_market(SyntheticConfig(days=5)).bars[BETA]

    assert long.select(slice(len(short))).equals(short)


def test_symbol_does_not_depend_on_its_company() -> None:
    alone = generate_market(SyntheticConfig(days=2, symbols=("BETAUSDT",)))
    together = generate_market(SyntheticConfig(days=2, symbols=tuple(SYMBOLS)))

    assert together.bars[BETA].equals(alone.bars[BETA])


def test_bars_are_bars(year: SyntheticMarket) -> None:
    for bars in year.bars.values():
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert bars.low.min() > 0
        assert bars.volume.min() > 0
        assert np.all(np.diff(bars.ts_event) == 60_000_000_000)
        assert np.all(bars.open[1:] == bars.close[:-1])
        assert bars.ts_event[0] == int(datetime(2024, 1, 1, 0, 1, tzinfo=UTC).timestamp()) * 10**9


def test_states_move_as_the_transition_matrix_says(year: SyntheticMarket) -> None:
    states = year.states
    for state, row in enumerate(TRANSITION_MATRIX):
        after = states[1:][states[:-1] == state]
        for other, probability in enumerate(row):
            error = np.sqrt(probability * (1 - probability) / len(after))

            assert abs(np.mean(after == other) - probability) < 4 * error


def test_parameters_are_those_of_a_markov_chain_near_its_long_run() -> None:
    matrix = np.array(TRANSITION_MATRIX)
    stationary = np.linalg.matrix_power(matrix, 100_000)[0]

    assert np.allclose(matrix.sum(axis=1), 1.0)
    assert sum(INITIAL_PROBS) == pytest.approx(1.0)
    assert np.allclose(stationary, INITIAL_PROBS, atol=0.01)


@pytest.mark.parametrize("bar_type", [ALPHA, BETA])
def test_returns_in_each_state_have_the_mean_and_deviation_stated(
    year: SyntheticMarket, bar_type: str
) -> None:
    returns = log_returns(year, bar_type)
    for state, (mean, sd) in enumerate(zip(STATE_MEANS, STATE_SDS, strict=True)):
        inside = returns[year.states == state]

        assert abs(inside.mean() - mean) < 4 * sd / np.sqrt(len(inside))
        # Episodes fall on busy and quiet hours by chance, hence more than the error of a plain sample.
        assert inside.std() == pytest.approx(sd, rel=0.04)


def test_symbols_are_correlated_as_stated(year: SyntheticMarket) -> None:
    calm = year.states == 0
    correlation = np.corrcoef(log_returns(year, ALPHA)[calm], log_returns(year, BETA)[calm])[0, 1]

    assert correlation == pytest.approx(CORRELATION, abs=0.01)


def test_volatility_and_volume_have_a_course_over_the_day(year: SyntheticMarket) -> None:
    hours = (np.arange(len(year.states)) // 60) % 24
    calm = year.states == 0
    returns, volume = log_returns(year, ALPHA), year.bars[ALPHA].volume
    busy, quiet = calm & (hours == 14), calm & (hours == 2)

    # The course is 1 ± 0.6 for the variance and 1 ± 0.5 for the volume.
    assert returns[busy].var() / returns[quiet].var() == pytest.approx(1.6 / 0.4, rel=0.15)
    assert volume[busy].mean() / volume[quiet].mean() == pytest.approx(1.5 / 0.5, rel=0.1)


def test_extremes_are_those_of_a_brownian_path(year: SyntheticMarket) -> None:
    """E[(high-open)(high-close) + (low-open)(low-close)] is the variance (Rogers & Satchell 1991)."""
    bars = year.bars[ALPHA]
    opened, high, low, close = (np.log(values) for values in (bars.open, bars.high, bars.low, bars.close))
    estimate = (high - opened) * (high - close) + (low - opened) * (low - close)
    calm = year.states == 0

    assert np.sqrt(estimate[calm].mean()) == pytest.approx(STATE_SDS[0], rel=0.02)


def test_gaps_are_made_for_all_symbols_alike_if_asked() -> None:
    market = generate_market(SyntheticConfig(days=60, gaps_per_day=1.0))
    whole = generate_market(SyntheticConfig(days=60))
    alpha, beta = market.bars[ALPHA], market.bars[BETA]
    gaps = np.diff(alpha.ts_event) // 60_000_000_000 - 1

    assert np.array_equal(alpha.ts_event, beta.ts_event)
    assert 30 < np.count_nonzero(gaps) < 90
    assert alpha.equals(whole.bars[ALPHA].select(np.isin(whole.bars[ALPHA].ts_event, alpha.ts_event)))


def test_longer_bars_are_made_of_minutes() -> None:
    minutes = generate_market(SyntheticConfig(days=2)).bars[ALPHA]
    hours = generate_market(SyntheticConfig(days=2, interval="1-HOUR")).bars[
        "ALPHAUSDT.DEMO-1-HOUR-LAST-EXTERNAL"
    ]

    assert len(hours) == 48
    assert hours.ts_event[3] == minutes.ts_event[239]
    assert hours.open[3] == minutes.open[180]
    assert hours.high[3] == minutes.high[180:240].max()
    assert hours.low[3] == minutes.low[180:240].min()
    assert hours.close[3] == minutes.close[239]
    assert hours.volume[3] == minutes.volume[180:240].sum()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"symbols": ("OMEGAUSDT",)}, "symbols: expected some of ALPHAUSDT"),
        ({"symbols": ()}, "symbols: expected"),
        ({"days": 0}, "days: expected 1"),
        ({"seed": -1}, "seed: expected 0"),
        ({"gaps_per_day": -1.0}, "gaps_per_day: expected"),
        ({"start": datetime(2024, 1, 1, 12, tzinfo=UTC)}, "expected midnight"),
        ({"start": datetime(2024, 1, 1)}, "expected midnight"),  # noqa: DTZ001 - that is what is refused
        ({"interval": "30-SECOND"}, "interval: expected whole minutes"),
        ({"interval": "7-MINUTE"}, 'interval "7-MINUTE"'),
    ],
)
def test_impossible_market_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(IngestError, match=message):
        generate_market(SyntheticConfig(**wrong))  # type: ignore[arg-type]
