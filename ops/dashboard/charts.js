// What all charts share: colours of the theme, axes, sizes that follow the page. uPlot draws.

import { instant, moment } from "./format.js";

/* global uPlot */

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const colour = (name) => () => style(name);
export const faded = (name, frac) => {
  const [, red, green, blue] = style(name).match(/^#(..)(..)(..)$/) ?? [];
  return red ? `rgba(${[red, green, blue].map((part) => parseInt(part, 16)).join(",")},${frac})` : style(name);
};
export { style };

const made = new Set();
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const chart = target.chart;
    if (chart && contentRect.width > 0 && Math.round(contentRect.width) !== chart.width) {
      chart.setSize({ width: Math.round(contentRect.width), height: chart.height });
    }
  }
});

export function redraw() {
  for (const chart of made) chart.redraw(false, true);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// The day stands beside the hour, and the year beside the day, only where they change.
function dates(u, marks, axis, space, step) {
  let before = "";
  return marks.map((mark) => {
    const text = instant(mark * 1e9);
    const day = `${Number(text.slice(8, 10))} ${MONTHS[text.slice(5, 7) - 1]}`;
    const [fine, coarse] = step >= 86_400 ? [day, text.slice(0, 4)] : [text.slice(11), day];
    const told = coarse === before ? fine : `${fine}\n${coarse}`;
    before = coarse;
    return told;
  });
}

const FONT = '11px Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif';
const axis = {
  font: FONT,
  stroke: colour("--muted"),
  grid: { stroke: colour("--grid"), width: 1 },
  ticks: { show: false },
};
export const timeAxis = { ...axis, space: 70, size: 40, values: dates };
export const bareAxis = { ...axis, space: 70, size: 4, values: (u, marks) => marks.map(() => "") };
export const valueAxis = (show, more = {}) => ({ ...axis, side: 1, size: 68, gap: 6, values: (u, marks) => marks.map(show), ...more });

// Charts of what is no longer on the page.
function sweep() {
  for (const chart of made) {
    if (chart.root.isConnected) continue;
    made.delete(chart);
    chart.destroy();
  }
}

export function draw(host, height, options, data) {
  sweep();
  const chart = new uPlot({
    width: Math.max(200, host.clientWidth),
    height,
    tzDate: (secs) => uPlot.tzDate(new Date(1000 * secs), "Etc/UTC"),
    legend: { show: false },
    padding: [8, 0, 0, 8],
    ...options,
    cursor: { drag: { x: true, y: false }, points: { size: 7 }, ...options.cursor },
  }, data, host);
  host.chart = chart;
  made.add(chart);
  chart.over.addEventListener("mouseup", () => { chart.isZoomed ||= chart.select.width > 0; });
  chart.over.addEventListener("dblclick", () => { chart.isZoomed = false; });
  sizes.observe(host);
  return chart;
}

// New data; whoever looks closer at a part goes on looking at it.
export function feed(chart, data) {
  chart.setData(data, !chart.isZoomed);
  if (chart.isZoomed) chart.redraw();
}

export const at = (secs) => moment(secs * 1e9);

// A line without axes, for the corner of a card.
export function spark(host) {
  const chart = draw(host, 44, {
    cursor: { show: false },
    padding: [4, 2, 4, 2],
    scales: { x: { time: false }, y: { range: (u, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) } },
    axes: [{ show: false }, { show: false }],
    series: [{}, { stroke: colour("--accent"), width: 1.5, points: { show: false }, fill: () => faded("--accent", 0.1) }],
  }, [[], []]);
  return (values) => chart.setData([values.map((_, place) => place), values]);
}
