"""The strategy and the market that are measured: every stage on, on generated bars.

Two instruments, eight features in a window of 64, the generator's own three-state regime model, a tanh MLP
with two hidden layers of 64, volatility target and regime exposure, every guardrail with its default limit
or one wide enough for the account.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from adapters.bars import BarColumns
from adapters.ingest.importer import Origin, store_bars
from adapters.instruments import find_spec
from adapters.synthetic import (
    INITIAL_PROBS,
    STATE_MEANS,
    STATE_SDS,
    TRANSITION_MATRIX,
    SyntheticConfig,
    SyntheticMarket,
    generate_market,
)
from bot.assembly import build_pipeline, trading_rules
from bot.config.loading import load_strategy
from strategies.decision import DecisionPipeline
from strategies.features import FeaturePipeline
from strategies.market import BarRow, Instrument, Panel
from tests.support.onnx_models import save_mlp

LOOKBACK = 64
FEATURES = (
    "log_return",
    "rsi",
    "atr",
    "ema_distance",
    "close_zscore",
    "volume_zscore",
    "ewma_volatility",
    "dispersion",
)
BARS_PER_YEAR = 525_600.0
VENUE = SyntheticConfig().venue
INSTRUMENTS = tuple(f"{symbol}.{VENUE}" for symbol in SyntheticConfig().symbols)

_STRATEGY = """
name = "full"
instruments = {instruments}
capital_quote = 100_000.0

[features]
lookback = {lookback}
columns = [{columns}]

[regime]
columns = ["log_return_1"]
initial_probs = {initial_probs}
transition_matrix = {transition_matrix}
means = {means}
variances = {variances}

[policy]
kind = "onnx"
path = "policy.onnx"

[allocation]
action_map = "simplex_cash"
rebalance_eps = 0.1 # a few trades in a hundred bars; a random network asks for more

[sizing.volatility_target]
enabled = true

[sizing.regime_exposure]
enabled = true
multipliers = [1.0, 1.0, 0.5]

[guardrails]
min_confidence = 0.0
max_position_quote = 100_000.0
state_drawdown_quote = 1_000_000.0
daily_loss_quote = 1_000_000.0
drawdown_frac = 1.0
max_daily_notional_quote = 1e9
max_notional_quote = 100_000.0
max_gross_quote = 200_000.0
max_net_quote = 200_000.0
name_cap_frac = 1.0
sector_cap_frac = 2.0
max_participation_frac = 1.0
"""

_HOST = """
kind = "backtest"
strategies = ["strategy.toml"]

[venue]
name = "{venue}"
account_type = "cash"
currency = "USDT"
starting_balance = 100_000.0

[costs] # nothing, so that a year of a policy that knows nothing leaves an account to trade with
taker_fee_bps = 0.0
maker_fee_bps = 0.0
half_spread_bps = 0.0
impact_k = 0.0

[data]
catalog = "catalog"
"""


def write_strategy(directory: Path) -> Path:
    """Write strategy file and network; return the strategy file."""
    path = directory / "strategy.toml"
    path.write_text(
        _STRATEGY.format(
            instruments=json.dumps(INSTRUMENTS),
            lookback=LOOKBACK,
            columns=", ".join(f'{{ kind = "{kind}" }}' for kind in FEATURES),
            initial_probs=json.dumps(INITIAL_PROBS),
            transition_matrix=json.dumps(TRANSITION_MATRIX),
            means=json.dumps([[mean] for mean in STATE_MEANS]),
            variances=json.dumps([[sd * sd] for sd in STATE_SDS]),
        )
    )
    features = FeaturePipeline(load_strategy(path).config.features, len(INSTRUMENTS))
    save_mlp(
        directory / "policy.onnx",
        lookback=LOOKBACK,
        num_instruments=len(INSTRUMENTS),
        num_features=features.num_features,
        num_states=len(STATE_MEANS),
        schema_sha256=features.schema_sha256,
    )
    return path


def write_host(directory: Path, days: int) -> Path:
    """Write host file, strategy and a catalog of generated bars; return the host file."""
    write_strategy(directory)
    write_catalog(directory / "catalog", days)
    path = directory / "host.toml"
    path.write_text(_HOST.format(venue=VENUE))
    return path


def write_catalog(directory: Path, days: int) -> None:
    """Write a catalog of generated one-minute bars."""
    market = generate_market(SyntheticConfig(days=days))
    for bar_type, columns in market.bars.items():
        store_bars(directory, market.specs[bar_type], bar_type, columns, Origin("benchmark"))


def make_pipeline(directory: Path) -> DecisionPipeline:
    """Build the whole decision path of the strategy."""
    return build_pipeline(load_strategy(write_strategy(directory)), instruments(), BARS_PER_YEAR)


def instruments() -> list[Instrument]:
    """Trading rules of the instruments."""
    return [trading_rules(find_spec(name), may_short=False) for name in INSTRUMENTS]


def panels(days: int, seed: int = 7) -> Iterator[Panel]:
    """Panels of the generated market."""
    market = generate_market(SyntheticConfig(days=days, seed=seed))
    for rows in zip(*_rows(market), strict=True):
        yield Panel(rows[0].ts_event, rows)


def _rows(market: SyntheticMarket) -> list[Iterator[BarRow]]:
    return [_bar_rows(columns) for columns in market.bars.values()]


def _bar_rows(columns: BarColumns) -> Iterator[BarRow]:
    arrays = columns.to_arrays()
    names = ("ts_event", "open", "high", "low", "close", "volume")
    fields = (getattr(arrays, name).tolist() for name in names)
    return (BarRow(*row) for row in zip(*fields, strict=True))
