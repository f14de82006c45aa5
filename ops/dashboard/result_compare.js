// Two recorded backtests: their returns over each other, and how their figures differ.

import { get } from "./api.js";
import { at, bareAxis, colour, draw, timeAxis, valueAxis } from "./charts.js";
import { el, refill, say, table } from "./dom.js";
import { percent, signedPercent } from "./format.js";
import { figure, interval, MEASURES, written } from "./measures.js";
import { named, span, stateOf } from "./result_card.js";
import { tint } from "./result_view.js";
import { link } from "./router.js";

/* global uPlot */

export async function compare(host, first, second) {
  const keys = [first, second];
  const runs = await Promise.all(keys.map((key) => get(`/v1/results/${encodeURIComponent(key)}`)));
  const curves = await Promise.all(runs.map((run) => (run.state === "whole"
    ? get(`/v1/results/${encodeURIComponent(run.key)}/curves`).catch((error) => error) : new Error(`${run.run_id} is ${run.state}: its curves are not drawn.`))));
  const readable = curves.filter((one) => !(one instanceof Error));
  const plots = el("div");
  refill(host,
    el("p.crumb", {}, el("a", { href: link("backtests") }, "Backtests")),
    el("div.heading", {}, el("h2.page-title", { tabindex: "-1" }, named(runs[0]) === named(runs[1]) ? `${runs[0].run_id} and ${runs[1].run_id}` : `${named(runs[0])} and ${named(runs[1])}`), el("a", { href: link("backtests", "compare", second, first) }, "Swap A and B")),
    el("ul.pair", {}, runs.map((run, place) => el("li", {}, el("i", { style: { background: `var(${tint(place)})` }, "aria-hidden": "true" }), el("strong", {}, "AB"[place], " "),
      el("a", { href: link("backtests", run.key) }, run.run_id), el("span.muted", {}, ` ${span(run)}`), " ", stateOf(run)))),
    el("div.grid", {},
      el("section.full", { "aria-label": "Returns and drawdowns" }, el("h3", {}, "Returns and drawdowns"),
        curves.filter((one) => one instanceof Error).map((one) => el("p.problem", {}, one.message)), plots),
      el("section.full", { "aria-label": "Figures" }, el("h3", {}, "Figures"), differences(runs))),
  );
  if (readable.length === 2) overlay(plots, curves);
}

function overlay(host, curves) {
  const readout = el("p.readout");
  const plots = [el("div.plot"), el("div.plot")];
  host.append(readout, ...plots);
  const sync = { key: `compare ${Math.random()}`, setSeries: false };
  const joined = (of) => uPlot.join(curves.map((one) => [one.t, one.lines[0][of]]));
  const series = [{}, ...curves.map((_, place) => ({ stroke: colour(tint(place)), width: 1.8, dash: place ? [8, 3] : undefined, spanGaps: true, points: { show: false } }))];
  const returns = joined("returns");
  const tell = (u) => {
    const place = u.cursor.idx ?? returns[0].length - 1;
    say(readout, [at(returns[0][place]), ...curves.map((_, which) => `${"AB"[which]} ${signedPercent(before(returns[which + 1], place))}`)].join("   "));
  };
  const chart = draw(plots[0], 300, { cursor: { sync }, axes: [bareAxis, valueAxis((value) => signedPercent(value, 1))], series, hooks: { setCursor: [tell] } }, returns);
  draw(plots[1], 130, {
    cursor: { sync }, axes: [timeAxis, valueAxis((value) => percent(value, 1), { space: 26 })], series,
    scales: { y: { range: (u, low) => [Math.min(low ?? 0, -0.001) * 1.08, 0] } },
  }, uPlot.join(curves.map((one) => [one.t, one.lines[0].drawdown.map((value) => -value)])));
  tell(chart);
}

// The newest known value at a time.
function before(values, place) {
  while (place > 0 && values[place] == null) place -= 1;
  return values[place];
}

function differences(runs) {
  const [first, second] = runs.map((run) => run.all_metrics ?? {});
  const keys = Object.keys(MEASURES).filter((key) => figure(first, key).value != null || figure(second, key).value != null);
  const side = (name, of) => ({ head: name, cell: (key) => ({ text: written(key, figure(of, key).value), title: interval(key, figure(of, key)) }) });
  const shown = table("Figures of both", [
    { head: "Figure", left: true, scope: "row", cell: (key) => MEASURES[key][0] },
    side("A", first), { head: "A's interval", class: "sub", cell: (key) => interval(key, figure(first, key)) || "–" },
    side("B", second), { head: "B's interval", class: "sub", cell: (key) => interval(key, figure(second, key)) || "–" },
    { head: "B less A", cell: (key) => delta(key, figure(first, key).value, figure(second, key).value) },
  ], { key: (key) => key, empty: "Neither has figures that can be read." });
  shown.update(keys);
  return shown.root;
}

function delta(key, first, second) {
  if (first == null || second == null) return "–";
  const more = second - first;
  const better = Math.sign(more) * MEASURES[key][2];
  const text = written(key, more);
  return { text: `${better > 0 ? "▲ " : better < 0 ? "▼ " : ""}${more > 0 && !text.startsWith("+") ? "+" : ""}${text}`, class: better > 0 ? "up" : better < 0 ? "down" : "", title: better > 0 ? "B is better" : better < 0 ? "A is better" : "" };
}
