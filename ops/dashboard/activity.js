// What was decided, traded and commanded, newest first.

import { get } from "./api.js";
import { byId, el, table } from "./dom.js";
import { gain, instant, local, market, moment, money, percent, price, quantity, tone } from "./format.js";
import { every, live, on } from "./live.js";
import { configs, stateName } from "./configs.js";
import { explained, judged, meaning, numbers, side } from "./why.js";

const MOST = 40;
const time = { head: "Market time", left: true, scope: "row", cell: (row) => ({ text: instant(row.ts_event), title: `${moment(row.ts_event)} UTC, ${local(row.ts_event)}` }) };
const who = { head: "Strategy", left: true, cell: (row) => row.strategy };
const what = { head: "Instrument", left: true, cell: (row) => ({ text: market(row.instrument_id), title: row.instrument_id }) };

const VIEWS = {
  verdicts: {
    name: "Verdicts", empty: "Nothing was asked for yet.", path: "/v1/verdicts", key: (row) => row.seq,
    columns: [
      time, who, what,
      { head: "Asked", cell: (row) => `${side(row.requested)} ${quantity(Math.abs(row.requested))}` },
      { head: "Allowed", cell: (row) => quantity(Math.abs(row.approved)) },
      { head: "Verdict", left: true, cell: (row) => ({ text: { done: "✓ approved", cut: "◐ cut", refused: "✕ refused" }[judged(row)[0]], class: judged(row)[0] }) },
      { head: "Because", left: true, class: "words", cell: (row) => ({ text: meaning(row.reason), title: row.reason }) },
      { head: "Value against limit", left: true, cell: (row) => numbers(row) },
    ],
  },
  decisions: {
    name: "Decisions", empty: "Nothing was decided yet.", path: "/v1/decisions", key: (row) => row.seq,
    columns: [
      time, who,
      { head: "Regime", left: true, cell: (row) => (row.regime_state < 0 ? "–" : `${stateName(row.strategy, row.regime_state)} ${percent(row.regime_probs[row.regime_state], 0)}`) },
      { head: "Sure", cell: (row) => percent(row.confidence, 0) },
      { head: "Targets", cell: (row) => row.targets.map((one) => (one == null ? "as it is" : quantity(one))).join(", ") },
      { head: "What came of it", left: true, class: "words", cell: (row) => outcome(row) },
    ],
  },
  fills: {
    name: "Fills", empty: "Nothing was executed yet.", path: "/v1/fills", key: (row) => row.trade_id,
    columns: [
      time, who, what,
      { head: "Side", left: true, cell: (row) => (row.side === "BUY" ? "▲ BUY" : "▼ SELL") },
      { head: "Quantity", cell: (row) => quantity(row.quantity) },
      { head: "Price", cell: (row) => price(row.price) },
      { head: "Value", cell: (row) => money(row.quantity * row.price) },
      { head: "Costs", cell: (row) => money(row.fee) },
      { head: "Order", left: true, cell: (row) => ({ text: row.client_order_id.slice(0, 10), title: row.client_order_id }) },
    ],
  },
  trades: {
    name: "Trades", empty: "No round trip has ended yet.", path: "/v1/trades", key: (row) => `${row.seq} ${row.exit_order_id} ${row.side}`,
    columns: [
      { ...time, head: "Closed", cell: (row) => ({ text: instant(row.exit_ts), title: `opened ${instant(row.entry_ts)} UTC` }) },
      who, what,
      { head: "Side", left: true, cell: (row) => row.side.toLowerCase() },
      { head: "Quantity", cell: (row) => quantity(row.quantity) },
      { head: "Entry", cell: (row) => price(row.entry_price) },
      { head: "Exit", cell: (row) => price(row.exit_price) },
      { head: "Net", cell: (row) => ({ text: gain(row.net_pnl), class: tone(row.net_pnl), title: `costs ${money(row.fees)}` }) },
      { head: "Return", cell: (row) => `${money(row.return_bps, 1)} bps` },
      { head: "Held", cell: (row) => `${money(row.hold_secs / 60, 0)} min` },
      { head: "Closed by", left: true, cell: (row) => row.exit_role.toLowerCase() },
    ],
  },
  orders: {
    name: "Orders", empty: "No order was sent yet.", path: "/v1/orders", key: (row) => row.client_order_id,
    columns: [
      time, who, what,
      { head: "Side", left: true, cell: (row) => row.side },
      { head: "Quantity", cell: (row) => quantity(row.quantity) },
      { head: "Filled", cell: (row) => quantity(row.filled_quantity) },
      { head: "Kind", left: true, cell: (row) => `${row.role ?? ""} ${row.kind ?? ""}`.toLowerCase().replaceAll("_", " ") },
      { head: "Status", left: true, cell: (row) => ({ text: row.status, class: ["REJECTED", "DENIED"].includes(row.status) ? "bad" : "" }) },
      { head: "Reason", left: true, class: "words", cell: (row) => row.reason || "" },
    ],
  },
  commands: {
    name: "Commands", empty: "No command was given yet.", path: "/v1/commands", key: (row) => row.seq,
    columns: [
      { head: "Time", left: true, scope: "row", cell: (row) => ({ text: moment(row.ts_ns), title: local(row.ts_ns) }) },
      { head: "Record", cell: (row) => String(row.seq) },
      { head: "Command", left: true, cell: (row) => (row.kind === "latch" ? `latch ${row.body.action ?? ""}` : row.command) },
      { head: "", about: "Stage", left: true, cell: (row) => (row.body.stage === "asked" ? "asked" : row.body.answer?.refused ? { text: "refused", class: "bad" } : "done") },
      { head: "Scope", left: true, cell: (row) => row.scope ?? row.body.asked?.scope ?? row.body.asked?.strategy ?? "" },
      { head: "By", left: true, cell: (row) => row.who ?? row.body.restriction?.who ?? "" },
      { head: "Reason", left: true, class: "words", cell: (row) => row.reason ?? row.body.restriction?.reason ?? "" },
    ],
  },
};

