"""The memory of the guardrails: budgets, losses, rates and what was sent, for one strategy.

The book is marked once a bar, before the bar's trades are checked. It reads no clock: every time is a
bar's ``ts_event``, so the same bars trip the same limits in a backtest, on paper and live.
"""

import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from strategies.config import GuardrailConfig
from strategies.errors import SafetyError
from strategies.guardrails.clock import Step, TradingClock
from strategies.guardrails.losses import LossLatch, StateLosses, Watermark
from strategies.guardrails.reservations import Reservations
from strategies.guardrails.verdict import GuardrailReason
from strategies.trading_state import TradingState

MINUTE_NS = 60_000_000_000

OUTCOMES = 20
"""Orders over which the reject rate is taken; an order that has not been sent yet counts as accepted."""

SNAPSHOT_VERSION = 2
_BEFORE_SESSIONS = 1


class RiskBook:
    """Counters and latches of one strategy.

    What holds for how long:

    - notional, reject rate and the daily loss (latch included) begin anew with the trading day;
    - the session's loss begins anew with `begin_session`, or on `release`;
    - drawdown and state drawdown stay latched until `release`;
    - a halt (a fault inside a guardrail, or an operator's) holds at once, until `release`.

    A day's loss counts from the last equity read before the day began, so what is lost overnight counts.
    Equity is realised and unrealised, net of fees.

    Args:
        config: The limits.
        num_instruments: Length of the vectors, in configuration order.
        capital_quote: Equity before the first bar, quote currency.
    """

    __slots__ = (
        "_config",
        "_outcomes",
        "_peak",
        "_regime_state",
        "_seen",
        "_seen_yesterday",
        "clock",
        "daily_loss",
        "daily_notional",
        "day_start_equity",
        "drawdown",
        "equity",
        "fault",
        "last_side",
        "last_trade_ts",
        "num_instruments",
        "order_times",
        "rejects",
        "reserved",
        "session_loss",
        "session_start_equity",
        "state_losses",
    )

    def __init__(self, config: GuardrailConfig, num_instruments: int, capital_quote: float) -> None:
        readings = config.loss_readings
        self._config = config
        self.num_instruments = num_instruments
        self.clock = TradingClock(config.day_start_utc_hour, readings)
        self.equity = capital_quote
        self.day_start_equity = capital_quote
        self.session_start_equity = capital_quote
        self.session_loss = LossLatch(config.session_loss_quote, readings)
        self.daily_loss = LossLatch(config.daily_loss_quote, readings)
        self.drawdown = LossLatch(config.drawdown_frac, readings)
        self.state_losses = StateLosses(config.state_drawdown_quote, readings)
        self.daily_notional = 0.0
        """Quote currency of all orders sent since the day began, reductions included."""
        self.order_times: deque[int] = deque()
        """Bar times of the orders of the last minute."""
        self.rejects = 0
        """Rejected orders among the last `OUTCOMES`."""
        self.last_trade_ts: list[int | None] = [None] * num_instruments
        self.last_side = [0] * num_instruments
        """Direction of the last order approved or sent: 1 bought, -1 sold, 0 none."""
        self.reserved = Reservations(num_instruments)
        self.fault = ""
        """Why this strategy is halted; empty while it is not."""
        self._peak = Watermark(readings, capital_quote)
        self._regime_state: int | None = None
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES)
        self._seen: dict[str, None] = {}  # a dict, for its order: snapshots are equal to the byte
        self._seen_yesterday: dict[str, None] = {}

    # -- what happens ------------------------------------------------------------------------------

    def begin_session(self) -> None:
        """A person started the bot: the session's loss counts from the present equity."""
        self.session_start_equity = self.equity
        self.session_loss.clear()

    def mark(self, ts_event: int, equity: float, regime_state: int | None) -> GuardrailReason | None:
        """Read the equity at the close of a bar, before the bar's trades are checked.

        A reading that is not finite, or whose time is not after the last one's, is refused: the state is
        unchanged, and because the book has then no reading at this bar time, no risk is added.

        Args:
            ts_event: Close time, UTC nanoseconds.
            equity: Quote currency, realised and unrealised.
            regime_state: Most probable state now; None without a regime model.

        Returns:
            The loss limit that this reading latched: ``daily_loss``, ``session_loss``, ``reducing`` (the
            drawdown from the peak) or ``state_drawdown``, the first of them; None mostly.
        """
        if not math.isfinite(equity):
            return None
        step = self.clock.advance(ts_event)
        if step is Step.REFUSED:
            return None
        if step is Step.NEW_DAY:
            self._begin_day()
        if self.reserved.any:
            self.reserved.clear()
        times = self.order_times
        while times and times[0] <= ts_event - MINUTE_NS:
            times.popleft()
        return self._read_losses(equity, regime_state)

    def reserve(
        self, ts_event: int, index: int, quantity: float, notional: float, held: float, adds: bool
    ) -> None:
        """Count an approved trade at once, before its order is sent; the chain calls this.

        Args:
            ts_event: Close time of the bar decided on, UTC nanoseconds.
            index: Position of the instrument.
            quantity: Approved, signed base units.
            notional: Quote currency.
            held: Signed position at the time, base units.
            adds: Whether any part of it adds risk.
        """
        self.reserved.reserve(index, quantity, notional, held, adds)
        self.last_trade_ts[index] = ts_event
        self.last_side[index] = 1 if quantity > 0.0 else -1

    def on_order_sent(
        self, ts_event: int, index: int, side: float, notional: float, decision_id: str
    ) -> None:
        """Count an order, before it leaves.

        Args:
            ts_event: Close time of the bar decided on, UTC nanoseconds.
            index: Position of the instrument.
            side: Its sign matters: positive bought, negative sold.
            notional: Quote currency, positive.
            decision_id: Never approved again.

        Raises:
            SafetyError: If an argument makes no sense. The state is unchanged.
        """
        if not (
            0 <= index < self.num_instruments and 0.0 < notional < math.inf and side * 0.0 == 0.0 != side
        ):
            raise SafetyError(
                f"expected an order of a known instrument with a side and a notional above 0, found "
                f"index {index}, side {side}, notional {notional}; the order must not be sent"
            )
        self.daily_notional += float(notional)
        self.order_times.append(ts_event)
        self.last_trade_ts[index] = ts_event
        self.last_side[index] = 1 if side > 0 else -1
        self.reserved.note_sent(index, float(notional))
        self._seen[decision_id] = None

    def on_outcome(self, rejected: bool) -> None:
        """Count what the venue (or the engine) made of an order."""
        outcomes = self._outcomes
        if len(outcomes) == OUTCOMES:
            self.rejects -= outcomes[0]
        outcomes.append(bool(rejected))
        self.rejects += bool(rejected)

    def halt(self, detail: str) -> None:
        """Refuse all new risk from now on; the first detail is kept."""
        self.fault = self.fault or detail or "halted"

    def release(self, reason: GuardrailReason) -> None:
        """Lift a latch on an operator's explicit command.

        Args:
            reason: ``halted`` lifts a halt; ``reducing`` the drawdown, which then counts from the present
                equity; ``session_loss`` and ``state_drawdown`` (of all states) likewise; ``reject_rate``
                forgets outcomes; ``stale_data`` believes the next bar's time, whatever it is, and keeps every
                budget.

        Raises:
            SafetyError: If nothing can be released under this reason; the daily loss waits for the day.
        """
        match reason:
            case GuardrailReason.HALTED:
                self.fault = ""
            case GuardrailReason.REDUCING:
                self.drawdown.clear()
                self._peak.restart(self.equity)
            case GuardrailReason.SESSION_LOSS:
                self.begin_session()
            case GuardrailReason.STATE_DRAWDOWN:
                self.state_losses.clear()
            case GuardrailReason.REJECT_RATE:
                self._forget_outcomes()
            case GuardrailReason.STALE_DATA:
                self.clock.accept_next()
                self.order_times.clear()
                self.last_trade_ts = [None] * self.num_instruments
            case _:
                raise SafetyError(
                    "expected one of halted, reducing, session_loss, state_drawdown, reject_rate, "
                    f"stale_data; found {reason.value}, which no command lifts; what is daily waits for the "
                    "next trading day"
                )

    # -- what holds --------------------------------------------------------------------------------

    @property
    def latch(self) -> GuardrailReason | None:
        """The loss limit that holds the whole strategy to reductions; None mostly."""
        if self.daily_loss.latched:
            return GuardrailReason.DAILY_LOSS
        if self.session_loss.latched:
            return GuardrailReason.SESSION_LOSS
        return GuardrailReason.REDUCING if self.drawdown.latched else None

    @property
    def trading_state(self) -> TradingState:
        """What this book alone permits."""
        if self.fault:
            return TradingState.HALTED
        return TradingState.ACTIVE if self.latch is None else TradingState.REDUCING

    @property
    def closes_positions(self) -> bool:
        """Whether a loss limit holds for good, and everything is to be closed then."""
        return self._config.close_at_loss_limit and self.latch is not None

    @property
    def peak_equity(self) -> float:
        """Highest equity that held for as many readings as a loss limit asks."""
        return self._peak.peak

    def has_seen(self, decision_id: str) -> bool:
        """Whether an order of this decision was sent today or on the trading day before."""
        return decision_id in self._seen or decision_id in self._seen_yesterday

    # -- durability --------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values; limits belong to the configuration and are not part of it."""
        return {
            "version": SNAPSHOT_VERSION,
            "num_instruments": self.num_instruments,
            "clock": self.clock.snapshot(),
            "equity": self.equity,
            "day_start_equity": self.day_start_equity,
            "session_start_equity": self.session_start_equity,
            "regime_state": self._regime_state,
            "peak": self._peak.snapshot(),
            "daily_loss": self.daily_loss.snapshot(),
            "session_loss": self.session_loss.snapshot(),
            "drawdown": self.drawdown.snapshot(),
            "state_losses": self.state_losses.snapshot(),
            "daily_notional": self.daily_notional,
            "order_times": list(self.order_times),
            "outcomes": list(self._outcomes),
            "last_trade_ts": list(self.last_trade_ts),
            "last_side": list(self.last_side),
            "reserved": self.reserved.snapshot(),
            "seen": list(self._seen),
            "seen_yesterday": list(self._seen_yesterday),
            "fault": self.fault,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave; the limits stay this book's.

        Raises:
            SafetyError: If it is of another version or another number of instruments, or is damaged.
                The state is unchanged.
        """
        fresh = RiskBook(self._config, self.num_instruments, self.day_start_equity)
        try:
            json.dumps(snapshot, allow_nan=False)  # refuses what is not finite, wherever it is
            fresh._load(snapshot)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SafetyError(
                f"expected a snapshot of a risk book, found a damaged one ({type(error).__name__}: {error}); "
                "budgets and latches are unknown, so trading must not start from it"
            ) from error
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def _load(self, snapshot: Mapping[str, Any]) -> None:
        if snapshot["version"] == _BEFORE_SESSIONS:
            began = {"session_start_equity": snapshot["equity"], "session_loss": self.session_loss.snapshot()}
            snapshot = {**snapshot, **began, "version": SNAPSHOT_VERSION}
        found = (snapshot["version"], snapshot["num_instruments"])
        if found != (SNAPSHOT_VERSION, self.num_instruments):
            raise ValueError(
                f"version and number of instruments: expected {(SNAPSHOT_VERSION, self.num_instruments)}, "
                f"found {found}"
            )
        self.clock.restore(snapshot["clock"])
        self.equity = float(snapshot["equity"])
        self.day_start_equity = float(snapshot["day_start_equity"])
        state = snapshot["regime_state"]
        self._regime_state = None if state is None else int(state)
        self._peak.restore(snapshot["peak"])
        self.daily_loss.restore(snapshot["daily_loss"])
        self.session_start_equity = float(snapshot["session_start_equity"])
        self.session_loss.restore(snapshot["session_loss"])
        self.drawdown.restore(snapshot["drawdown"])
        self.state_losses.restore(snapshot["state_losses"])
        self.daily_notional = float(snapshot["daily_notional"])
        self.order_times.extend(int(ts) for ts in snapshot["order_times"])
        for rejected in snapshot["outcomes"]:
            self.on_outcome(rejected)
        self.last_trade_ts = [None if ts is None else int(ts) for ts in snapshot["last_trade_ts"]]
        self.last_side = [int(side) for side in snapshot["last_side"]]
        if not len(self.last_trade_ts) == len(self.last_side) == self.num_instruments:
            raise ValueError(f"expected {self.num_instruments} last trades, found another number")
        self.reserved.restore(snapshot["reserved"])
        self._seen = dict.fromkeys(str(decision) for decision in snapshot["seen"])
        self._seen_yesterday = dict.fromkeys(str(decision) for decision in snapshot["seen_yesterday"])
        self.fault = str(snapshot["fault"])

    # -- readings ----------------------------------------------------------------------------------

    def _read_losses(self, equity: float, regime_state: int | None) -> GuardrailReason | None:
        latched = None
        decided_in = self._regime_state
        if decided_in is not None and self.state_losses.read(decided_in, equity - self.equity):
            latched = GuardrailReason.STATE_DRAWDOWN
        self.equity = equity
        self._regime_state = regime_state
        peak = self._peak.update(equity)
        # An account that never was worth anything has nothing left to lose.
        if self.drawdown.read((peak - equity) / peak if peak > 0.0 else 1.0):
            latched = GuardrailReason.REDUCING
        if self.session_loss.read(self.session_start_equity - equity):
            latched = GuardrailReason.SESSION_LOSS
        if self.daily_loss.read(self.day_start_equity - equity):
            latched = GuardrailReason.DAILY_LOSS
        return latched

    def _begin_day(self) -> None:
        self.day_start_equity = self.equity
        self.daily_loss.clear()
        self.daily_notional = 0.0
        self._forget_outcomes()
        self._seen_yesterday, self._seen = self._seen, {}

    def _forget_outcomes(self) -> None:
        self._outcomes.clear()
        self.rejects = 0
