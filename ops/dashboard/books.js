// What is held and what is at work, as the daemon has it now.

import { get } from "./api.js";
import { byId, el, table } from "./dom.js";
import { clock, gain, local, market, money, price, quantity, tone } from "./format.js";
import { every, live, on } from "./live.js";

const thing = { head: "Instrument", left: true, scope: "row", cell: (row) => ({
  key: [row.instrument_id, row.strategy], title: row.client_order_id ?? row.instrument_id,
  node: () => [el("div", {}, market(row.instrument_id)), el("div.sub", {}, row.strategy)],
}) };

const POSITIONS = [
  thing,
  { head: "Quantity", cell: (row) => `${row.quantity > 0 ? "long" : "short"} ${quantity(Math.abs(row.quantity))}` },
  { head: "Average", cell: (row) => price(row.average_price) },
  { head: "Last", cell: (row) => price(row.last_price) },
  { head: "Value", cell: (row) => money(row.value) },
  { head: "Unrealised", cell: (row) => ({ text: gain(row.unrealised), class: tone(row.unrealised) }) },
  { head: "Bars", cell: (row) => ({ text: money(row.bars_held, 0), title: "that it has been held" }) },
];

const ORDERS = [
  thing,
  { head: "Side", left: true, cell: (row) => row.side },
  { head: "Quantity", cell: (row) => quantity(row.quantity) },
  { head: "Filled", cell: (row) => quantity(row.filled_quantity) },
  { head: "Kind", left: true, cell: (row) => ({ text: row.role.toLowerCase(), title: row.kind }) },
  { head: "Price", cell: (row) => price(row.price ?? row.trigger_price) },
  { head: "Decided", cell: (row) => ({ text: clock(row.ts_event), title: local(row.ts_event) }) },
  { head: "", about: "Remark", left: true, cell: (row) => (row.unknown ? { text: "outcome unknown", class: "bad" } : row.sent ? "" : "not sent yet") },
];

export function mount() {
  const positions = table("Positions", POSITIONS, { key: (row) => `${row.strategy} ${row.instrument_id}`, empty: "Flat: nothing is held." });
  const orders = table("Open orders", ORDERS, { key: (row) => row.client_order_id, empty: "No order is at work." });
  byId("positions").append(positions.root);
  byId("orders").append(orders.root);
  // The stream tells that an order changed; what is at work then is asked for once.
  const ask = every(5, async () => { live.orders = await get("/v1/orders/open"); orders.update(live.orders); });
  let soon = 0;
  on("order", () => { clearTimeout(soon); soon = setTimeout(ask, 300); });
  on("begin", () => orders.update(live.orders));
  on("change", () => positions.update(live.positions));
}
