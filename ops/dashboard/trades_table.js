// Round trips, tens of thousands of them: only rows that are in sight are elements. Filters and order are over all.

import { get } from "./api.js";
import { choice, el, fill, say, select } from "./dom.js";
import { gain, instant, market, money, price, quantity, tone } from "./format.js";

const ROW_PX = 30;
const SPARE = 8;
const WINDOW_PX = 480; // as high as .window gets
const FIRST = 1_000;
const PAGE = 5_000;
const COLUMNS = [
  ["exit_ts", "Closed", (row) => instant(row.exit_ts), "left"],
  ["strategy", "Strategy", (row) => row.strategy, "left"],
  ["instrument_id", "Instrument", (row) => market(row.instrument_id), "left"],
  ["side", "Side", (row) => row.side.toLowerCase(), "left"],
  ["quantity", "Quantity", (row) => quantity(row.quantity)],
  ["entry_price", "Entry", (row) => price(row.entry_price)],
  ["exit_price", "Exit", (row) => price(row.exit_price)],
  ["fees", "Costs", (row) => money(row.fees)],
  ["net_pnl", "Net", (row) => gain(row.net_pnl)],
  ["return_bps", "Return, bps", (row) => money(row.return_bps, 1)],
  ["hold_secs", "Held, min", (row) => money(row.hold_secs / 60, 0)],
  ["exit_role", "Closed by", (row) => row.exit_role.toLowerCase(), "left"],
];

