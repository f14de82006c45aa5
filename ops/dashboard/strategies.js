// Each strategy as a card: how it stands, what it believes, what it decided and why it did not trade.

import { act } from "./actions.js";
import { get } from "./api.js";
import { curveOf } from "./account.js";
import { spark } from "./charts.js";
import { configs, stateName } from "./configs.js";
import { byId, el, fill, say, title } from "./dom.js";
import { clock, gain, local, market, money, percent, quantity, signedPercent, tone } from "./format.js";
import { every, live, on } from "./live.js";
import { explained, heldBack } from "./why.js";

const cards = new Map();
const recent = new Map();

export function mount() {
  const host = byId("strategies");
  every(600, catchUp);
  on("change", () => render(host));
}

// What was decided before this page was there.
let of = "";
async function catchUp() {
  if (of !== live.status.session) recent.clear();
  of = live.status.session;
  for (const { name } of live.status.strategies) {
    try {
      const [decisions, verdicts] = await Promise.all([
        get("/v1/decisions", { strategy: name, limit: 1 }), get("/v1/verdicts", { strategy: name, limit: 30 }),
      ]);
      recent.set(name, { decision: decisions.rows[0], verdicts: verdicts.rows });
    } catch { /* the stream brings the next one */ }
  }
}

function render(host) {
  const names = live.status?.strategies.map((one) => one.name) ?? [];
  for (const [name, card] of cards) if (!names.includes(name)) { card.root.remove(); cards.delete(name); }
  for (const one of live.status?.strategies ?? []) {
    if (!cards.has(one.name)) {
      const card = make(one.name);
      cards.set(one.name, card);
      host.append(card.root);
      card.draw = spark(card.spark);
    }
    update(cards.get(one.name), one);
  }
}

function make(name) {
  const part = {
    state: el("span"), about: el("p.about"), equity: el("span.figure"), profit: el("span"), note: el("span.note"),
    spark: el("div.spark", { "aria-hidden": "true" }), held: el("div.value-line"), regime: el("div.regime"), last: el("div"),
    when: el("time.muted"), said: el("span"), pause: el("button.quiet", { type: "button", onclick: () => press(name) }, "Pause"), why: el("p.why", { hidden: true }),
  };
  part.root = el("article.card", { "aria-label": `Strategy ${name}` },
    el("div.card-head", {}, el("h4", {}, name), part.state, el("span.push"), part.pause),
    part.why, part.about,
    el("div.card-top", {}, el("div", {}, part.equity, el("div", {}, part.profit, " ", part.note)), part.spark),
    el("dl.pairs", {}, el("dt", {}, "Holds"), el("dd", {}, part.held), el("dt", {}, "Regime"), el("dd", {}, part.regime),
      el("dt", {}, "Decision"), el("dd", {}, part.last)),
  );
  part.last.append(part.when, " ", part.said);
  return part;
}

const isPaused = (name) =>
  (live.status?.restrictions ?? []).some((one) => one.origin === "pause" && one.scope === `strategy:${name}`);

function press(name) {
  act(isPaused(name) ? "unpause" : "pause", { strategy: name });
}

function update(card, one) {
  const config = configs.get(one.name)?.config;
  say(card.state, one.trading_state, `state ${one.trading_state}`);
  say(card.pause, isPaused(one.name) ? "Unpause" : "Pause");
  card.why.hidden = !one.reason;
  say(card.why, one.reason && heldBack(live.status, one));
  say(card.about, config?.description || one.instruments.join(", "));
  say(card.equity, money(one.equity), "figure");
  say(card.profit, gain(one.profit), tone(one.profit));
  say(card.note, `${signedPercent(one.profit / (one.equity - one.profit))}, drawdown ${percent(one.drawdown_frac, 2)}, costs ${money(one.fees)}`);
  const own = live.positions.filter((row) => row.strategy === one.name);
  say(card.held, own.length ? own.map((row) => `${quantity(row.quantity)} ${market(row.instrument_id)}`).join(", ") : "nothing");
  belief(card.regime, one);
  const before = recent.get(one.name);
  const decision = live.decisions.get(one.name) ?? before?.decision;
  const verdicts = [...(live.verdicts.get(one.name) ?? []), ...(before?.verdicts ?? [])];
  const [kind, text] = explained(decision, verdicts, config, (state) => stateName(one.name, state));
  say(card.said, text, `reason ${kind}`);
  say(card.when, decision ? clock(decision.ts_event) : "");
  title(card.when, decision ? local(decision.ts_event) : "");
  card.draw(curveOf(one.name));
}

function belief(host, one) {
  const probs = one.regime_probs;
  if (!probs) return fill(host, "none", () => el("span.muted", {}, "no regime model"));
  const names = probs.map((_, state) => stateName(one.name, state));
  fill(host, names, () => [
    el("div.stack", { role: "img" }, probs.map((_, state) => el(`span.s${state % 6}`))),
    el("span.stack-name"),
  ]);
  const [bar, name] = host.children;
  probs.forEach((prob, state) => {
    bar.children[state].style.flexGrow = String(Math.max(prob, 0.0001));
    title(bar.children[state], `${names[state]} ${percent(prob, 1)}`);
  });
  bar.setAttribute("aria-label", probs.map((prob, state) => `${names[state]} ${percent(prob, 0)}`).join(", "));
  say(name, `${names[one.regime_state]} ${percent(probs[one.regime_state], 0)}`);
}