let verdicts = [];

function outcome(row) {
  const own = [...(live.verdicts.get(row.strategy) ?? []), ...verdicts.filter((one) => one.strategy === row.strategy)];
  const unique = [...new Map(own.map((one) => [`${one.ts_event} ${one.instrument_id}`, one])).values()];
  const [kind, text] = explained(row, unique, configs.get(row.strategy)?.config, (state) => stateName(row.strategy, state));
  return { text, class: kind };
}

export function mount() {
  const host = byId("activity");
  const panels = {};
  let shown = "verdicts";
  let isHeld = false;
  const hold = el("span.muted", { hidden: true }, "stands still while you point at it");
  const tabs = Object.entries(VIEWS).map(([name, view]) => {
    const made = table(view.name, view.columns, { key: view.key, empty: view.empty });
    made.root.id = `panel-${name}`;
    made.root.hidden = name !== shown;
    panels[name] = made;
    return el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === shown), "aria-controls": made.root.id, tabindex: name === shown ? "0" : "-1", onclick: () => turn(name) }, view.name);
  });
  const list = el("div.tabs", { role: "tablist", "aria-label": "Activity", onkeydown: (event) => walk(event) }, tabs);
  const body = el("div", {}, Object.values(panels).map((one) => one.root));
  body.addEventListener("pointerenter", () => { isHeld = true; hold.hidden = false; });
  body.addEventListener("pointerleave", () => { isHeld = false; hold.hidden = true; });
  host.append(el("div.heading", {}, list, hold), body);

  const names = Object.keys(VIEWS);
  function turn(name) {
    shown = name;
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(names[at] === name));
      tab.tabIndex = names[at] === name ? 0 : -1;
      panels[names[at]].root.hidden = names[at] !== name;
    });
    ask();
  }
  function walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const name = names[(names.indexOf(shown) + step + names.length) % names.length];
    turn(name);
    byId(`tab-${name}`).focus();
  }
  async function load() {
    if (isHeld && panels[shown].root.querySelector("tbody tr")) return;
    const name = shown;
    if (name === "decisions") verdicts = (await get("/v1/verdicts", { limit: 100 })).rows;
    const page = await get(VIEWS[name].path, { limit: MOST });
    panels[name].update(page.rows);
  }
  const ask = every(3, load);
  let soon = 0;
  on("fill", () => { clearTimeout(soon); soon = setTimeout(ask, 500); });

}