// {root, begin, absent, shown}: `begin` fetches the first page, `shown` the others once the table is to be seen;
// `absent` in place of `begin` says that there is no file.
export function tradesTable(key, path) {
  const filters = { strategy: "", instrument_id: "", side: "", exit_role: "", outcome: "" };
  const order = { column: "exit_ts", sign: 1 };
  let rows = [];
  let seen = [];
  let total = 0;
  let problem = "";
  const count = el("p.readout", { role: "status" });
  const controls = el("div.controls.selects");
  const body = el("tbody");
  const above = el("tr.pad", { "aria-hidden": "true" }, el("td", { colspan: String(COLUMNS.length) }));
  const below = el("tr.pad", { "aria-hidden": "true" }, el("td", { colspan: String(COLUMNS.length) }));
  const heads = COLUMNS.map(([name, head, , side]) => el("th", { scope: "col", class: side, "aria-sort": "none" }, el("button.sort", { type: "button", onclick: () => sort(name) }, head)));
  const shown = el("table.grid-table", { "aria-rowcount": "0" }, el("caption.hidden", {}, "Round trips"), el("thead", {}, el("tr", {}, heads)), body);
  const frame = el("div.scroll.window", { tabindex: "0", role: "group", "aria-label": "Round trips" }, shown);
  const save = el("button", { type: "button", onclick: download }, "Save as CSV");
  const nothing = el("p.empty", { hidden: true });
  const root = el("div.trades", {}, el("div.heading", {}, count, el("div.controls", {}, controls, save)), frame, nothing);
  frame.addEventListener("scroll", () => requestAnimationFrame(paint), { passive: true });
  body.append(above, below);

  function take(page) {
    const { columns } = page;
    const names = Object.keys(columns);
    const read = names.map((name) => (columns[name]?.names ? (at) => columns[name].names[columns[name].at[at]] : (at) => columns[name][at]));
    for (let at = 0; at < page.rows; at++) {
      const row = {};
      for (let place = 0; place < names.length; place++) row[names[place]] = read[place](at);
      rows.push(row);
    }
    total = page.total;
  }

  async function begin() {
    try {
      take(await get(`${path}/trades`, { offset: 0, limit: FIRST }));
    } catch (error) {
      problem = error.message;
    }
  }

  function absent() {
    problem = "The file of its round trips is missing.";
  }

  async function rest() {
    while (!problem && rows.length < total) {
      try {
        take(await get(`${path}/trades`, { offset: rows.length, limit: PAGE }));
      } catch (error) {
        problem = error.message;
      }
      if (!root.isConnected) return;
      update();
    }
  }

  function update() {
    const options = (name) => [...new Set(rows.map((row) => row[name]))].sort();
    const sets = Object.fromEntries(["strategy", "instrument_id", "side", "exit_role"].map((name) => [name, options(name)]));
    fill(controls, sets, () => [
      Object.entries(sets).map(([name, values]) => values.length > 1 && select(WORDS[name], [["", `every ${WORDS[name].toLowerCase()}`], ...values.map((one) => [one, one])], filters[name], (value) => { filters[name] = value; sift(); })),
      choice("Outcome", [["", "All"], ["won", "Won"], ["lost", "Lost"]], filters.outcome, (value) => { filters.outcome = value; sift(); }),
    ]);
    sift();
  }

  function sift() {
    const wanted = Object.entries(filters).filter(([name, value]) => value && name !== "outcome");
    seen = rows.filter((row) => wanted.every(([name, value]) => row[name] === value) && (!filters.outcome || (row.net_pnl > 0) === (filters.outcome === "won")));
    const { column, sign } = order;
    seen.sort((a, b) => (a[column] < b[column] ? -sign : a[column] > b[column] ? sign : 0));
    const net = seen.reduce((sum, row) => sum + row.net_pnl, 0);
    say(count, problem ? "" : `${money(seen.length, 0)} of ${money(total, 0)} round trips${rows.length < total ? `, ${money(rows.length, 0)} loaded` : ""}${seen.length ? `, net ${gain(net)}` : ""}`);
    shown.setAttribute("aria-rowcount", String(seen.length + 1));
    frame.hidden = seen.length === 0;
    nothing.hidden = seen.length > 0;
    save.disabled = seen.length === 0;
    say(nothing, problem || (total ? "No round trip is like that." : "No round trip ended in this run."), problem ? "problem" : "empty");
    heads.forEach((head, at) => head.setAttribute("aria-sort", COLUMNS[at][0] !== column ? "none" : sign > 0 ? "ascending" : "descending"));
    frame.scrollTop = 0;
    paint();
  }

  function sort(name) {
    order.sign = order.column === name ? -order.sign : 1;
    order.column = name;
    sift();
  }

  function paint() {
    const first = Math.max(0, Math.floor(frame.scrollTop / ROW_PX) - SPARE);
    const last = Math.min(seen.length, first + Math.ceil(WINDOW_PX / ROW_PX) + 2 * SPARE);
    above.style.height = `${first * ROW_PX}px`;
    below.style.height = `${(seen.length - last) * ROW_PX}px`;
    above.hidden = first === 0;
    below.hidden = last === seen.length;
    body.replaceChildren(above, ...seen.slice(first, last).map((row, at) => line(row, first + at)), below);
  }

  function line(row, at) {
    return el("tr", { "aria-rowindex": String(at + 2) }, COLUMNS.map(([name, , show, side]) =>
      el("td", { class: [side, name === "net_pnl" && tone(row.net_pnl)].filter(Boolean).join(" ") || null, title: name === "exit_ts" ? `opened ${instant(row.entry_ts)} UTC` : null }, show(row))));
  }

  function download() {
    const names = Object.keys(rows[0] ?? {});
    // Nanoseconds are more than a number here holds: times go out as a spreadsheet reads them.
    const names_ = names.map((name) => name.replace(/_ts$/, "_time"));
    const cell = (name, value) => (name.endsWith("_ts") ? new Date(value / 1e6).toISOString() : typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : value ?? "");
    const text = [names_.join(","), ...seen.map((row) => names.map((name) => cell(name, row[name])).join(","))].join("\n");
    const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    const way = el("a", { href: url, download: `${key}-trades.csv` });
    way.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  return { root, begin, absent, shown: () => { update(); rest(); } };
}

const WORDS = { strategy: "Strategy", instrument_id: "Instrument", side: "Side", exit_role: "Way of closing" };
