// One instrument: candles, what was traded, and behind them what a strategy believed.

import { get, pages } from "./api.js";
import { at, draw, feed, style, timeAxis, valueAxis } from "./charts.js";
import { byId, choice, el, fill, say, select } from "./dom.js";
import { price, quantity } from "./format.js";
import { every, live, on } from "./live.js";
import { configs, stateName } from "./configs.js";

/* global Bands */

const FRAMES = [[60, "1 m"], [300, "5 m"], [900, "15 m"], [3600, "1 h"], [14_400, "4 h"], [86_400, "1 d"]];
const CANDLES = 240;
const UNITS = { SECOND: 1, MINUTE: 60, HOUR: 3600, DAY: 86_400 };

const chosen = { instrument: "", strategy: "", secs: 0 };
let bars = [];
let fills = [];
let regimes = [];
let chart = null;
let isAsked = false;

export function mount() {
  const host = byId("market");
  const plot = el("div.plot");
  const readout = el("p.readout");
  const controls = el("div.controls");
  const key = el("p.key");
  host.append(el("div.heading", {}, el("div", {}, el("h3.shown", { "aria-hidden": "true" }, "Market"), readout), controls), plot, key);
  chart = draw(plot, 340, {
    scales: { y: { range: (u, low, high) => reach(low, high) }, x: { range: (u, low, high) => [low, (high ?? 0) + chosen.secs * 2] } },
    axes: [timeAxis, valueAxis(price)],
    series: [{}, ...["open", "high", "low", "close"].map(() => ({ paths: () => null, points: { show: false } }))],
    hooks: {
      drawClear: [(u) => Bands.draw(u, stays())],
      draw: [(u) => Bands.clipped(u, () => { candles(u); marks(u); last(u); })],
      setCursor: [(u) => say(readout, told(u))],
    },
  }, [[], [], [], [], []]);
  const load = every(30, whole);
  const tail = every(2, newest);
  on("fill", () => tail());
  on("change", () => choose(controls, key, load));
}

function choose(controls, key, load) {
  const strategies = live.status?.strategies ?? [];
  const instruments = [...new Set(strategies.flatMap((one) => one.instruments))];
  if (!instruments.length || !configs.size) return;
  if (!instruments.includes(chosen.instrument)) chosen.instrument = instruments[0];
  const traders = strategies.filter((one) => one.instruments.includes(chosen.instrument)).map((one) => one.name);
  if (!traders.includes(chosen.strategy)) chosen.strategy = traders[0];
  const least = Math.min(...traders.map((name) => interval(configs.get(name)?.config.interval)));
  const frames = FRAMES.filter(([secs]) => secs >= least);
  if (!frames.some(([secs]) => secs === chosen.secs)) chosen.secs = (frames.find(([secs]) => secs > least) ?? frames[0] ?? [least])[0];
  const pick = (what) => (value) => { chart.isZoomed = false; chosen[what] = what === "secs" ? Number(value) : value; bars = []; load(); };
  fill(controls, [instruments, traders, frames], () => [
    select("Instrument", instruments.map((one) => [one, one]), chosen.instrument, pick("instrument")),
    select("Regime of", traders.map((one) => [one, `regime of ${one}`]), chosen.strategy, pick("strategy")),
    choice("Length of a candle", frames, chosen.secs, pick("secs")),
  ]);
  const states = configs.get(chosen.strategy)?.regime_states ?? [];
  fill(key, [chosen.strategy, states], () => [
    el("span", {}, el("b.buy", {}, "▲"), " bought"), el("span", {}, el("b.sell", {}, "▼"), " sold"),
    states.map((one) => el("span", {}, el(`i.s${one.state % 6}`, { "aria-hidden": "true" }), one.name)),
  ]);
  if (!bars.length) load();
}

function interval(text) {
  const [step, unit] = String(text ?? "1-MINUTE").split("-");
  return Number(step) * (UNITS[unit] ?? 60);
}

async function whole() {
  if (!chosen.secs) return;
  const asked = { ...chosen };
  const since = since_(CANDLES * asked.secs);
  const [rows, own, stays] = await Promise.all([
    pages("/v1/bars", { instrument_id: asked.instrument, since_ns: since, every_secs: asked.secs }, 2),
    get("/v1/fills", { instrument_id: asked.instrument, since_ns: since, limit: 500 }),
    get("/v1/regimes", { strategy: asked.strategy, since_ns: since, limit: 500 }),
  ]);
  if (asked.instrument !== chosen.instrument || asked.secs !== chosen.secs || asked.strategy !== chosen.strategy) return;
  bars = oneSeries(rows).reverse();
  fills = own.rows;
  regimes = stays.rows;
  isAsked = true;
  show();
}

async function newest() {
  if (!bars.length) return;
  const asked = { ...chosen };
  const since = (Math.floor((bars.at(-1).ts_event - 1) / 1e9 / asked.secs) * asked.secs + 1) * 1e9;
  const [page, own, stays] = await Promise.all([
    get("/v1/bars", { instrument_id: asked.instrument, since_ns: since, every_secs: asked.secs, limit: 1000 }),
    get("/v1/fills", { instrument_id: asked.instrument, since_ns: since, limit: 200 }),
    get("/v1/regimes", { strategy: asked.strategy, limit: 20 }),
  ]);
  if (asked.instrument !== chosen.instrument || asked.secs !== chosen.secs || !bars.length) return;
  const rows = oneSeries(page.rows).reverse();
  if (rows.length) bars = [...bars.filter((bar) => start(bar) < start(rows[0])), ...rows].slice(-2 * CANDLES);
  fills = unite(fills, own.rows, (row) => row.trade_id).filter((row) => row.ts_event >= bars[0].ts_event - chosen.secs * 1e9);
  regimes = unite(regimes, stays.rows, (row) => row.seq);
  show();
}

