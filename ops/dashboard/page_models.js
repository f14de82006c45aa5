// Models: which there are and which of them trades, who comes from whom, how each did, whether the market still
// looks as it did in training, and how the training went.
//
//     #/models            #/models/NAME/ID

import { get } from "./api.js";
import { el, refill, fill } from "./dom.js";
import { instant, money, percent, short, signed, signedPercent, tone } from "./format.js";
import { every, live, wish } from "./live.js";
import { lineage } from "./lineage.js";
import { link, settled } from "./router.js";
import { trainingCurves } from "./training_curves.js";

const DIGITS = 12;
let registry = null;
let single = null;
let ask = null;

export function mount(host) {
  registry = el("div");
  single = el("div", { hidden: true });
  host.append(registry, single);
  list(registry);
  ask = wish("models");
}

export function show([name, id]) {
  registry.hidden = Boolean(id);
  single.hidden = !id;
  single.replaceChildren();
  single.parentElement.prepend(id ? single : registry);
  if (!id) return ask(() => {});
  single.append(el("h2.page-title", { tabindex: "-1" }, `${name} ${id}`), el("p.empty", {}, "Loading"));
  ask(async () => {
    try {
      await one(single, name, id);
    } catch (error) {
      single.replaceChildren(el("h2.page-title", { tabindex: "-1" }, `${name} ${id}`), el("p.problem", { role: "alert" }, `${error.message} `, el("a", { href: link("models") }, "All models")));
    }
    settled();
  });
}

const trading = (row) => live.status?.strategies.some((strategy) => strategy.policy_id === row.bundle_id);
const idOf = (row) => (row.bundle_id ?? row.path.split("/").at(-1)).slice(0, DIGITS);

function list(host) {
  const tree = el("div");
  const cards = el("div.cards");
  const drift = el("div");
  const parents = new Map();
  host.append(el("h2.page-title", { tabindex: "-1" }, "Models"),
    el("div.grid", {},
      el("section.full", { "aria-label": "Drift" }, el("h3", {}, "Drift of what trades now"), drift),
      el("section.full", { "aria-label": "Lineage" }, el("h3", {}, "Lineage"), tree),
      el("div.full", {}, cards)));
  every(30, async () => {
    const rows = await get("/v1/models");
    // A bundle never changes, so who it comes from is asked once.
    for (const row of rows.filter((found) => found.bundle_id && !parents.has(found.bundle_id))) {
      const shown = await get(`/v1/models/${row.name}/${row.bundle_id}`).catch(() => ({}));
      parents.set(row.bundle_id, shown.lineage?.parent ?? null);
    }
    const nodes = rows.map((row) => ({ ...row, id: idOf(row), parent: parents.get(row.bundle_id)?.slice(0, DIGITS) ?? null, isTrading: trading(row) }));
    fill(cards, nodes, () => (nodes.length ? nodes.map(card) : empty()));
    fill(tree, nodes, () => (nodes.length ? lineage(nodes) : el("p.empty", {}, "A model that is trained while another is active comes from that one.")));
  });
  every(10, async () => {
    const found = drifts(await metrics());
    fill(drift, found, () => driftTable(found));
  });
}

function empty() {
  return el("div.empty", {}, el("p", {}, "No model is kept here yet. This trains one; the daemon trades it once it is promoted and the daemon starts anew:"),
    el("pre.command", {}, "argonaut train configs/training.toml\nargonaut models list\nargonaut models promote NAME latest"));
}

function card(row) {
  const judged = row.judged ?? {};
  return el("article.card", { "aria-label": `Model ${row.name} ${row.id}` },
    el("div.card-head", {}, el("h3", {}, el("a", { href: link("models", row.name, row.id) }, `${row.name} ${row.id}`)), el("span.push"), row.isTrading && el("span.state.ACTIVE", {}, "TRADES NOW"), row.pointers.map((one) => el("span.chip", {}, one))),
    row.problem && el("p.why", {}, row.problem),
    el("dl.figures", {}, scores(judged)));
}

const SCORES = {
  total_return_frac: ["Return", (value) => signedPercent(value)], sharpe: ["Sharpe", (value) => signed(value)], sortino: ["Sortino", (value) => signed(value)],
  max_drawdown_frac: ["Largest drawdown", (value) => percent(value, 2)], mean_gross_frac: ["Exposure", (value) => percent(value, 0)], turnover_per_bar_frac: ["Turnover a bar", (value) => percent(value, 3)],
};

const scores = (judged) => Object.entries(SCORES).filter(([key]) => judged[key] != null).map(([key, [name, show]]) =>
  el("div", {}, el("dt", {}, name), el("dd", { class: key === "total_return_frac" ? tone(100 * judged[key]) : null }, show(judged[key]))));

async function metrics() {
  return get("/metrics", {}, "text");
}

const SAMPLE = /^argonaut_drift_(\w+)\{([^}]*)\} (\S+)/gm;

export function drifts(text) {
  const found = new Map();
  for (const [, name, labels, value] of text.matchAll(SAMPLE)) {
    const strategy = /strategy="([^"]*)"/.exec(labels)?.[1];
    const kind = /kind="([^"]*)"/.exec(labels)?.[1];
    if (!strategy || name.endsWith("_created")) continue;
    const row = found.get(strategy) ?? { strategy, alarms: [] };
    if (kind) row.alarms.push([kind, Number(value)]);
    else row[name] = Number(value);
    found.set(strategy, row);
  }
  return [...found.values()];
}

