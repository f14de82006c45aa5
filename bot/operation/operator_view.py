"""The daemon as its operator sees it: documents that are asked for, and commands that are given."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapters.paper.copying import copy_store
from adapters.paper.store import VENUE_FILE
from bot.chronicle import Chronicle
from bot.config import HostConfig
from bot.config.problems import redact
from bot.operation.control import Control
from bot.operation.limits_view import limit_rows
from bot.operation.policy_kinds import policy_kinds
from bot.operation.recent_errors import RecentErrors
from bot.operation.regime_view import regime_states
from bot.paper import PaperNode
from ops.api.archive import Archive
from ops.arming import Arming
from ops.disk import LocalDisk, room
from ops.journal.questions import Question
from ops.kill_mode import KillMode
from ops.loop_lag import LoopLag
from ops.state_lock import SOCKET
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import RiskBook, TradingState
from strategies.restrictions import Scope
from strategies.strategy import PolicyStrategy

type Stop = Callable[[str, bool | None], None]
"""``stop(reason, flatten)``: begin an orderly stop."""


class OperatorView:
    """Answers the operator's routes (`ops.api`) on the daemon's loop.

    Args:
        host: What runs.
        state_dir: Where records lie.
        started_at: When the daemon was started.
        session: Name of this session.
        chronicle: Its journal.
        paper: The node.
        control: What restricts trading.
        api_url: Says where the read-only interface is; None where there is none.
        state: Says STARTING, READY, STOPPING or STOPPED.
        stop: Begins a stop.
        archive: Answers what is asked about the past.
        lag: How late the loop is.
        errors: The newest of the log.
    """

    def __init__(
        self,
        host: HostConfig,
        state_dir: Path,
        started_at: datetime,
        *,
        session: str,
        chronicle: Chronicle,
        paper: PaperNode,
        control: Control,
        api_url: Callable[[], str | None],
        state: Callable[[], str],
        stop: Stop,
        archive: Archive,
        lag: LoopLag,
        errors: RecentErrors,
    ) -> None:
        self._host = host
        self._state_dir = state_dir
        self._started_at = started_at
        self._session = session
        self._chronicle = chronicle
        self._paper = paper
        self._control = control
        self._api_url = api_url
        self._state = state
        self._stop = stop
        self._copying = asyncio.Lock()
        self._archive = archive
        self._lag = lag
        self._errors = errors

    # -- questions ---------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The daemon's state in one document."""
        gate = self._control.gate
        strategies = self._paper.wired.strategies
        states = [_strategy_status(one, gate) for one in strategies]
        account = self._paper.wired.account.book
        held_back = [(gate.state().value, gate.reason()), (account.trading_state.value, _why(account))]
        held_back += [(one["trading_state"], f"{one['name']}: {one['reason']}") for one in states]
        strictest = max(held_back, key=lambda held: list(TradingState).index(TradingState(held[0])))
        return {
            "state": self._state(),
            "kind": self._host.settings.kind.value,
            "trading_state": strictest[0],
            "reason": gate.reason() or ("" if strictest[0] == TradingState.ACTIVE else strictest[1]),
            "api_url": self._api_url(),
            "dashboard_url": self.dashboard_url,
            "socket": str(self._state_dir / SOCKET),
            "pid": os.getpid(),
            "session": self._session,
            "time_ns": time.time_ns(),
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "version": version("argonaut"),
            "armed": gate.armed,
            "config": str(self._host.path),
            "config_sha256": self._host.sha256,
            "bundle_id": strategies[0].pipeline.identity.policy_id,
            "equity": sum(one.pipeline.stages.ledger.equity for one in strategies),
            "currency": self._host.settings.venue.currency,
            "account": self._account_status(),
            "strategies": states,
            "feeds": [self._feed_status()],
            "records": dict(self._chronicle.tape.counts),
            "journal": self._chronicle.status(),
            "reconciled": self._chronicle.report.is_clean,
            "unexplained": list(self._chronicle.report.unexplained),
            "doubtful": sorted(self._chronicle.report.doubtful),
            "disk": self._disk_status(),
            "recent_errors": self._errors.status(),
            **self._control.status(),
            "loop": self._control.status()["loop"] | self._lag.status(),
        }

    def live(self) -> dict[str, Any]:
        """What a stream begins with, and is told changes of."""
        return {"status": self.status(), "positions": self.positions(), "orders": self.open_orders()}

    def positions(self) -> list[dict[str, Any]]:
        """What each strategy holds."""
        rows = []
        for strategy in self._paper.wired.strategies:
            ledger = strategy.pipeline.stages.ledger
            for index, instrument in enumerate(strategy.pipeline.instruments):
                quantity = ledger.positions[index]
                if quantity:
                    close, average = ledger.closes[index], ledger.average_prices[index]
                    rows.append(
                        {
                            "strategy": strategy.name,
                            "instrument_id": instrument.instrument_id,
                            "quantity": quantity,
                            "average_price": average,
                            "last_price": close,
                            "value": quantity * close,
                            "unrealised": quantity * (close - average),
                            "bars_held": ledger.bars_held[index],
                        }
                    )
        return rows

    def open_orders(self) -> list[dict[str, Any]]:
        """Orders of all strategies that are not done, in the order in which they were decided."""
        return [
            {
                "strategy": strategy.name,
                "client_order_id": order.intent.client_order_id,
                "instrument_id": order.intent.instrument_id,
                "ts_event": order.intent.ts_event,
                "side": str(order.intent.side),
                "quantity": order.intent.quantity,
                "filled_quantity": order.filled,
                "kind": str(order.intent.kind),
                "role": str(order.intent.role),
                "price": order.intent.price,
                "trigger_price": order.intent.trigger_price,
                "sent": order.is_sent,
                "unknown": order.intent.client_order_id in strategy.door.unknown,
            }
            for strategy in self._paper.wired.strategies
            for order in strategy.door.working()
        ]

    def limits(self) -> list[dict[str, Any]]:
        """Every limit, and how much of it is used."""
        wired = self._paper.wired
        return list(limit_rows(self._host, list(wired.strategies), wired.account.book))

    def strategies(self) -> list[dict[str, Any]]:
        """What trades: configuration, and how it stands."""
        rows = []
        for loaded, strategy in zip(self._host.strategies, self._paper.wired.strategies, strict=True):
            config = redact(loaded.config.model_dump(mode="json"))
            row = {
                "file": str(loaded.path),
                "sha256": loaded.sha256,
                "config": config,
                "regime_states": regime_states(strategy.pipeline.stages.regime),
            }
            rows.append(_strategy_status(strategy, self._control.gate) | row)
        return rows

    def policies(self) -> list[dict[str, Any]]:
        """Kinds of policy that a strategy file may name."""
        return policy_kinds()

    def config(self) -> dict[str, Any]:
        """The configuration in force; whatever is named like a secret is hidden."""
        host = self._host
        return {"path": str(host.path), "sha256": host.sha256, **redact(host.document())}

    def audit_head(self) -> dict[str, Any]:
        """The newest record of the journal, and when one was signed."""
        journal = self._chronicle.journal
        return {
            "seq": journal.seq,
            "head": journal.head,
            "durable_seq": journal.durable_seq,
            "checkpoint_ns": journal.checkpoint_ns,
            "session": self._session,
            "fault": self._chronicle.fault,
        }

    async def page(self, question: Question, asked: dict[str, Any]) -> bytes:
        """A page of what was recorded; see `Archive.page`."""
        return await self._archive.page(question, asked)

    # -- commands ----------------------------------------------------------------------------------

    async def note_asked(
        self, command: str, *, who: str, reason: str, asked: dict[str, Any], durable: bool
    ) -> None:
        """Record that a command was given, before it is carried out.

        Raises:
            SafetyError: If it has to be durable and the disk refuses. Nothing was carried out.
        """
        self._control.note_asked(command, who=who, reason=reason, asked=asked)
        if durable:
            await self._chronicle.written()
            if self._chronicle.fault:
                raise SafetyError(
                    f"{command}: not carried out, for it cannot be recorded: {self._chronicle.fault}"
                )

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        """Begin an orderly stop."""
        self._stop(reason, flatten)

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        """Restrict a scope; see `TradingCommands.kill`."""
        return self._control.commands.kill(scope, mode, who=who, reason=reason)

    def reconcile(self, *, accept: bool, who: str, reason: str) -> dict[str, Any]:
        """Compare our books with the venue's; see `Chronicle.reconcile`."""
        report = self._chronicle.reconcile(accept=accept, who=who, reason=reason)
        self._control.take_report(report)
        halted = self._control.gate.state() is TradingState.HALTED
        return {"is_clean": report.is_clean, "halted": halted, "report": report.as_json()}

    async def snapshot(self, *, who: str, reason: str) -> dict[str, Any]:
        """Hold an instant fast for a backup: the newest record, and a copy of the paper venue beside it."""
        given = {"command": "snapshot", "scope": "all", "who": who, "reason": reason}
        async with self._copying:
            self._chronicle.record("control", given)
            journal, venue = self._chronicle.status(), None
            if self._paper.store is not None:
                venue = f".{VENUE_FILE}.{journal['records']}.snapshot"
                self._paper.gateway.save()
                await copy_store(self._paper.store, self._state_dir / venue)
        await self._chronicle.written()
        return {"seq": journal["records"], "head": journal["head"], "venue": venue}

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        """Lift what was imposed on a scope; see `TradingCommands.resume`."""
        return self._control.commands.resume(scope, who=who, reason=reason)

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """Let a strategy add no risk; see `TradingCommands.pause`."""
        return self._control.commands.pause(strategy, who=who, reason=reason)

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """End a pause; see `TradingCommands.unpause`."""
        return self._control.commands.unpause(strategy, who=who, reason=reason)

    def request_arming(self, *, who: str, reason: str) -> dict[str, Any]:
        """Show what would go live; see `Arming.request`."""
        return self._control.arm("arm", lambda arming: arming.request(who=who), who=who, reason=reason)

    def confirm_arming(self, nonce: str, *, who: str, reason: str) -> dict[str, Any]:
        """Arm what was shown; see `Arming.confirm`."""

        def confirm(arming: Arming) -> dict[str, Any]:
            return arming.confirm(nonce, who=who)

        return self._control.arm("arm confirm", confirm, who=who, reason=reason)

    def disarm(self, *, who: str, reason: str) -> dict[str, Any]:
        """Let no order leave any more; see `Arming.disarm`."""
        return self._control.arm("disarm", lambda arming: arming.disarm(), who=who, reason=reason)

    @property
    def dashboard_url(self) -> str | None:
        """Where the page for browsers is; None where the port gives none."""
        url, api = self._api_url(), self._host.settings.api
        return f"{url}/" if url is not None and (api.tokens or api.open_to_read) else None

    def _account_status(self) -> dict[str, Any]:
        """All strategies together, quote currency."""
        wired = self._paper.wired
        ledgers, book = [one.pipeline.stages.ledger for one in wired.strategies], wired.account.book
        equity, capital = sum(one.equity for one in ledgers), sum(one.capital for one in ledgers)
        return {
            "capital": capital,
            "profit": equity - capital,
            "day_profit": equity - book.day_start_equity,
            "drawdown_frac": book.drawdown.loss,
            "gross_exposure": sum(one.gross_exposure for one in ledgers),
            "net_exposure": sum(one.net_exposure for one in ledgers),
        }

    def _disk_status(self) -> dict[str, Any]:
        free = LocalDisk().free_bytes(self._state_dir)
        return {"free_bytes": free, "room": room(free).name}

    def _feed_status(self) -> dict[str, Any]:
        replay = self._paper.replay
        return {
            "name": "replay",
            "state": feed_state(replay.is_finished, replay.is_dead),
            "ts_event": replay.ts_event,
            "end_ts": self._paper.last_ns,
            "bars": replay.bars_sent,
            "restarts": replay.restarts,
            "failure": replay.failure,
            "late_bars": self._paper.wired.hub.late_bars,
        }


