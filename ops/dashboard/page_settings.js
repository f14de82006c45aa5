// How this page behaves in this browser, and what the daemon was configured to be; secrets are hidden by the daemon.

import { get } from "./api.js";
import { choice, el, fill, say } from "./dom.js";
import { paint } from "./header.js";
import { mountFacts } from "./health.js";
import { pace, wish } from "./live.js";

const PACES = [["1", "As it happens"], ["4", "Calm"], ["1e9", "Only when opened"]];
const PACE_WORDS = {
  1: "Tables and charts are asked for every few seconds.",
  4: "Tables and charts are asked for a quarter as often.",
  1e9: "Tables and charts are asked for when a page is opened. What the stream tells still comes at once.",
};

export function mount(host) {
  const theme = document.documentElement.dataset.theme ?? "";
  const about = el("section.half", { "aria-labelledby": "about-title" }, el("h3", { id: "about-title" }, "What runs"));
  const words = el("p.hint", {}, PACE_WORDS[pace.times] ?? "");
  const config = el("div");
  const filter = el("input", { type: "search", placeholder: "Filter", "aria-label": "Text in the configuration", oninput: () => show() });
  host.append(
    el("h2.page-title", { tabindex: "-1" }, "Settings"),
    el("div.grid", {},
      el("section.half", { "aria-labelledby": "browser-title" }, el("h3", { id: "browser-title" }, "This browser"),
        el("div.setting", {}, el("p.label", {}, "Colours"), choice("Colours", [["", "As the system"], ["light", "Light"], ["dark", "Dark"]], theme, paint)),
        el("div.setting", {}, el("p.label", {}, "Refresh"), choice("Refresh", PACES, String(pace.times === 1e9 ? "1e9" : pace.times), (times) => { pace.times = Number(times); say(words, PACE_WORDS[Number(times)]); }), words)),
      about,
      el("section.full", { "aria-labelledby": "config-title" },
        el("div.heading", {}, el("h3.shown", { id: "config-title" }, "Configuration in force"), filter), config)),
  );
  mountFacts(about);
  let rows = [];
  function show() {
    const text = filter.value.trim().toLowerCase();
    const found = rows.filter(([key, value]) => `${key} ${value}`.toLowerCase().includes(text));
    fill(config, found, () => (found.length
      ? el("div.scroll.tall", { tabindex: "0", role: "group", "aria-label": "Configuration" }, el("table", {}, el("caption.hidden", {}, "Configuration"),
        el("thead", {}, el("tr", {}, el("th.left", { scope: "col" }, "Setting"), el("th.left", { scope: "col" }, "Value"))),
        el("tbody", {}, found.map(([key, value]) => el("tr", {}, el("th.left", { scope: "row" }, el("code", {}, key)), el("td.left.words", {}, el("code", {}, value)))))))
      : el("p.empty", {}, rows.length ? "No setting has that." : "Not known yet.")));
  }
  wish("settings")(async () => {
    try {
      rows = flat("", await get("/v1/config"));
      show();
    } catch (error) {
      fill(config, error.message, () => el("p.problem", {}, error.message));
    }
  });
  show();
}

// A document as lines of `section.key` and its value.
export function flat(name, value) {
  const isTable = value !== null && typeof value === "object" && !Array.isArray(value);
  const isTables = Array.isArray(value) && value.some((one) => one !== null && typeof one === "object");
  if (!isTable && !isTables) return [[name, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, one]) => flat(isTables ? `${name}[${key}]` : name ? `${name}.${key}` : key, one));
}
