"""How the trading node reaches the paper venue: an execution client like that of any other venue.

All of it runs on the node's loop. Commands go out through a `PaperGateway`; answers come back through it
whenever the venue was given market data, and become the node's order events with the venue's times, which
are those of the market data. An account state follows every batch of answers that changed the account.

A `QueryAccount` whose params carry ``fence`` is no question but a mark: it has travelled behind all earlier
commands of its sender, so when it comes here they are at the venue; see `CommandFence`.
"""

import logging
from collections.abc import Callable
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.live import (
    CancelAllOrders,
    CancelOrder,
    ClientCache,
    GenerateFillReports,
    GenerateOrderStatusReport,
    GenerateOrderStatusReports,
    GeneratePositionStatusReports,
    ModifyOrder,
    QueryAccount,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountId,
    AccountType,
    ClientOrderId,
    Currency,
    ExecutionMassStatus,
    FillReport,
    OmsType,
    OrderStatusReport,
    PositionStatusReport,
    TradeId,
    TraderId,
    Venue,
    VenueOrderId,
)

from adapters.paper import translate
from adapters.paper.claims import OrderClaims
from adapters.paper.fence import CommandFence
from adapters.paper.gateway import PaperGateway
from adapters.paper.ledger import AccountKind
from adapters.paper.orders import EventKind, Order, OrderRequest, RefusalError, Side, VenueEvent
from adapters.paper.state import Cancel, CancelAll, Modify, Submit

_LOG = logging.getLogger(__name__)

type Admit = Callable[[str, str, str, bool], str]
"""``admit(client_order_id, instrument_id, side, reduce_only)`` says why an order must not be sent.

Empty where it may. Asked for every order, last of all before the venue; cancels are never asked for. What it
raises is a refusal. Of orders that are sent as one, one refusal refuses all.
"""


class PaperExecutionClientConfig(ExecutionClientConfig):
    """How the paper execution client is wired.

    Args:
        gateway: The line to the venue; the data client gives it market data.
        fence: Where marks are reported to; None where nobody waits.
        admit: The last gate before the venue; None lets everything pass.
        claims: Given where recovery clients report each strategy's share at the start (see
            `adapters.paper.recovery`): this client then reports nothing of its own.
    """

    def __init__(
        self,
        *,
        gateway: PaperGateway,
        fence: CommandFence | None = None,
        admit: Admit | None = None,
        claims: OrderClaims | None = None,
        **_: object,
    ) -> None:
        self.gateway = gateway
        self.fence = fence
        self.admit = admit
        self.claims = claims

    @property
    def account_id(self) -> AccountId:
        """The venue's one account."""
        return AccountId(f"{self.gateway.venue.config.venue}-001")

    @property
    def venue(self) -> Venue:
        """The engine's name of the venue."""
        return Venue(self.gateway.venue.config.venue)

    @property
    def account_parts(self) -> dict[str, Any]:
        """What a client of this account is made of."""
        cash = self.gateway.venue.config.account is AccountKind.CASH
        return {
            "account_id": self.account_id,
            "account_type": AccountType.CASH if cash else AccountType.MARGIN,
            "oms_type": OmsType.NETTING,
            "base_currency": None,
        }