def _strategy_status(strategy: PolicyStrategy, gate: TradingGate) -> dict[str, Any]:
    ledger, book, belief = (
        strategy.pipeline.stages.ledger,
        strategy.pipeline.stages.book,
        strategy.pipeline.belief,
    )
    instruments = [instrument.instrument_id for instrument in strategy.pipeline.instruments]
    states = [(gate.state(strategy.name, one), gate.reason(strategy.name, one)) for one in instruments]
    state, reason = max(
        [*states, (book.trading_state, _why(book))], key=lambda held: list(TradingState).index(held[0])
    )
    return {
        "name": strategy.name,
        "instruments": instruments,
        "policy_id": strategy.pipeline.identity.policy_id,
        "trading_state": state.value,
        "reason": reason or _why(book),
        "ts_event": strategy.last_ts_event,
        "decisions": strategy.decisions,
        "warm": strategy.decisions > 0,
        "equity": ledger.equity,
        "profit": ledger.equity - ledger.capital,
        "fees": ledger.fees,
        "drawdown_frac": ledger.drawdown,
        "regime_state": None if belief is None else belief.state,
        "regime_probs": None if belief is None else list(belief.probs),
    }


def _why(book: RiskBook) -> str:
    return book.fault or ("" if book.latch is None else book.latch.value)


def feed_state(is_finished: bool, is_dead: bool) -> str:
    """PLAYING, FINISHED or DEAD."""
    if is_dead:
        return "DEAD"
    return "FINISHED" if is_finished else "PLAYING"
