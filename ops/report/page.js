"use strict";
// Puts charts, controls and table on the page and redraws them when the theme changes.
(() => {
  const { report, create } = Trades;
  const root = document.documentElement;
  const at = (id) => document.getElementById(id);
  const times = [report.equity.t, ...report.markets.map((m) => m.t)].filter((t) => t.length);
  const first = Math.min(...times.map((t) => t[0])), last = Math.max(...times.map((t) => t.at(-1)));
  const extent = [first, Math.max(last, first + 60)];
  const state = { market: 0, book: 0, log: false };
  let daily = null;

  const remembered = (() => { try { return localStorage.getItem("argonaut-theme"); } catch { return null; } })();
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  root.dataset.theme = remembered ?? preferred;

  function draw(asked) {
    Charts.clear(extent, asked);
    daily?.destroy();
    Charts.equity(at("equity-chart"), report.equity, state.log);
    drawMarket();
    daily = Charts.days(at("days-chart"), report.days);
  }

  function drawMarket() {
    const market = report.markets[state.market];
    if (!market) return;
    const book = report.books[state.book] ?? { strategy: "", regimes: [], instruments: {} };
    const live = Market.legend(at("market-legend"), book, report.candleSeconds);
    Market.draw(at("market-chart"), live, report, market, book, extent);
  }

  function show(trade) {
    state.market = report.markets.findIndex((m) => m.instrument === trade.instrument);
    state.book = report.books.findIndex((b) => b.strategy === trade.strategy);
    controls();
    const margin = Math.max(trade.exit - trade.entry, 40 * report.candleSeconds);
    draw([Math.max(extent[0], trade.entry - margin), Math.min(extent[1], trade.exit + margin)]);
    at("market").scrollIntoView();
    at("market-chart").focus({ preventScroll: true });
  }

  function spans() {
    const length = extent[1] - extent[0];
    const choices = [["1 day", 86400], ["1 week", 7 * 86400], ["1 month", 30 * 86400], ["3 months", 91 * 86400], ["1 year", 365 * 86400]];
    return [["All", length], ...choices.filter(([, seconds]) => seconds < length).reverse()].map(([label, seconds]) =>
      create("button", { type: "button", textContent: label, title: label === "All" ? "Whole run" : `Last ${label}`, onclick: () => Charts.zoom(extent[1] - seconds, extent[1]) }));
  }

  function controls() {
    const scale = create("button", { type: "button", textContent: "log", ariaPressed: String(state.log), title: "Logarithmic scale",
      onclick: () => { state.log = !state.log; controls(); draw(); at("equity-controls").querySelector("[aria-pressed]").focus(); } });
    at("equity-controls").replaceChildren(...spans(), scale);
    const pick = (label, names, key) => create("select", { ariaLabel: label, onchange: (event) => { state[key] = event.target.selectedIndex; draw(); } },
      ...names.map((name, i) => create("option", { textContent: name, selected: i === state[key] })));
    const picks = [pick("Instrument", report.markets.map((m) => m.instrument), "market")];
    if (report.books.length > 1) picks.push(pick("Strategy", report.books.map((b) => b.strategy), "book"));
    at("market-controls").replaceChildren(...picks, ...spans());
  }

  function weights() {
    const space = "http://www.w3.org/2000/svg";
    const cards = report.books.flatMap((book) => Object.entries(book.instruments).filter(([, own]) => own.weights).map(([instrument, own]) => {
      const { counts, edges, held } = own.weights;
      const most = Math.max(...counts, 1), svg = document.createElementNS(space, "svg");
      svg.setAttribute("viewBox", `0 0 ${counts.length} 40`);
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", `Histogram of weights asked for in ${instrument}`);
      counts.forEach((count, i) => {
        // The root keeps rare weights visible beside a common nought.
        const height = 40 * Math.sqrt(count / most), bar = document.createElementNS(space, "rect");
        for (const [key, value] of Object.entries({ x: i + 0.08, y: 40 - height, width: 0.84, height })) bar.setAttribute(key, value);
        bar.append(Object.assign(document.createElementNS(space, "title"), { textContent: `${Charts.percent(edges[i], 1)} to ${Charts.percent(edges[i + 1], 1)}: ${count}` }));
        svg.append(bar);
      });
      const axis = create("div", { className: "axis" }, create("span", { textContent: Charts.percent(edges[0], 0) }),
        create("span", { textContent: `${Charts.grouped(held, 0)} times left alone` }), create("span", { textContent: Charts.percent(edges.at(-1), 0) }));
      return create("div", { className: "histogram" }, create("strong", { textContent: instrument }), ` ${book.strategy}`, svg, axis);
    }));
    at("weights").replaceChildren(...(cards.length ? cards : [create("p", { className: "note", textContent: "No weight was asked for." })]));
  }

  at("theme").onclick = () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("argonaut-theme", root.dataset.theme); } catch { /* a file opened from disk may have no storage */ }
    draw();
  };
  addEventListener("resize", () => { Charts.resize(); daily?.setSize({ width: at("days-chart").clientWidth, height: 160 }); });
  for (const [id, name] of [["equity-chart", "Equity, drawdown and exposure over time"], ["market-chart", "Price, actions, regimes and position over time"]]) {
    at(id).setAttribute("aria-label", `${name}; arrows move, plus and minus zoom, nought resets`);
    Charts.keys(at(id));
  }
  controls();
  draw();
  weights();
  Trades.controls(show);
  Trades.render(show);
})();
