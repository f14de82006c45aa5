// One recorded backtest: figures, curves with drawdown and baselines, round trips, verdicts, regimes, and its files.

import { get } from "./api.js";
import { at, bareAxis, colour, draw, faded, timeAxis, valueAxis } from "./charts.js";
import { el, refill, say, table } from "./dom.js";
import { instant, market, money, percent, signed, signedPercent, tone } from "./format.js";
import { figure, interval, MEASURES, written } from "./measures.js";
import { named, span, stateOf } from "./result_card.js";
import { link } from "./router.js";
import { tradesTable } from "./trades_table.js";
import { meaning } from "./why.js";

const COLOURS = ["--accent", "--state2", "--state3", "--state4", "--state5", "--state0", "--state1"];
const DASH = { baseline: [6, 4] };

export async function showResult(host, key) {
  const path = `/v1/results/${encodeURIComponent(key)}`;
  const trades = tradesTable(key, path);
  const run = await get(path);
  // What is known not to be there is not asked for.
  const isThere = (name) => run.files.some((one) => one.name === name && one.state !== "missing");
  await (isThere("trades.csv") ? trades.begin() : trades.absent());
  const plots = el("div.curves-of-run", {}, el("p.empty", {}, "Asking the daemon"));
  refill(host,
    el("p.crumb", {}, el("a", { href: link("backtests") }, "Backtests")),
    el("div.heading", {}, el("h2.page-title", { tabindex: "-1" }, named(run)), stateOf(run)),
    el("p.about", {}, [run.run_id, span(run), run.instruments.map(market).join(", "), run.asked_as && `asked for as run ${run.asked_as}`].filter(Boolean).join(" · ")),
    run.state !== "whole" && el("p.problem", { role: "alert" }, `This run is ${run.state}: ${run.problem}. What can be read is shown; run the backtest again to have it whole.`),
    el("div.grid", {},
      section("Figures", "full", figures(run.all_metrics)),
      section("Equity, drawdown and exposure", "full", plots),
      section("Round trips", "full", trades.root),
      section("What the guardrails said", "half", verdicts(run)),
      section("Regimes", "half", regimes(run.all_metrics)),
      section("Files", "half", files(run)),
      section("Configuration", "half", run.config ? el("pre.log", { tabindex: "0", "aria-label": "Configuration" }, run.config) : el("p.empty", {}, "It cannot be read."))),
  );
  trades.shown();
  if (run.all_metrics && isThere("equity.parquet")) curvesIn(plots, path);
  else refill(plots, el("p.problem", {}, "They cannot be read."));
}

async function curvesIn(host, path) {
  try {
    const curves = await get(`${path}/curves`);
    refill(host);
    lines(host, curves);
  } catch (error) {
    refill(host, el("p.problem", {}, error.message));
  }
}

const section = (name, width, ...content) => el(`section.${width}`, { "aria-label": name }, el("h3", {}, name), content);

function figures(metrics) {
  if (!metrics) return el("p.empty", {}, "They cannot be read.");
  const keys = Object.keys(MEASURES).filter((key) => figure(metrics, key).value != null);
  const level = metrics.method?.intervals?.level;
  return [
    el("dl.figures.many", {}, keys.map((key) => el("div", {}, el("dt", {}, MEASURES[key][0]),
      el("dd", { class: key === "total_return_frac" ? tone(100 * figure(metrics, key).value) : null }, written(key, figure(metrics, key).value)),
      el("dd.sub", {}, interval(key, figure(metrics, key)))))),
    level && el("p.hint", {}, `Below a figure is its ${percent(level, 0)} confidence interval (${metrics.method.intervals.method}).`),
  ];
}

