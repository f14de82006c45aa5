"""The configuration of one strategy: what trades, never how or where it is hosted.

Strategy files are mode-free: the backtest, the paper daemon and the live daemon read the same bytes.
Every model is frozen and strict and refuses unknown keys; `bot.config` turns a refusal into a message
that names file, key, value and what was expected.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

type Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
type Positive = Annotated[float, Field(gt=0.0)]
type NonNegative = Annotated[float, Field(ge=0.0)]
type Bars = Annotated[int, Field(ge=1)]

OFF = "none"
"""What a file says to switch off a limit that has a default: TOML has no null."""

type Limit[T] = Annotated[
    T | None,
    BeforeValidator(lambda written: None if written == OFF else written),
    PlainSerializer(lambda limit: OFF if limit is None else limit, when_used="json"),
]
"""A number with a default that a file may switch off."""


class Section(BaseModel):
    """Base of every configuration section: frozen, strict, no unknown keys, finite numbers."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class FeatureConfig(Section):
    """One feature: a kernel with its parameters; its columns are named after both."""

    kind: str
    """Name of a kernel in `strategies/features/kernels/`."""
    params: dict[str, int | float | str] = {}
    """Parameters of the kernel; what is left out takes the kernel's default."""


class FeaturesConfig(Section):
    """The feature manifest: which features, in which order."""

    lookback: Annotated[int, Field(ge=1, le=4096)] = 64
    """Rows of the observation window, in bars."""
    columns: Annotated[tuple[FeatureConfig, ...], Field(min_length=1)]
    """Features in the order of their columns."""


class RegimeConfig(Section):
    """A hidden Markov model whose filtered belief goes into the observation and the sizing."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Feature columns that the model conditions on, in the order of its means."""
    instrument_id: str | None = None
    """Instrument whose columns are read; None takes the mean over all instruments."""
    params_path: str | None = None
    """Parameters as ``.npz``, relative to this file; or give them inline below. A bundle brings its own."""
    initial_probs: tuple[float, ...] | None = None
    """Probability of each state before the first bar, shape (K,)."""
    transition_matrix: tuple[tuple[float, ...], ...] | None = None
    """Row-stochastic, shape (K, K)."""
    means: tuple[tuple[float, ...], ...] | None = None
    """Shape (K, D) in feature units."""
    variances: tuple[tuple[float, ...], ...] | None = None
    """Diagonal covariance, shape (K, D)."""
    append_beliefs: bool = True
    """Whether the policy sees the belief."""
    summary_of: str | None = None
    """One of `columns`, the bar's return: instead of the belief the policy sees what it says of the next one,
    p_bull, p_bear, p_up, mu_over_sigma and sigma (mission SB-102), however many states there are."""

    @model_validator(mode="after")
    def _parts_agree(self) -> "RegimeConfig":
        inline = (self.initial_probs, self.transition_matrix, self.means, self.variances)
        given = sum(value is not None for value in inline)
        if self.summary_of is not None and not (self.append_beliefs and self.summary_of in self.columns):
            raise ValueError(
                f"summary_of: expected one of columns {list(self.columns)}, and append_beliefs = true, found "
                f"{self.summary_of!r} and append_beliefs = {str(self.append_beliefs).lower()}"
            )
        if self.params_path is not None and given:
            raise ValueError("give either params_path or the inline parameters, not both")
        if given not in (0, len(inline)):
            raise ValueError(
                "expected all of initial_probs, transition_matrix, means and variances, or none of them"
            )
        return self

    @property
    def has_params(self) -> bool:
        """Whether the parameters are here; else they come with the policy's bundle."""
        return self.params_path is not None or self.means is not None


class _PolicySection(Section):
    """What a rule further on may count on, by kind of policy."""

    GIVES_STOPS: ClassVar[bool] = False
    """Whether its actions carry protective stops."""
    GIVES_EDGES: ClassVar[bool] = False
    """Whether its actions say what return they expect."""


class OnnxPolicyConfig(_PolicySection):
    """A trained policy, exported to ONNX."""

    kind: Literal["onnx"]
    path: str
    """The file, relative to this strategy file."""
    deadline_ms: Positive = 50.0
    """Longest inference that may still trade; a slower one yields the action "hold"."""


class BundlePolicyConfig(_PolicySection):
    """What `argonaut train` made: policy and regime model that belong together, each byte checked."""

    kind: Literal["bundle"]
    path: str
    """Directory of the bundle, relative to this strategy file."""
    deadline_ms: Positive = 50.0
    """Longest inference that may still trade; a slower one yields the action "hold"."""


