// A recorded backtest in short: what it was, its figures with their intervals, its way.

import { spark } from "./charts.js";
import { el } from "./dom.js";
import { instant, market, tone } from "./format.js";
import { figure, interval, MEASURES, written } from "./measures.js";
import { link } from "./router.js";

const SHOWN = ["total_return_frac", "sharpe", "max_drawdown_frac", "profit_factor", "trade_count", "costs.drag_frac"];
const STATES = { whole: "", partial: "◐ partial", damaged: "✕ damaged" };

export const span = (row) => (row.start_ts ? `${instant(row.start_ts).slice(0, 10)} to ${instant(row.end_ts).slice(0, 10)}` : "span not known");
export const named = (row) => (row.strategies.length ? row.strategies.join(" + ") : row.run_id);

export function stateOf(row) {
  return row.state === "whole" ? null : el("span.state.HALTED", { title: row.problem }, STATES[row.state] ?? row.state);
}

// tools: what stands beside the name, such as a box to choose the run for a comparison.
export function card(row, heading = "h3", tools = null) {
  const host = el("div.spark", { "aria-hidden": "true" });
  const made = el("article.card.run-card", { "aria-label": `Backtest ${row.run_id}`, "data-key": row.key },
    el("div.card-head", {}, el(heading, {}, el("a", { href: link("backtests", row.key) }, named(row))), stateOf(row), el("span.push"), tools),
    el("p.about", { title: row.run_id }, [row.run_id, row.kind === "walk-forward" && "fold of a walk-forward", span(row), row.instruments.map(market).join(", ")].filter(Boolean).join(" · ")),
    row.problem && el("p.why", {}, row.problem),
    el("div.card-top", {}, el("dl.figures", {}, row.metrics && SHOWN.map((key) => shown(row.metrics, key))), host));
  if (row.spark.length > 1) requestAnimationFrame(() => { if (host.isConnected) spark(host)(row.spark); });
  return made;
}

function shown(metrics, key) {
  const found = figure(metrics, key);
  const colour = key === "total_return_frac" && found.value != null ? tone(100 * found.value) : null;
  return el("div", {}, el("dt", {}, MEASURES[key][0]), el("dd", { class: colour }, written(key, found.value)), el("dd.sub", {}, interval(key, found)));
}
