"use strict";
// The table of round trips: filter, sort, page; a row's button shows the trade in the market chart.
const Trades = (() => {
  const PAGE = 50;
  const { grouped, significant, instant } = Charts;
  const report = JSON.parse(document.getElementById("data").textContent);
  const { names, rows, total } = report.trades;
  const all = rows.map((row, at) => ({
    at, strategy: names.strategy[row[0]], instrument: names.instrument_id[row[1]], side: row[2] > 0 ? "long" : "short",
    entry: row[3], exit: row[4], quantity: row[5], entryPrice: row[6], exitPrice: row[7], gross: row[8], fees: row[9],
    net: row[10], bps: row[11], hold: row[12], role: names.exit_role[row[13]].toLowerCase(),
  }));
  const view = { sort: "exit", down: true, page: 0, text: "", outcome: "", side: "", instrument: "" };

  const held = (seconds) => {
    const parts = [];
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
      const count = Math.floor(seconds / length);
      seconds -= count * length;
      if (count) parts.push(`${count}${unit}`);
    }
    return parts.slice(0, 2).join(" ") || "0s";
  };
  const signed = (value, digits = 2) => (value > 0 ? "+" : "") + grouped(value, digits).replace("-", "−");
  const COLUMNS = [
    ["entry", "Entry, UTC", (t) => instant(t.entry)], ["exit", "Exit, UTC", (t) => instant(t.exit)],
    ...(names.strategy.length > 1 ? [["strategy", "Strategy", (t) => t.strategy]] : []),
    ["instrument", "Instrument", (t) => t.instrument], ["side", "Side", (t) => t.side],
    ["quantity", "Quantity", (t) => significant(t.quantity)], ["entryPrice", "In", (t) => significant(t.entryPrice)],
    ["exitPrice", "Out", (t) => significant(t.exitPrice)], ["hold", "Held", (t) => held(t.hold)],
    ["role", "Closed by", (t) => t.role], ["gross", "Gross", (t) => signed(t.gross)], ["fees", "Costs", (t) => grouped(t.fees)],
    ["net", "Net", (t) => signed(t.net)], ["bps", "Net, bps", (t) => signed(t.bps, 1)],
  ];

  const create = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  const of = (strategy, instrument) => all.filter((t) => t.strategy === strategy && t.instrument === instrument);

  function chosen() {
    const text = view.text.toLowerCase();
    const kept = all.filter((t) =>
      (!view.outcome || (view.outcome === "won") === t.net > 0) && (!view.side || t.side === view.side) &&
      (!view.instrument || t.instrument === view.instrument) &&
      (!text || COLUMNS.some(([, , shown]) => shown(t).toLowerCase().includes(text))));
    const order = view.down ? -1 : 1;
    return kept.sort((a, b) => (a[view.sort] < b[view.sort] ? -order : a[view.sort] > b[view.sort] ? order : a.at - b.at));
  }

  function render(show) {
    const kept = chosen();
    const pages = Math.max(1, Math.ceil(kept.length / PAGE));
    view.page = Math.max(0, Math.min(view.page, pages - 1));
    const head = create("tr", {}, ...COLUMNS.map(([key, label]) => {
      const mark = view.sort === key ? (view.down ? " ▾" : " ▴") : "";
      const button = create("button", { type: "button", textContent: label + mark, onclick: () => sortBy(key, show) });
      button.dataset.key = key;
      const cell = create("th", { scope: "col" }, button);
      cell.ariaSort = view.sort === key ? (view.down ? "descending" : "ascending") : "none";
      return cell;
    }));
    const body = kept.slice(view.page * PAGE, (view.page + 1) * PAGE).map((trade) =>
      create("tr", {}, ...COLUMNS.map(([key, , shown], at) => {
        if (at === 0) {
          const button = create("button", { type: "button", className: "link", textContent: shown(trade), title: "Show in the chart", onclick: () => show(trade) });
          return create("th", { scope: "row" }, button);
        }
        const tone = ["gross", "net", "bps"].includes(key) ? (trade[key] > 0 ? "up" : trade[key] < 0 ? "down" : "") : "";
        return create("td", { className: tone, textContent: shown(trade) });
      })));
    const table = create("table", {}, create("thead", {}, head), create("tbody", {}, ...body));
    document.getElementById("trades-table").replaceChildren(table);
    pager(kept, pages, show);
  }

  function sortBy(key, show) {
    view.down = view.sort === key ? !view.down : true;
    view.sort = key;
    view.page = 0;
    render(show);
    document.querySelector(`#trades-table button[data-key="${key}"]`).focus();
  }

  function pager(kept, pages, show) {
    const turn = (label, to, name) => create("button", {
      type: "button", textContent: label, disabled: to < 0 || to >= pages, ariaLabel: name,
      onclick: () => { view.page = to; render(show); document.querySelector(`#trades-pager [aria-label="${name}"]`).focus(); },
    });
    const sum = kept.reduce((net, t) => net + t.net, 0), wins = kept.filter((t) => t.net > 0).length;
    const told = kept.length
      ? `${grouped(kept.length, 0)} round trips, ${((100 * wins) / kept.length).toFixed(1)} % won, net ${signed(sum)} ${report.currency}`
      : "No round trip matches";
    const cut = total > all.length ? `The ${grouped(all.length, 0)} largest of ${grouped(total, 0)} by net result; all are in trades.csv.` : "";
    document.getElementById("trades-pager").replaceChildren(
      turn("«", 0, "First page"), turn("‹", view.page - 1, "Previous page"),
      create("span", { textContent: `page ${view.page + 1} of ${pages}` }),
      turn("›", view.page + 1, "Next page"), turn("»", pages - 1, "Last page"),
      create("span", { textContent: told, role: "status" }), create("span", { textContent: cut }));
  }

  function controls(show) {
    const again = (change) => (event) => { change(event.target.value); view.page = 0; render(show); };
    const pick = (label, values, change) => create("select", { ariaLabel: label, onchange: again(change) },
      ...[["", label], ...values].map(([value, text]) => create("option", { value, textContent: text })));
    document.getElementById("trades-controls").replaceChildren(
      create("input", { type: "search", placeholder: "Filter, e.g. stop or 2023-03", ariaLabel: "Filter trades by text", oninput: again((v) => { view.text = v; }) }),
      pick("All outcomes", [["won", "Won"], ["lost", "Lost"]], (v) => { view.outcome = v; }),
      pick("Both sides", [["long", "Long"], ["short", "Short"]], (v) => { view.side = v; }),
      pick("All instruments", names.instrument_id.map((name) => [name, name]), (v) => { view.instrument = v; }));
  }

  return { report, of, render, controls, create };
})();