class DonchianPolicyConfig(_PolicySection):
    """Breakout of the highest high (or, short, lowest low) of the last bars, with a protective stop."""

    GIVES_STOPS = True

    kind: Literal["donchian"]
    lookback: Bars = 55
    """Length of the channel, in bars; the bar that breaks out is not part of it."""
    atr_period: Bars = 14
    """Length of Wilder's average true range, in bars."""
    stop_atr: Positive = 2.0
    """Distance of the protective stop from the close, in average true ranges."""
    target_r: Positive = 2.5
    """Distance of the profit target, in stop distances."""
    time_stop_bars: Bars = 20
    """Bars after which a position is closed whatever its result."""
    min_price: NonNegative = 5.0
    """Instruments that trade below this price are left alone, quote currency."""
    allow_short: bool = False
    """Whether breakouts downwards are sold."""
    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Weight asked for at a breakout, divided by the number of instruments."""
    max_entropy_bits: NonNegative | None = None
    """No entry while the regime belief is less certain than this; None asks for no certainty."""
    blocked_states: tuple[int, ...] = ()
    """Regime states (by number) in which no position is opened."""


class BaselinePolicyConfig(_PolicySection):
    """A policy that knows nothing; whatever is called skill has to beat it."""

    kind: Literal["flat", "equal", "first_long", "random", "buy_and_hold"]
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random baseline."""
    rebalance_bars: Bars = 1
    """random: bars between two draws."""


type PolicyConfig = Annotated[
    OnnxPolicyConfig | BundlePolicyConfig | DonchianPolicyConfig | BaselinePolicyConfig,
    Field(discriminator="kind"),
]


class ActionMap(StrEnum):
    """How the numbers of an action become portfolio weights."""

    WEIGHTS = "weights"
    """They are weights already (rules and baselines); NaN leaves an instrument as it is."""
    SIMPLEX_CASH = "simplex_cash"
    """N + 1 logits: softmax over instruments times sigmoid of a gate; the rest is cash. Long only."""
    TANH_LEVERAGE = "tanh_leverage"
    """N logits: tanh, scaled down to the gross leverage cap. Long and short."""


class AllocationConfig(Section):
    """From action to weights."""

    action_map: ActionMap = ActionMap.WEIGHTS
    invest_max: Fraction = 0.70
    """simplex_cash: largest share of equity that is invested."""
    gross_leverage_cap: Positive = 1.5
    """tanh_leverage: largest sum of absolute weights."""
    name_cap_frac: Positive = 1.0
    """Largest absolute weight of one instrument."""
    max_step_change: Positive = 0.08
    """Largest turnover of one decision: sum of absolute weight changes."""
    rebalance_eps: NonNegative = 0.02
    """Weight changes smaller than this are left for later."""


class KellyConfig(Section):
    """Fractional Kelly: scales weights by an estimate of mean over variance."""

    enabled: bool = False
    fraction: Fraction = 0.5
    """Share of the full Kelly bet."""
    f_max: Positive = 1.0
    """Largest scale that Kelly may ask for."""
    ema_alpha: Annotated[float, Field(gt=0.0, le=1.0)] = 0.02
    """Smoothing of the running mean and variance of returns."""


class VolatilityTargetConfig(Section):
    """Scales weights so that the portfolio's expected volatility meets a target."""

    enabled: bool = False
    annual_target: Positive = 0.20
    """Volatility aimed at, as a fraction a year."""
    min_volatility_annual: Positive = 0.02
    """Floor of the estimate, so that calm does not become leverage."""
    scale_min: NonNegative = 0.25
    scale_max: Positive = 1.0
    halflife_bars: Bars = 120
    """Half-life of the volatility estimate, in bars."""


class RegimeExposureConfig(Section):
    """Multiplies exposure by the belief-weighted multiplier of the states."""

    enabled: bool = False
    multipliers: tuple[NonNegative, ...] = ()
    """One per regime state, in the order of the states."""


class EdgeSizingConfig(Section):
    """quantity = k · |edge| / volatility: more where more is expected per unit of risk."""

    enabled: bool = False
    k: Positive = 1.0
    """Base quantity multiplier (mission HM-027)."""
    window_bars: Annotated[int, Field(ge=2)] = 60
    """Window of the volatility, in bars."""


class RiskFractionConfig(Section):
    """quantity = risk_frac · equity / stop distance: every stopped trade loses the same share."""

    enabled: bool = False
    risk_frac: Annotated[float, Field(gt=0.0, le=0.1)] = 0.01
    """Share of equity lost when the stop is hit (mission TC-012)."""


class SizingConfig(Section):
    """From weights to quantities."""

    cash_buffer_frac: Fraction = 0.01
    """Share of equity kept in cash where nothing can be borrowed, for costs and the move until the fill."""
    kelly: KellyConfig = KellyConfig()
    volatility_target: VolatilityTargetConfig = VolatilityTargetConfig()
    regime_exposure: RegimeExposureConfig = RegimeExposureConfig()
    edge: EdgeSizingConfig = EdgeSizingConfig()
    risk_fraction: RiskFractionConfig = RiskFractionConfig()