class PaperExecutionClient(ExecutionClient):
    """Execution client of a `PaperVenue`."""

    config: PaperExecutionClientConfig

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._gateway = self.config.gateway
        self._paper = self._gateway.venue
        self._revision = -1

    async def _connect(self) -> None:
        self._gateway.connect(self._answer, self._resync)
        self._report_account()

    async def _disconnect(self) -> None:
        self._gateway.disconnect()

    # ---- commands

    async def _submit_order(self, command: SubmitOrder) -> None:
        self._submit([command.order])

    async def _submit_order_list(self, command: SubmitOrderList) -> None:
        self._submit([self.cache.order(name) for name in command.order_list.client_order_ids()])

    async def _cancel_order(self, command: CancelOrder) -> None:
        self._gateway.send(Cancel(str(command.client_order_id)))

    async def _cancel_all_orders(self, command: CancelAllOrders) -> None:
        side = None if command.order_side is None else Side(command.order_side.name)
        self._gateway.send(CancelAll(str(command.instrument_id), side))

    async def _modify_order(self, command: ModifyOrder) -> None:
        changes = (command.quantity, command.price, command.trigger_price)
        values = (None if value is None else value.as_decimal() for value in changes)
        self._gateway.send(Modify(str(command.client_order_id), *values))

    async def _query_order(self, command: QueryOrder) -> None:
        name = str(command.client_order_id)
        order, sent = self._gateway.find(name), self.cache.order(command.client_order_id)
        if order is not None:
            self._report(order)
        elif self._gateway.is_travelling(name):
            # The node would take a long way for a lost order, and call rejected what still fills.
            report = translate.travelling_report(sent, self._paper, self.account_id, self._now())
            self._handle_report(report)
        elif sent is not None:
            # Final, or an order that was only late would fill after the node has called it rejected.
            self._gateway.bar(name)
            report = translate.missing_report(sent, self._paper, self.account_id, self._now())
            self._handle_report(report)

    async def _query_account(self, command: QueryAccount) -> None:
        mark = (command.params or {}).get("fence")
        if mark is not None and self.config.fence is not None:
            self.config.fence.passed(str(mark))
        else:
            self._report_account()

    def _submit(self, orders: list[Any]) -> None:
        try:
            requests = tuple(translate.order_request(order) for order in orders)
            for request in requests:
                self._admit(request)
        except RefusalError as error:
            for order in orders:
                self.generate_order_denied(order, str(error))
            return
        for order in orders:
            self.generate_order_submitted(order)
        self._gateway.send(Submit(requests))

    def _admit(self, request: OrderRequest) -> None:
        if self.config.admit is None:
            return
        try:
            refusal = self.config.admit(
                request.client_order_id, request.instrument_id, str(request.side), request.reduce_only
            )
        except Exception as error:
            _LOG.exception("the gate before the venue failed on %s", request.client_order_id)
            raise RefusalError(f"GATE_FAILED: {type(error).__name__}: {error}") from error
        if refusal:
            raise RefusalError(refusal)

    # ---- answers

    def _answer(self, events: list[VenueEvent]) -> None:
        for event in events:
            order = self.cache.order(ClientOrderId(event.client_order_id))
            if order is None:
                self._answer_unknown(event)
            elif event.kind is EventKind.FILLED:
                self._answer_fill(order, event)
            else:
                self._answer_order(order, event)
        self._report_account()

    def _answer_order(self, order: Any, event: VenueEvent) -> None:
        number = None if event.venue_order_id is None else VenueOrderId(event.venue_order_id)
        ts_event, reason = event.ts_event, event.reason
        match event.kind:
            case EventKind.REJECTED if order.status.name not in ("INITIALIZED", "SUBMITTED"):
                pass  # a second submit of an order that lives was refused; nothing happened to the order
            case EventKind.REJECTED:
                self.generate_order_rejected(order, reason, ts_event, reason.startswith("POST_ONLY"))
            case EventKind.CANCELED:
                self.generate_order_canceled(order, number, ts_event)
            case EventKind.CANCEL_REJECTED:
                self.generate_order_cancel_rejected(order, number, reason, ts_event)
            case EventKind.MODIFY_REJECTED:
                self.generate_order_modify_rejected(order, number, reason, ts_event)
            case EventKind.ACCEPTED:
                assert number is not None
                self.generate_order_accepted(order, number, ts_event)
            case EventKind.UPDATED:
                assert number is not None
                assert event.quantity is not None
                rules = self._paper.instruments[str(order.instrument_id)]
                price, trigger = event.price, event.trigger_price
                self.generate_order_updated(
                    order,
                    number,
                    translate.quantity(event.quantity, rules),
                    None if price is None else translate.price(price, rules),
                    None if trigger is None else translate.price(trigger, rules),
                    None,
                    ts_event,
                )

    def _answer_fill(self, order: Any, event: VenueEvent) -> None:
        fill = event.fill
        assert fill is not None
        rules = self._paper.instruments[fill.instrument_id]
        if order.status.name == "INITIALIZED":
            # Reported at the start as under way. The node made it one that was never sent,
            # and of that it would take no execution.
            self.generate_order_submitted(order)
        self.generate_order_filled(
            order,
            VenueOrderId(fill.venue_order_id),
            None,
            TradeId(fill.trade_id),
            translate.quantity(fill.quantity, rules),
            translate.price(fill.price, rules),
            Currency.from_str(rules.quote_currency),
            translate.commission(fill, rules),
            translate.liquidity(fill),
            fill.ts_event,
        )

    def _answer_unknown(self, event: VenueEvent) -> None:
        # An order of an earlier life that the node has not reconciled: it learns the state, not the step.
        order = self._paper.order(event.client_order_id)
        if order is not None:
            if self.config.claims is not None:
                self.config.claims.release()
            self._report(order)

    def _resync(self) -> None:
        """Report all that the node believes to be open, because answers may be missing."""
        for known in (*self.cache.orders_open(), *self.cache.orders_inflight()):
            order = self._gateway.find(str(known.client_order_id))
            if order is not None:
                self._report(order)
        self._revision = -1
        self._report_account()

    def _report(self, order: Order) -> None:
        # With its executions: without them the node makes some up, and books the real ones on top.
        fills = [self._fill(fill) for fill in self._gateway.fills_of(order.client_order_id)]
        self._handle_report(self._status(order), fills)

    def _report_account(self) -> None:
        if self._revision != self._paper.account_revision:
            self._revision = self._paper.account_revision
            balances = translate.account_balances(self._paper)
            self.generate_account_state(balances, [], True, self._paper.state.ts or self._now())

    # ---- reports

    async def _generate_mass_status(self, lookback_mins: int | None) -> Any:  # noqa: ARG002 - all is told
        if self.config.claims is None:
            return NotImplemented
        return ExecutionMassStatus(self.client_id, self.account_id, self.config.venue, self._now())

    async def _generate_order_status_report(
        self, command: GenerateOrderStatusReport
    ) -> OrderStatusReport | None:
        if command.client_order_id is not None:
            order = self._gateway.find(str(command.client_order_id))
        else:
            order = self._paper.order_numbered(str(command.venue_order_id))
        return None if order is None else self._status(order)

    async def _generate_order_status_reports(
        self, command: GenerateOrderStatusReports
    ) -> list[OrderStatusReport]:
        wanted = None if command.instrument_id is None else str(command.instrument_id)
        orders = (
            order for order in self._paper.state.orders.values() if wanted in (None, order.instrument_id)
        )
        return [self._status(order) for order in orders if not command.open_only or not order.state.is_closed]

    async def _generate_fill_reports(self, command: GenerateFillReports) -> list[FillReport]:
        wanted = None if command.instrument_id is None else str(command.instrument_id)
        number = None if command.venue_order_id is None else str(command.venue_order_id)
        return [
            self._fill(fill)
            for fill in self._paper.fills_since(command.start or 0)
            if wanted in (None, fill.instrument_id) and number in (None, fill.venue_order_id)
        ]

    async def _generate_position_status_reports(
        self, command: GeneratePositionStatusReports
    ) -> list[PositionStatusReport]:
        wanted = None if command.instrument_id is None else str(command.instrument_id)
        return [
            translate.position_report(name, self._paper, self.account_id, self._now())
            for name in self._paper.state.ledger.positions
            if wanted in (None, name)
        ]

    def _status(self, order: Order) -> OrderStatusReport:
        return translate.status_report(order, self._paper, self.account_id, self._now())

    def _fill(self, fill: Any) -> FillReport:
        return translate.fill_report(fill, self._paper, self.account_id, self._now())

    def _now(self) -> int:
        return self.clock.timestamp_ns()


class PaperExecutionClientFactory(ExecutionClientFactory):
    """Makes the client for a node under construction."""

    @staticmethod
    def create(
        *,
        name: str,
        config: ExecutionClientConfig,
        cache: ClientCache,
        clock: Clock,
        trader_id: TraderId,
    ) -> PaperExecutionClient:
        """Make the client; it connects when the node starts."""
        if not isinstance(config, PaperExecutionClientConfig):
            raise TypeError(f"expected PaperExecutionClientConfig, found {type(config).__name__}")
        return PaperExecutionClient(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            trader_id=trader_id,
            venue=config.venue,
            **config.account_parts,
        )
