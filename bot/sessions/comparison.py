"""A session beside a backtest of its configuration over its bars: what came of it otherwise, and why.

Flow: journal, catalog → engine → **session comparison**.

`bot.sessions.replay` asks whether the same decisions follow from the same inputs. This asks whether the
inputs were those that a backtest assumes: orders have the same names in both, so each execution is laid
beside its counterpart, and what differs is price, cost, time, or that only one of them happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.catalog import Catalog
from bot.backtest import run_engine
from bot.config import HostConfig
from bot.sessions.files import NEWEST, read_session
from bot.sessions.pins import pinned_host
from ops.session_tape import SessionTape
from strategies.errors import ConfigError
from strategies.tape import DecisionRecord, EquityRecord, FillRecord

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StrategyGap:
    """One strategy, there and here."""

    strategy: str
    decisions: int
    """Bars on which both decided."""
    same_decisions: int
    """Of these, those that are the same to the bit."""
    first_other_ts: int | None
    """Close of the first bar on which they decided otherwise, UTC nanoseconds; None where there is none."""
    fills: int
    """Executions of orders that both sent."""
    only_session: int
    """Executions of orders that the backtest did not send, or did not fill."""
    only_backtest: int
    price_bps: float
    """How much worse the session's prices were, by value, of the executions that both have."""
    fee_quote: float
    """How much more the session paid for them."""
    late_ns: int
    """How much later the session's came, on average."""
    profit_session: float
    profit_backtest: float


@dataclass(slots=True)
class Comparison:
    """What was found."""

    session: str
    first_ts: int
    last_ts: int
    began_flat: bool
    """Whether the session began without positions, as the backtest does."""
    strategies: list[StrategyGap] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Whether a backtest would have said the same."""
        return all(
            one.decisions == one.same_decisions
            and not (one.only_session or one.only_backtest or one.price_bps or one.fee_quote or one.late_ns)
            for one in self.strategies
        )

    def as_json(self) -> dict[str, Any]:
        """What ``argonaut compare --json`` prints."""
        return {
            "session": self.session,
            "is_identical": self.is_identical,
            "first_ts": self.first_ts,
            "last_ts": self.last_ts,
            "began_flat": self.began_flat,
            "strategies": [
                {name: getattr(one, name) for name in StrategyGap.__dataclass_fields__}
                for one in self.strategies
            ],
        }


def compare_with_backtest(
    state_dir: Path, session: str = NEWEST, *, catalog: Path | None = None
) -> Comparison:
    """Run a backtest of a session's configuration over the span of its bars, and lay the two side by side.

    Call it once in a process: it runs an engine.

    Args:
        catalog: Where the bars lie; None takes the session's own.

    Raises:
        BrokenChainError: If the journal is damaged.
        ConfigError: If there is no such session, or it saw no bar.
        CatalogError: If bars are missing or damaged.
    """
    found = read_session(state_dir, session)
    if not found.bar_times:
        raise ConfigError(f"session {found.pins['session']}: expected one that has seen bars, found none")
    first, last = found.bar_times
    host = _over(pinned_host(found.pins), first - 1, last)
    run = run_engine(host, Catalog(catalog or host.catalog_path))
    comparison = Comparison(found.pins["session"], first, last, not found.fills_before)
    for loaded in host.strategies:
        name = loaded.config.name
        comparison.strategies.append(gap_of(name, found, run.tape.decisions, run.tape.fills, run.tape.equity))
    return comparison


def _over(host: HostConfig, after_ns: int, until_ns: int) -> HostConfig:
    span = {"start": _iso(after_ns), "end": _iso(until_ns)}
    data = host.settings.data.model_copy(update=span)
    settings = host.settings.model_copy(update={"data": data})
    return HostConfig(host.path, settings, host.strategies, host.sha256)


def _iso(ts_ns: int) -> str:
    # The bars of one close time end at whole seconds; the microsecond keeps the first one in.
    moment = datetime.fromtimestamp(ts_ns // _NS, UTC).replace(microsecond=ts_ns % _NS // 1_000)
    return moment.isoformat()


def gap_of(
    name: str,
    found: SessionTape,
    decisions: Sequence[DecisionRecord],
    fills: Sequence[FillRecord],
    equity: Sequence[EquityRecord],
) -> StrategyGap:
    """Lay one strategy of a session beside the same one in a backtest.

    Args:
        name: Of the strategy.
        found: The session.
        decisions: The backtest's.
        fills: Likewise.
        equity: Likewise.
    """
    there = {one.ts_event: one for one in found.tape.decisions if one.strategy == name}
    here = {one.ts_event: one for one in decisions if one.strategy == name}
    both = sorted(there.keys() & here.keys())
    other = [ts for ts in both if not _same(there[ts], here[ts])]
    assert found.bar_times is not None, "a session without bars is not compared"
    # What was decided on the last bar fills after it, where the backtest has ended.
    ours, theirs = (_by_order(some, name, found.bar_times[1]) for some in (found.tape.fills, fills))
    shared = ours.keys() & theirs.keys()
    value = sum(_value(theirs[own_id]) for own_id in shared)
    worse = sum(_cost_of_price(ours[own_id], theirs[own_id]) for own_id in shared)
    late = [ours[own_id][-1].ts_event - theirs[own_id][-1].ts_event for own_id in shared]
    return StrategyGap(
        strategy=name,
        decisions=len(both),
        same_decisions=len(both) - len(other),
        first_other_ts=other[0] if other else None,
        fills=sum(len(ours[own_id]) for own_id in shared),
        only_session=sum(len(ours[own_id]) for own_id in ours.keys() - shared),
        only_backtest=sum(len(theirs[own_id]) for own_id in theirs.keys() - shared),
        price_bps=worse / value * 1e4 if value else 0.0,
        fee_quote=sum(_fees(ours[own_id]) - _fees(theirs[own_id]) for own_id in shared),
        late_ns=round(sum(late) / len(late)) if late else 0,
        profit_session=_profit(found.tape.equity, name),
        profit_backtest=_profit(equity, name),
    )


def _same(one: DecisionRecord, other: DecisionRecord) -> bool:
    # NaN is what leaves an instrument alone, and no NaN equals another.
    return repr(one) == repr(other)


def _by_order(fills: Sequence[FillRecord], strategy: str, until_ns: int) -> Mapping[str, list[FillRecord]]:
    found: dict[str, list[FillRecord]] = {}
    for fill in fills:
        if fill.strategy == strategy and fill.ts_event <= until_ns:
            found.setdefault(fill.client_order_id, []).append(fill)
    return found


def _value(fills: Sequence[FillRecord]) -> float:
    return sum(fill.quantity * fill.price for fill in fills)


def _fees(fills: Sequence[FillRecord]) -> float:
    return sum(fill.fee for fill in fills)


def _cost_of_price(ours: Sequence[FillRecord], theirs: Sequence[FillRecord]) -> float:
    """What a worse price has cost on the quantity that both traded, quote currency."""
    quantity = min(sum(one.quantity for one in ours), sum(one.quantity for one in theirs))
    sign = 1.0 if ours[0].side == "BUY" else -1.0
    return sign * quantity * (_average(ours) - _average(theirs))


def _average(fills: Sequence[FillRecord]) -> float:
    return _value(fills) / sum(fill.quantity for fill in fills)


def _profit(equity: Sequence[EquityRecord], strategy: str) -> float:
    own = [one.equity for one in equity if one.strategy == strategy]
    return own[-1] - own[0] if own else 0.0