function driftTable(rows) {
  if (!rows.length) return el("p.empty", {}, "No strategy that trades here has a model with a reference for drift: a rule has none, and a bundle of before brings none.");
  return el("ul.limits", {}, rows.map((row) => {
    const used = row.threshold_used_ratio ?? 0;
    const level = used >= 1 ? "full" : used >= 0.75 ? "near" : "";
    return el("li", {}, el("div.limit-head", {}, el("span", {}, row.strategy), el(`span.figure-small${level ? `.${level}` : ""}`, {},
      `${percent(used, 0)} of its calibrated threshold, divergence ${money(row.score_nats, 3)} nats, ${row.active_alarms ?? 0} alarms now${row.alarms.length ? `, began: ${row.alarms.map(([kind, count]) => `${kind} ${count}`).join(", ")}` : ""}`)),
      el(`div.meter${level ? `.${level}` : ""}`, { role: "meter", "aria-label": `Drift of ${row.strategy}`, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(Math.round(Math.min(100, 100 * used))) }, el("i", { style: { width: `${Math.min(100, 100 * used)}%` } })));
  }));
}

async function one(host, name, id) {
  const path = `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(id)}`;
  const [model, runs] = await Promise.all([get(path), get("/v1/runs", { kind: "train", limit: 20 }).catch(() => [])]);
  const { lineage: from, scorecard, training, drift } = model;
  const curves = el("div");
  refill(host,
    el("p.crumb", {}, el("a", { href: link("models") }, "Models")),
    el("h2.page-title", { tabindex: "-1" }, `${model.name} ${short(model.bundle_id, DIGITS)}`),
    el("p.about", {}, trading(model) ? "A strategy of this daemon trades it now." : "No strategy of this daemon trades it now."),
    el("div.grid", {},
      section("Scorecard", "full", scorecardTable(scorecard)),
      section("How the training went", "full", curves),
      section("Where it comes from", "half", el("dl.pairs", {}, pair("Parent", from.parent ? el("a", { href: link("models", name, from.parent.slice(0, DIGITS)) }, from.parent.slice(0, DIGITS)) : "none: it began from nothing"),
        pair("Data", from.data && `${from.data.instruments?.join(", ")}, ${from.data.interval}, ${instant(from.data.first_ns)} to ${instant(from.data.last_ns)}`), pair("Hash of the data", short(from.data_sha256, 20)), pair("Hash of the code", short(from.code_sha256, 20)),
        pair("Features", from.data?.columns?.join(", ")), pair("Libraries", from.libraries && Object.entries(from.libraries).map(([one_, version]) => `${one_} ${version}`).join(", ")))),
      section("Calibrated for drift", "half", drift?.columns ? el("dl.pairs", {}, pair("Watches", `${drift.columns.length} columns over ${drift.window_bars} bars`),
        pair("False alarms", `at most ${percent(drift.false_alarm_prob, 0)} in ${drift.period_bars} bars`), pair("Columns", drift.columns.join(", "))) : el("p.empty", {}, "It has no reference: it was trained before there was one.")),
      section("Settings of the training", "half", el("pre.log", { tabindex: "0", "aria-label": "Settings of the training" }, JSON.stringify(training, null, 1))),
      section("Files", "half", el("dl.pairs.wide", {}, Object.entries(model.files).map(([file, digest]) => pair(file, el("code", {}, short(digest, 24))))))),
  );
  await trainingCurves(curves, scorecard, await runOf(model, runs));
}

const section = (name, width, ...content) => el(`section.${width}`, { "aria-label": name }, el("h3", {}, name), content);
const pair = (name, value) => (value ? [el("dt", {}, name), el("dd", {}, value)] : null);

function scorecardTable(scorecard) {
  const spans = ["selected", "judged"].filter((key) => scorecard?.[key]);
  if (!spans.length) return el("p.empty", {}, "It was not judged.");
  const words = { selected: "While it was chosen", judged: "On bars it never saw" };
  const when = { selected: scorecard.spans?.select, judged: scorecard.spans?.judge };
  return el("div.scroll", { tabindex: "0", role: "group", "aria-label": "Scorecard" }, el("table", {}, el("caption.hidden", {}, "Scorecard"),
    el("thead", {}, el("tr", {}, el("th.left", { scope: "col" }, "Span"), el("th.left", { scope: "col" }, "Who"), Object.values(SCORES).map(([name]) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, spans.flatMap((key) => Object.entries(scorecard[key]).map(([who, figures]) => el("tr", {},
      el("th.left", { scope: "row", title: when[key] ? `${instant(when[key].first_ns)} to ${instant(when[key].last_ns)}` : null }, words[key]), el("td.left", {}, who.replaceAll("_", " ")),
      Object.entries(SCORES).map(([figure, [, show]]) => el("td", {}, figures[figure] == null ? "–" : show(figures[figure])))))))));
}

// The run of /v1/runs that left a model, where one did.
async function runOf(model, runs) {
  for (const run of runs.filter((found) => found.state === "SUCCEEDED")) {
    const shown = await get(`/v1/runs/${run.run_id}`).catch(() => null);
    if (shown?.result?.bundle_id === model.bundle_id) return run.run_id;
  }
  return null;
}
