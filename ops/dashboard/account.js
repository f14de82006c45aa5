// The account: what it is worth, what it has earned, and the way there.

import { pages } from "./api.js";
import { at, bareAxis, colour, draw, faded, feed, timeAxis, valueAxis } from "./charts.js";
import { choice, el, say, title } from "./dom.js";
import { gain, money, percent, signedPercent, tone } from "./format.js";
import { every, live, on } from "./live.js";

const RANGES = [["3600", "1 h"], ["21600", "6 h"], ["86400", "1 d"], ["604800", "1 w"], ["0", "All"]];
const POINTS = 400;
const DAY_SECS = 86_400;

const tiles = {};
let newest = [];
export const curveOf = (strategy) => newest.filter((row) => row.strategy === strategy).map((row) => row.equity);

export function mountTiles(host) {
  const tile = (name, label, big) => {
    tiles[name] = { value: el("div.value"), note: el("div.note") };
    return el(big ? "div.tile.big" : "div.tile", {}, el("div.label", {}, label), tiles[name].value, tiles[name].note);
  };
  host.append(
    el("div.tiles", {}, tile("equity", "Equity", true), tile("day", "Profit today"), tile("total", "Profit in all"),
      tile("drawdown", "Drawdown"), tile("exposure", "Exposure")),
  );
  on("change", figures);
}

// Equity over drawdown, for a stretch of time that is chosen above them.
export function mountCurves(host) {
  const curves = { rows: [], range: DAY_SECS, everySecs: 60 };
  const readout = el("p.readout", { "aria-live": "off" });
  const equity = el("div.plot");
  const drawdown = el("div.plot");
  host.append(
    el("div.heading", {}, readout, choice("Stretch of time", RANGES, String(curves.range), (secs) => { curves.range = Number(secs); reload(); })),
    equity, drawdown,
  );
  const charts = plot(equity, drawdown, readout, host.id);
  const reload = every(20, async () => {
    await load(curves);
    show(charts, curves);
  });
  on("change", () => { extend(curves); show(charts, curves); });
}

function plot(equityHost, drawdownHost, readout, key) {
  const sync = { key, setSeries: false };
  const say_ = (u) => {
    const place = u.cursor.idx;
    if (place == null || u.data[0][place] == null) return say(readout, "Equity and drawdown");
    const [times, values] = u.data;
    const text = `${at(times[place])} UTC  ${money(values[place])} ${live.status?.currency ?? ""}`;
    say(readout, `${text}  drawdown ${percent(-charts.drawdown.data[1][place], 2)}`);
  };
  const charts = {
    equity: draw(equityHost, 190, {
      cursor: { sync },
      scales: { y: { range: (u, low, high) => padded(low, high) } },
      axes: [bareAxis, valueAxis((value) => money(value, 0))],
      series: [{}, { stroke: colour("--accent"), width: 2, fill: () => faded("--accent", 0.1), points: { show: false } }],
      hooks: { setCursor: [say_] },
    }, [[], []]),
    drawdown: draw(drawdownHost, 92, {
      cursor: { sync },
      scales: { y: { range: (u, low) => [Math.min(low ?? 0, -0.0005) * 1.15, 0] } },
      axes: [timeAxis, valueAxis((value) => percent(value, Math.abs(value) < 0.0999 ? 2 : 0), { space: 26 })],
      series: [{}, { stroke: colour("--down"), width: 1.3, fill: () => faded("--down", 0.16), points: { show: false } }],
    }, [[], []]),
  };
  say(readout, "Equity and drawdown");
  return charts;
}

const padded = (low, high) => {
  if (low == null) return [0, 1];
  const room = Math.max((high - low) * 0.08, Math.abs(high) * 1e-5);
  return [low - room, high + room];
};

async function load(curves) {
  const now = live.status?.feeds[0]?.ts_event;
  if (!now) return;
  let since = now - curves.range * 1e9;
  if (!curves.range) since = (await firstDay()) ?? now - DAY_SECS * 1e9;
  const span = (now - since) / 1e9;
  curves.everySecs = Math.max(1, Math.ceil(span / POINTS));
  const asked = { since_ns: Math.max(0, Math.round(since)), every_secs: curves.everySecs };
  curves.rows = (await pages("/v1/equity", asked)).reverse();
  newest = curves.rows;
}