class GuardrailConfig(Section):
    """Limits of one strategy; "none" switches one off. The defaults are the mission's, of a small account."""

    min_confidence: Fraction = 0.55
    max_spread_bps: Limit[Positive] = 25.0
    max_position_quote: Positive | None = None
    """Largest position in one instrument, quote currency."""
    state_drawdown_quote: Limit[Positive] = 20.0
    """Loss within one regime state at which the strategy stops opening in that state."""
    daily_loss_quote: Limit[Positive] = 100.0
    """Realised and unrealised loss since the start of the trading day that latches REDUCING."""
    session_loss_quote: Positive | None = None
    """Realised and unrealised loss since the session began that latches REDUCING until a resume. A session is
    what lies between two starts by a person: a crash and the start after it belong to it."""
    drawdown_frac: Fraction | None = None
    """Drawdown from the peak that latches REDUCING."""
    close_at_loss_limit: bool = False
    """Whether every position is closed, too, while the daily loss or the drawdown is latched. Without it the
    policy alone decides when to leave, and what is held can go on losing."""
    max_daily_notional_quote: Limit[Positive] = 1000.0
    min_notional_quote: NonNegative = 10.0
    max_notional_quote: Limit[Positive] = 75.0
    """Largest order; a larger one is cut to it and the rest waits for the next bar."""
    min_price: NonNegative = 0.0
    max_price: Positive | None = None
    allow_short: bool = False
    cooldown_secs: NonNegative = 1.5
    """Shortest time between trades of opposite side in one instrument."""
    stale_after_secs: Positive = 180.0
    """Age of the newest bar after which no risk is added."""
    max_reject_rate: Fraction = 0.5
    """Share of rejected orders, over the last 20, above which no risk is added."""
    max_orders_per_minute: Annotated[int, Field(ge=1)] = 60
    price_collar_bps: Limit[Positive] = 500.0
    """Largest distance of an order's price from the last close."""
    max_participation_frac: Limit[Annotated[float, Field(gt=0.0, le=1.0)]] = 0.10
    """Largest share of the last bar's volume."""
    max_gross_quote: Limit[Positive] = 500.0
    max_net_quote: Positive | None = None
    name_cap_frac: Positive | None = None
    """Largest share of equity in one instrument."""
    sector_cap_frac: Positive | None = None
    loss_readings: Annotated[int, Field(ge=1)] = 3
    """Consecutive readings beyond a loss limit that latch it; one bad price must not."""
    day_start_utc_hour: Annotated[int, Field(ge=0, le=23)] = 0
    """Hour at which the trading day begins and budgets reset."""


class OrderStyle(StrEnum):
    """How an approved trade is sent."""

    MARKET = "market"
    LIMIT_IOC = "limit_ioc"


class OrdersConfig(Section):
    """From approved trade to orders."""

    style: OrderStyle = OrderStyle.MARKET
    limit_offset_frac: NonNegative = 0.001
    """limit_ioc: a buy is limited at the ask × (1 + this), a sale at the bid × (1 - this)."""
    require_stop: bool = False
    """Refuse to open a position without a protective stop (mission TC-011)."""


class StrategyConfig(Section):
    """One strategy."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Identity of the strategy; order ids and budgets hang on it."""
    description: str = ""
    instruments: Annotated[tuple[str, ...], Field(min_length=1)]
    """Instrument ids, for example ``BTCUSDT.BINANCE``; their order is the order of every vector."""
    interval: Annotated[str, Field(pattern=r"^[1-9][0-9]*-(SECOND|MINUTE|HOUR|DAY)$")] = "1-MINUTE"
    """Bar interval in Nautilus's words."""
    capital_quote: Positive
    """The strategy's share of the account, in quote currency; its profit and loss build on it."""
    features: FeaturesConfig
    regime: RegimeConfig | None = None
    policy: PolicyConfig
    allocation: AllocationConfig = AllocationConfig()
    sizing: SizingConfig = SizingConfig()
    guardrails: GuardrailConfig = GuardrailConfig()
    orders: OrdersConfig = OrdersConfig()

    @property
    def shows_beliefs(self) -> bool:
        """Whether the policy sees what a regime model believes."""
        return self.regime is not None and self.regime.append_beliefs

    @model_validator(mode="after")
    def _instruments_are_unique(self) -> "StrategyConfig":
        if len(set(self.instruments)) != len(self.instruments):
            raise ValueError(f"an instrument is named twice: {list(self.instruments)}")
        return self

    @model_validator(mode="after")
    def _regime_has_one_source(self) -> "StrategyConfig":
        if self.regime is not None and self.regime.has_params is (self.policy.kind == "bundle"):
            raise ValueError(
                "regime: a bundle brings its own parameters; leave params_path and the inline parameters out"
                if self.regime.has_params
                else "regime: without a bundle, params_path or initial_probs, transition_matrix, means "
                "and variances are needed"
            )
        return self


class CostConfig(Section):
    """The one cost model: backtest, paper venue and training environment all charge this."""

    commission_per_unit: NonNegative = 0.0
    """Per share or contract, quote currency (mission SB-085: 0.0005 for shares)."""
    taker_fee_bps: NonNegative | None = None
    """Of notional; None takes the instrument's own fee."""
    maker_fee_bps: float | None = None
    """Of notional, negative for a rebate; None takes the instrument's own fee."""
    half_spread_bps: NonNegative = 0.5
    """Paid by whoever takes liquidity (mission SB-087)."""
    impact_k: NonNegative = 8.0
    """Square-root impact in basis points: k · sqrt(quantity / bar volume) (mission SB-088)."""
    borrow_annual_frac: NonNegative = 0.0
    """Yearly fee on the value of a short position."""
