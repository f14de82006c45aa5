// What has to be seen in five seconds: may it trade, why not, since when, and is any of this still true.

import { act, askForToken } from "./actions.js";
import { session } from "./api.js";
import { redraw } from "./charts.js";
import { byId, el, fill, say, title } from "./dom.js";
import { clock, duration, instant, local, moment } from "./format.js";
import { complaints } from "./health.js";
import { live, on } from "./live.js";
import { titled } from "./router.js";
import { heldBack, worded } from "./why.js";

const WORDS = {
  ACTIVE: ["●", "Trading"],
  REDUCING: ["◐", "Positions may only shrink"],
  HALTED: ["■", "Halted"],
};

export function mount() {
  byId("kill").addEventListener("click", () => act("kill"));
  byId("stop").addEventListener("click", () => act("stop"));
  byId("access").addEventListener("click", () => askForToken());
  theme();
  pulse();
  on("change", () => { verdict(); held(); tools(); });
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function theme() {
  const button = byId("theme");
  button.addEventListener("click", () => paint(isDark() ? "light" : "dark"));
  sayTheme();
}

function sayTheme() {
  const button = byId("theme");
  say(button, isDark() ? "Light" : "Dark");
  button.setAttribute("aria-label", `Show in ${isDark() ? "light" : "dark"} colours`);
}

// dark, light, or "" as the system has it.
export function paint(wanted) {
  if (wanted) document.documentElement.dataset.theme = wanted;
  else delete document.documentElement.dataset.theme;
  try {
    if (wanted) localStorage.setItem("argonaut.theme", wanted);
    else localStorage.removeItem("argonaut.theme");
  } catch { /* kept for this page only */ }
  sayTheme();
  redraw();
}

function tools() {
  say(byId("access"), session.token ? "Token ✓" : "Token");
  title(byId("access"), session.token ? "A token is kept in this tab" : "Without a token this page only looks");
}

function verdict() {
  const { status } = live;
  if (!status) return;
  const kind = byId("kind");
  say(kind, status.kind.toUpperCase(), `chip ${status.kind}`);
  title(kind, status.kind === "paper" ? "Nothing here is real money" : "Real money");
  const state = status.state === "READY" ? status.trading_state : status.state;
  const [mark, word] = WORDS[state] ?? ["◌", state.toLowerCase()];
  const wrong = complaints(status);
  const strictest = status.restrictions.filter((one) => one.state === status.trading_state).sort((a, b) => a.ts_ns - b.ts_ns)[0];
  const parts = status.strategies.filter((one) => one.trading_state !== "ACTIVE");
  const isPart = parts.length > 0 && parts.length < status.strategies.length;
  let because = worded(status.reason);
  if (state === "ACTIVE") because = !status.armed ? "not armed: no order leaves" : wrong[0] ?? `${status.strategies.length} strategies, nothing holds them back`;
  if (isPart) because = parts.map((one) => `${one.name} only: ${heldBack(status, one)}`).join("; ");
  const shown = state === "ACTIVE" && (!status.armed || wrong.length) ? "WATCH" : state;
  const host = byId("verdict");
  fill(host, [shown, word, because, strictest?.ts_ns], () => [
    el("span.mark", { "aria-hidden": "true" }, mark), el("strong", {}, word),
    el("span.because", { title: because }, because),
    strictest && el("span.since", { title: local(strictest.ts_ns) }, `since ${clock(strictest.ts_ns)} UTC`),
  ]);
  host.className = `verdict ${shown}`;
  titled(`${mark} ${state === "ACTIVE" ? word : state}`);
}

function held() {
  const host = byId("held");
  const { status } = live;
  const rows = status?.restrictions ?? [];
  const flatten = status?.flatten ?? { state: "IDLE" };
  host.className = `held ${rows.some((one) => one.state === "HALTED") ? "HALTED" : ""}`;
  host.hidden = rows.length === 0 && flatten.state === "IDLE";
  fill(host, [rows, flatten], () => [
    rows.map((one) =>
      el(`div.held-row`, {},
        el(`span.state.${one.state}`, {}, one.state), el("strong", {}, one.scope === "all" ? "everything" : one.scope.replace(":", " ")),
        el("span", {}, worded(one.reason)), el("span.muted", { title: local(one.ts_ns) }, `by ${one.who}, ${moment(one.ts_ns)} UTC${one.until_ts ? `, until ${instant(one.until_ts)} market time` : ""}`),
        el("span.push"), lifting(one))),
    flatten.state !== "IDLE" && el("div.held-row", {}, el("span.state.REDUCING", {}, "FLATTEN"), el("strong", {}, flatten.state.toLowerCase()), el("span", {}, [flatten.scopes.join(", "), flatten.detail].filter(Boolean).join(": "))),
  ]);
}

function lifting(one) {
  if (one.origin === "session") return null;
  const [name, asked] = one.origin === "pause" ? ["unpause", { strategy: one.scope.split(":")[1] }] : ["resume", { scope: one.scope }];
  return el("button", { type: "button", onclick: () => act(name, asked) }, name === "unpause" ? "Unpause" : "Resume");
}

function pulse() {
  const host = byId("pulse");
  const lost = byId("lost");
  const dot = el("span.dot", { "aria-hidden": "true" });
  const text = el("span");
  const market = el("span.market-time");
  host.append(dot, text, market);
  lost.append(el("span"), el("span", { "aria-hidden": "true" }));
  on("pulse", (isFresh, age) => {
    document.body.classList.toggle("stale", !isFresh && live.status !== null);
    document.body.classList.toggle("waiting", live.status === null);
    say(text, isFresh ? "live" : live.needsToken ? "no access" : age === null ? "connecting" : `last heard ${duration(age)} ago`);
    host.className = `pulse ${isFresh ? "fresh" : "lost"}`;
    const feed = live.status?.feeds[0];
    say(market, feed ? `market ${moment(feed.ts_event).slice(0, 16)} UTC` : "");
    title(market, feed ? local(feed.ts_event) : "");
    lost.hidden = isFresh || (live.status === null && !live.problem) || live.needsToken;
    if (!lost.hidden) {
      say(lost.children[0], `The daemon is not heard: ${live.problem || "it has fallen silent"}. Trying again by itself. `);
      say(lost.children[1], age === null ? "" : `Last heard ${duration(age)} ago; everything below is from then.`);
    }
    for (const name of ["kill", "stop"]) byId(name).disabled = live.status === null;
  });
}
