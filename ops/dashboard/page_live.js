// What happens now: prices with what was done, the account's way, what is held, what was said, the log.

import { mountCurves } from "./account.js";
import * as activity from "./activity.js";
import { get, pages } from "./api.js";
import * as books from "./books.js";
import { colour, draw, faded, feed, timeAxis, valueAxis } from "./charts.js";
import { byId, el, fill, say, select } from "./dom.js";
import { gain, money } from "./format.js";
import { mountChecks } from "./health.js";
import { every } from "./live.js";
import * as market from "./market.js";

/* global uPlot */

const LEVELS = ["debug", "info", "warning", "error"].map((name) => [name, name === "debug" ? "every level" : `${name} and worse`]);
const LINES = 200;
const DAY_SECS = 86_400;

export function mount() {
  market.mount();
  mountChecks(byId("feed"), ["Feed", "Loop", "Orders", "Books", "Errors"]);
  mountCurves(byId("curves"));
  days(byId("days"));
  books.mount();
  activity.mount();
  log(byId("log"));
}

// A week at least, so that a single day does not fill the plot.
const week = (first, last) => [first - 0.7 * DAY_SECS, Math.max(last, first + 6 * DAY_SECS) + 0.7 * DAY_SECS];

// All strategies together, each day of market time.
function days(host) {
  const readout = el("p.readout");
  const plot = el("div.plot");
  host.append(readout, plot);
  const bars = uPlot.paths.bars({ size: [0.7, 26] });
  const side = (name) => ({ paths: bars, stroke: colour(name), fill: () => faded(name, 0.55), width: 1, points: { show: false } });
  let isAsked = false;
  const told = (u) => {
    const at = u.cursor.idx ?? u.data[0].length - 1;
    const value = u.data[1][at] ?? u.data[2][at];
    say(readout, value == null ? (isAsked ? "No day has been marked yet." : "Asking the daemon") : `${new Date(1000 * u.data[0][at]).toISOString().slice(0, 10)}  ${gain(value)}`);
  };
  const chart = draw(plot, 170, {
    // Of a single point uPlot would show a thousand days, so the days themselves say how far it goes.
    scales: { x: { range: (u) => week(u.data[0][0] ?? Date.now() / 1000, u.data[0].at(-1) ?? 0) } },
    cursor: { drag: { x: false, y: false } },
    axes: [{ ...timeAxis, incrs: [1, 2, 7, 14, 28, 91, 365].map((count) => count * DAY_SECS) }, valueAxis((value) => money(value, 0))],
    series: [{}, side("--up"), side("--down")],
    hooks: { setCursor: [told] },
  }, [[], [], []]);
  every(30, async () => {
    const sums = new Map();
    for (const row of await pages("/v1/pnl", {}, 2)) sums.set(row.day, (sums.get(row.day) ?? 0) + (row.profit ?? 0));
    const rows = [...sums.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    feed(chart, [rows.map(([day]) => Date.parse(`${day}T00:00:00Z`) / 1000), rows.map(([, sum]) => (sum >= 0 ? sum : null)), rows.map(([, sum]) => (sum < 0 ? sum : null))]);
    isAsked = true;
    told(chart);
  });
}

function log(host) {
  const wanted = { level: "info", text: "" };
  const list = el("ol.log-lines", { tabindex: "0", "aria-label": "Log, newest first" });
  const text = el("input", { type: "search", placeholder: "Filter", "aria-label": "Text in the log", oninput: (event) => { wanted.text = event.target.value; later(); } });
  host.append(el("div.heading", {}, el("h3.shown", { "aria-hidden": "true" }, "Log"),
    el("div.controls", {}, select("Level", LEVELS, wanted.level, (level) => { wanted.level = level; ask(); }), text)), list);
  const ask = every(5, async () => {
    const asked = { ...wanted };
    const { rows } = await get("/v1/logs", { limit: LINES, level: asked.level, text: asked.text });
    if (asked.level !== wanted.level || asked.text !== wanted.text) return ask();
    fill(list, rows, () => (rows.length ? rows.reverse().map(line) : el("li.empty", {}, asked.text ? "Nothing in the log has that." : "The log says nothing of this level.")));
  });
  let soon = 0;
  const later = () => { clearTimeout(soon); soon = setTimeout(ask, 250); };
}

const ASIDE = new Set(["ts", "level", "logger", "message", "exception", "color_message"]);

function line(entry) {
  const more = Object.entries(entry).filter(([key]) => !ASIDE.has(key)).map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return el(`li.${entry.level}`, {},
    el("time", {}, String(entry.ts ?? "").slice(5, 19).replace("T", " ")), el("span.level", {}, entry.level), el("span.logger", {}, String(entry.logger ?? "").replace("argonaut.", "")),
    el("span.words", {}, entry.message, more.length > 0 && el("span.muted", {}, ` ${more.join(", ")}`), entry.exception && el("pre", {}, entry.exception)));
}
