// How much of each limit is used, what holds trading back, and where the journal stands.

import { act } from "./actions.js";
import { get } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { duration, instant, local, moment, ofSecs } from "./format.js";
import * as limits from "./limits.js";
import { every, live, on } from "./live.js";
import { heldBack, worded } from "./why.js";

export function mount() {
  limits.mount();
  const journal = el("section", { "aria-labelledby": "journal-title" }, el("h3", { id: "journal-title" }, "Journal"));
  const states = el("section", { "aria-labelledby": "states-title" }, el("h3", { id: "states-title" }, "Strategies"));
  byId("latches").parentElement.append(states, journal);
  latches(byId("latches"));
  standing(states);
  head(journal);
}

function latches(host) {
  const body = el("div");
  host.append(body);
  on("change", () => {
    if (!live.status) return;
    const { restrictions, latch, flatten, armed } = live.status;
    fill(body, [restrictions, latch, flatten, armed], () => [
      restrictions.length === 0 && el("p.empty", {}, "Nothing: no kill, no pause and no limit is in force."),
      el("ul.latches", {}, restrictions.map((one) => el("li", {},
        el("div", {}, el(`span.state.${one.state}`, {}, one.state), " ", el("strong", {}, one.scope === "all" ? "everything" : one.scope.replace(":", " "))),
        el("p", {}, worded(one.reason)),
        el("p.sub", { title: local(one.ts_ns) }, `${one.origin}, by ${one.who}, ${moment(one.ts_ns)} UTC${one.until_ts ? `, until ${instant(one.until_ts)} market time` : ""}`)))),
      el("dl.pairs.facts", {},
        el("dt", {}, "Orders"), el("dd", {}, armed ? "may leave: armed" : "none leaves: not armed"),
        el("dt", {}, "Latch"), el("dd", {}, latch.durable && !latch.fault ? "on the disk: it holds over a restart" : latch.fault || "not on the disk"),
        el("dt", {}, "Flatten"), el("dd", {}, flatten.state === "IDLE" ? "none is under way" : [flatten.state.toLowerCase(), flatten.detail].filter(Boolean).join(": "))),
      el("div.buttons.left", {}, el("button.danger", { type: "button", onclick: () => act("kill") }, "Kill")),
    ]);
  });
}

function standing(host) {
  const list = el("ul.latches");
  host.append(list);
  on("change", () => {
    const rows = live.status?.strategies ?? [];
    fill(list, rows.map((one) => [one.name, one.trading_state, heldBack(live.status, one)]), () => rows.map((one) => el("li", {},
      el("div", {}, el(`span.state.${one.trading_state}`, {}, one.trading_state), " ", el("strong", {}, one.name)),
      el("p.sub", {}, one.reason ? heldBack(live.status, one) : "nothing holds it back"))));
  });
}

function head(host) {
  const body = el("div");
  host.append(body);
  every(5, async () => {
    const found = await get("/v1/audit/head");
    const age = found.checkpoint_ns ? (live.status.time_ns - found.checkpoint_ns) / 1e9 : null;
    fill(body, [found, Math.floor((age ?? 0) / 60)], () => [
      el("dl.pairs", {},
        el("dt", {}, "Record"), el("dd", {}, found.seq.toLocaleString("en-GB")),
        el("dt", {}, "On the disk"), el("dd", {}, `up to ${found.durable_seq.toLocaleString("en-GB")}`),
        el("dt", {}, "Hash"), el("dd", {}, el("code", {}, found.head)),
        el("dt", {}, "Signed"), el("dd", { title: found.checkpoint_ns ? local(found.checkpoint_ns) : "" }, age === null ? "not yet" : `${duration(age)} ago, ${moment(ofSecs(found.checkpoint_ns / 1e9))} UTC`),
        el("dt", {}, "Session"), el("dd", {}, found.session),
        el("dt", {}, "Fault"), el("dd", { class: found.fault ? "bad" : null }, found.fault || "none")),
      el("p.hint", {}, el("code", {}, "argonaut audit verify"), " checks every record."),
    ]);
  });
}