const since_ = (secs) => Math.max(0, Math.round((live.status.feeds[0]?.ts_event ?? 0) - secs * 1e9));
const start = (bar) => Math.floor((bar.ts_event - 1) / 1e9 / chosen.secs) * chosen.secs;
const unite = (held, more, key) => [...new Map([...held, ...more].map((row) => [key(row), row])).values()];

// Of an instrument with several series the one with most bars, which is the finest.
function oneSeries(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(row.bar_type, (counts.get(row.bar_type) ?? 0) + row.bars);
  const [most] = [...counts.entries()].sort((a, b) => b[1] - a[1])[0] ?? [];
  return rows.filter((row) => row.bar_type === most);
}

function show() {
  const column = (name) => bars.map((bar) => bar[name]);
  feed(chart, [bars.map(start), column("open"), column("high"), column("low"), column("close")]);
  if (chart.cursor.idx == null) say(byId("market").querySelector(".readout"), told(chart));
}

function reach(low, high) {
  if (low == null) return [0, 1];
  const room = (high - low || Math.abs(high) * 0.001) * 0.07;
  return [low - room, high + room];
}

const stays = () => {
  const secs = interval(configs.get(chosen.strategy)?.config.interval);
  return regimes.map((stay) => [stay.first_ts / 1e9 - secs, stay.last_ts / 1e9, stay.state]);
};

function candles(u) {
  const { ctx } = u;
  const [t, open, high, low, close] = u.data;
  const pixel = u.bbox.width / (u.scales.x.max - u.scales.x.min);
  const width = Math.max(1, Math.floor(0.68 * chosen.secs * pixel));
  const stem = Math.max(1, Math.round(devicePixelRatio));
  const [up, down, panel] = [style("--up"), style("--down"), style("--panel")];
  for (let i = 0; i < t.length; i++) {
    if (t[i] + chosen.secs < u.scales.x.min || t[i] > u.scales.x.max) continue;
    const x = Math.round(u.valToPos(t[i] + chosen.secs / 2, "x", true));
    const y = (value) => Math.round(u.valToPos(value, "y", true));
    const rises = close[i] >= open[i];
    const top = y(Math.max(open[i], close[i])), height = Math.max(1, y(Math.min(open[i], close[i])) - top);
    ctx.fillStyle = rises ? up : down;
    ctx.fillRect(x - Math.floor(stem / 2), y(high[i]), stem, Math.max(1, y(low[i]) - y(high[i])));
    if (width < 3) continue;
    ctx.fillRect(x - Math.floor(width / 2), top, width, height);
    if (rises && width >= 5 && height > 2 * stem) {  // hollow where it rises: colour is not all that tells
      ctx.fillStyle = panel;
      ctx.fillRect(x - Math.floor(width / 2) + stem, top + stem, width - 2 * stem, height - 2 * stem);
    }
  }
}

function marks(u) {
  const { ctx } = u;
  const size = (fills.length > 150 ? 5 : 7) * devicePixelRatio;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  for (const row of fills) {
    const secs = row.ts_event / 1e9;
    if (secs < u.scales.x.min || secs > u.scales.x.max) continue;
    const sign = row.side === "BUY" ? 1 : -1;
    const x = u.valToPos(secs, "x", true), y = u.valToPos(row.price, "y", true) + sign * size * 1.2;
    ctx.beginPath();
    ctx.moveTo(x, y - sign * size);
    ctx.lineTo(x - size * 0.8, y + sign * size * 0.6);
    ctx.lineTo(x + size * 0.8, y + sign * size * 0.6);
    ctx.closePath();
    ctx.fillStyle = style(sign > 0 ? "--buy" : "--sell");
    ctx.strokeStyle = style("--panel");
    ctx.stroke();
    ctx.fill();
  }
}

function last(u) {
  const close = u.data[4].at(-1);
  if (close == null) return;
  const { ctx, bbox } = u;
  const y = Math.round(u.valToPos(close, "y", true));
  ctx.strokeStyle = style("--muted");
  ctx.lineWidth = 1;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
}

function told(u) {
  const place = u.cursor.idx;
  const bar = bars[place ?? bars.length - 1];
  if (!bar) return isAsked ? "No bars yet" : "Asking the daemon";
  const text = `${at(start(bar))}  O ${price(bar.open)}  H ${price(bar.high)}  L ${price(bar.low)}  C ${price(bar.close)}`;
  const own = fills.filter((row) => row.ts_event / 1e9 >= start(bar) && row.ts_event / 1e9 < start(bar) + chosen.secs);
  const stay = regimes.find((one) => one.first_ts <= bar.ts_event && bar.ts_event <= one.last_ts);
  const traded = own.map((row) => `${row.side} ${quantity(row.quantity)} at ${price(row.price)}`).join(", ");
  return [text, stay && stateName(chosen.strategy, stay.state), traded].filter(Boolean).join("  ");
}