// Lines over one time axis: returns, below them drawdowns, below them exposure.
function lines(host, curves) {
  const readout = el("p.readout");
  const key = el("p.key", {}, curves.lines.map((line, place) => el("span", {}, el("i", { style: { background: `var(${tint(place)})` }, "aria-hidden": "true" }), `${line.name}${line.kind === "baseline" ? " (baseline)" : ""}`)));
  const plots = ["equity", "drawdown", "exposure"].map(() => el("div.plot"));
  host.append(el("div.heading", {}, readout), ...plots, key);
  const sync = { key: `result ${Math.random()}`, setSeries: false };
  const stroke = (line, place, more = {}) => ({ stroke: colour(tint(place)), width: place ? 1.3 : 2, dash: DASH[line.kind], points: { show: false }, ...more });
  const tell = (u) => {
    const place = u.cursor.idx ?? curves.t.length - 1;
    if (!curves.t.length) return say(readout, "No marks");
    say(readout, [at(curves.t[place]), ...curves.lines.map((line) => `${line.name} ${signedPercent(line.returns[place])}`), `drawdown ${percent(curves.lines[0].drawdown[place], 2)}`].join("   "));
  };
  const chart = draw(plots[0], 280, {
    cursor: { sync }, axes: [bareAxis, valueAxis((value) => signedPercent(value, 1))],
    series: [{}, ...curves.lines.map((line, place) => stroke(line, place))], hooks: { setCursor: [tell] },
  }, [curves.t, ...curves.lines.map((line) => line.returns)]);
  draw(plots[1], 110, {
    cursor: { sync }, scales: { y: { range: (u, low) => [Math.min(low ?? 0, -0.001) * 1.08, 0] } },
    axes: [bareAxis, valueAxis((value) => percent(value, 1), { space: 26 })],
    series: [{}, { stroke: colour("--down"), width: 1.3, fill: () => faded("--down", 0.16), points: { show: false } }],
  }, [curves.t, curves.lines[0].drawdown.map((value) => -value)]);
  draw(plots[2], 110, {
    cursor: { sync }, scales: { y: { range: (u, low, high) => [0, Math.max(high ?? 0, 0.01) * 1.08] } },
    axes: [timeAxis, valueAxis((value) => percent(value, 0), { space: 26 })],
    series: [{}, { stroke: colour("--state4"), width: 1.2, fill: () => faded("--state4", 0.14), points: { show: false } }],
  }, [curves.t, curves.exposure]);
  tell(chart);
}

export const tint = (place) => COLOURS[place % COLOURS.length];

function verdicts(run) {
  const halts = run.halts ?? [];
  const shown = table("Verdicts", [
    { head: "Strategy", left: true, scope: "row", cell: (row) => row.strategy },
    { head: "Verdict", left: true, cell: (row) => ({ text: { approved: "✓ approved", cut: "◐ cut", refused: "✕ refused" }[row.outcome], class: row.outcome === "approved" ? "done" : row.outcome }) },
    { head: "Because", left: true, class: "words", cell: (row) => ({ text: meaning(row.reason), title: row.reason }) },
    { head: "Times", cell: (row) => money(row.count, 0) },
  ], { key: (row) => `${row.strategy} ${row.reason} ${row.outcome}`, empty: run.verdicts ? "Nothing was asked for." : "They cannot be read." });
  shown.update(run.verdicts ?? []);
  return [shown.root, halts.length > 0 && el("details", {}, el("summary", {}, `${halts.length} times something held a strategy back`),
    el("ul.plain", {}, halts.map((one) => el("li", {}, `${instant(one.ts_event)} ${one.strategy}: ${one.state.toLowerCase()}, ${meaning(one.reason)}${one.detail ? ` (${one.detail})` : ""}`))))];
}

function regimes(metrics) {
  const rows = Object.entries(metrics?.strategies ?? {}).flatMap(([strategy, book]) => (book?.regimes?.states ?? []).map((one, state) => ({ strategy, state: one.state ?? state, ...one })));
  const shown = table("Regimes", [
    { head: "Strategy", left: true, scope: "row", cell: (row) => row.strategy },
    { head: "State", cell: (row) => String(row.state) },
    { head: "Bars", cell: (row) => money(row.bars, 0) },
    { head: "Average stay", cell: (row) => `${money(row.average_stay_bars, 1)} bars` },
    { head: "Sure", cell: (row) => percent(row.mean_probability, 0) },
    { head: "Profit", cell: (row) => ({ text: signed(row.pnl_quote), class: tone(row.pnl_quote) }) },
  ], { key: (row) => `${row.strategy} ${row.state}`, empty: "No strategy had a regime model." });
  shown.update(rows);
  return shown.root;
}

function files(run) {
  const shown = table("Files", [
    { head: "File", left: true, scope: "row", cell: (row) => row.name },
    { head: "Bytes", cell: (row) => money(row.size_bytes, 0) },
    { head: "", about: "State", left: true, cell: (row) => ({ text: row.state === "whole" ? "✓ as it was written" : `✕ ${row.state}`, class: row.state === "whole" ? "done" : "refused" }) },
  ], { key: (row) => row.name, empty: "There is no file." });
  shown.update(run.files);
  const pins = Object.entries(run.pins ?? {}).filter(([, value]) => typeof value === "string" || typeof value === "number");
  return [el("div.scroll.tall", { tabindex: "0", role: "group", "aria-label": "Files of the run" }, shown.root), el("dl.pairs.facts", {}, pins.map(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, String(value).slice(0, 20))]))];
}