async function firstDay() {
  const rows = await pages("/v1/pnl", {}, 2);
  const first = rows.map((row) => row.day).sort()[0];
  return first ? Date.parse(`${first}T00:00:00Z`) * 1e6 : null;
}

// The newest point is what the stream says, so that the line ends where the figures are.
function extend(curves) {
  for (const one of live.status?.strategies ?? []) {
    if (!one.ts_event) continue;
    const own = curves.rows.findLast((row) => row.strategy === one.name);
    if (!own || one.ts_event > own.ts_event) {
      const isSame = own?.isLive && Math.floor((one.ts_event - 1) / 1e9 / curves.everySecs) === Math.floor((own.ts_event - 1) / 1e9 / curves.everySecs);
      if (isSame) Object.assign(own, { ts_event: one.ts_event, equity: one.equity });
      else curves.rows.push({ strategy: one.name, ts_event: one.ts_event, equity: one.equity, isLive: true });
    }
  }
  if (curves.range) {
    const first = (live.status?.feeds[0]?.ts_event ?? 0) - curves.range * 1e9;
    curves.rows = curves.rows.filter((row) => row.ts_event >= first);
  }
  newest = curves.rows;
}

// All strategies together: each counts with its newest mark.
export function joined(rows, names) {
  const newest = new Map();
  const times = [];
  const sums = [];
  for (const row of [...rows].sort((a, b) => a.ts_event - b.ts_event)) {
    newest.set(row.strategy, row.equity);
    if (!names.every((name) => newest.has(name))) continue;
    const secs = row.ts_event / 1e9;
    const sum = names.reduce((total, name) => total + newest.get(name), 0);
    if (times.at(-1) === secs) sums[sums.length - 1] = sum;
    else { times.push(secs); sums.push(sum); }
  }
  return [times, sums];
}

// Below the highest so far; what was the peak before the first mark shows in the newest drawdown.
export function drawdowns(sums, newest) {
  let peak = Math.max(sums[0] ?? 0, newest > 0 && sums.length ? sums.at(-1) / (1 - newest) : 0);
  if (sums.some((sum) => sum > peak * (1 - 1e-9))) peak = sums[0] ?? 0;
  return sums.map((sum) => {
    peak = Math.max(peak, sum);
    return peak > 0 ? -(1 - sum / peak) : 0;
  });
}

function show(charts, curves) {
  const status = live.status;
  if (!status) return;
  const [times, sums] = joined(curves.rows, status.strategies.map((one) => one.name));
  feed(charts.equity, [times, sums]);
  feed(charts.drawdown, [times, drawdowns(sums, status.account.drawdown_frac)]);
}

function figures() {
  const status = live.status;
  if (!status) return;
  const { account, equity, currency } = status;
  const dayStart = equity - account.day_profit;
  say(tiles.equity.value, money(equity), "value");
  say(tiles.equity.note, currency);
  say(tiles.day.value, gain(account.day_profit), `value ${tone(account.day_profit)}`);
  say(tiles.day.note, `${signedPercent(account.day_profit / dayStart)} of ${money(dayStart, 0)}`);
  say(tiles.total.value, gain(account.profit), `value ${tone(account.profit)}`);
  say(tiles.total.note, `${signedPercent(account.profit / account.capital)} of ${money(account.capital, 0)}`);
  say(tiles.drawdown.value, percent(account.drawdown_frac, 2), "value");
  say(tiles.drawdown.note, `${money(equity / (1 - account.drawdown_frac) - equity)} below the peak`);
  say(tiles.exposure.value, percent(account.gross_exposure / equity, 1), "value");
  say(tiles.exposure.note, `${money(account.gross_exposure, 0)} gross`);
  title(tiles.exposure.note, `${money(account.net_exposure, 0)} net`);
  title(tiles.day.note, "Since the trading day began, in market time");
}

