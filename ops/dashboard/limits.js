// How much of each limit is used; the fullest first.

import { get } from "./api.js";
import { byId, el, fill, say } from "./dom.js";
import { percent } from "./format.js";
import { every } from "./live.js";
import { configs, stateName } from "./configs.js";
import { limitName, limitValue } from "./why.js";

export function mount() {
  const host = byId("limits");
  const list = el("ul.limits");
  host.append(list);
  every(3, async () => {
    const rows = (await get("/v1/limits")).sort((a, b) => b.latched - a.latched || b.used_frac - a.used_frac);
    fill(list, [configs.size, rows.map((row) => [row.scope, row.limit])], () => (rows.length ? rows.map(line) : el("li.empty", {}, "No limit is set.")));
    rows.forEach((row, at) => update(list.children[at], row));
  });
}

function line(row) {
  const name = limitName(row, stateName);
  return el("li", {}, el("div.limit-head", {}, el("span", {}, name, " ", el("span.muted", {}, row.scope)), el("span.figure-small")),
    el("div.meter", { role: "meter", "aria-label": `${name}, ${row.scope}`, "aria-valuemin": "0", "aria-valuemax": "100" }, el("i")));
}

function update(item, row) {
  if (!row) return;
  const frac = Math.max(0, row.used_frac);
  const level = row.latched || frac >= 1 ? "full" : frac >= 0.75 ? "near" : "";
  const [head, meter] = item.children;
  const word = row.latched ? "LATCHED " : "";
  say(head.lastChild, `${word}${limitValue(row, row.used)} of ${limitValue(row, row.allowed)}, ${percent(frac, 0)}`, `figure-small ${level}`);
  meter.className = `meter ${level}`;
  meter.firstChild.style.width = `${Math.min(100, 100 * frac)}%`;
  meter.setAttribute("aria-valuenow", String(Math.round(Math.min(100, 100 * frac))));
}
