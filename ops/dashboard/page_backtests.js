// Backtests: all that were recorded, one of them, or two beside each other.
//
//     #/backtests            #/backtests/KEY            #/backtests/compare/KEY/KEY            #/backtests/job/NUMBER

import { get } from "./api.js";
import { command } from "./page_overview.js";
import { el, fill, say, select } from "./dom.js";
import { moment, ofSecs } from "./format.js";
import { every, wish } from "./live.js";
import { compare } from "./result_compare.js";
import { card } from "./result_card.js";
import { showJob } from "./result_job.js";
import { showResult } from "./result_view.js";
import { link, settled } from "./router.js";

const MOST = 500;
const KINDS = [["", "every kind"], ["backtest", "backtests"], ["walk-forward", "folds of walk-forwards"]];
const STATES = [["", "whole or not"], ["whole", "whole"], ["partial", "partial"], ["damaged", "damaged"]];
const ORDERS = { newest: (row) => -row.finished_ns, "return": (row) => -(row.metrics?.total_return_frac?.value ?? -Infinity), "Sharpe": (row) => -(row.metrics?.sharpe?.value ?? -Infinity), drawdown: (row) => row.metrics?.max_drawdown_frac?.value ?? Infinity };
const OPEN = ["QUEUED", "RUNNING"];

let explorer = null;
let single = null;
let ask = null;

export function mount(host) {
  explorer = el("div");
  single = el("div", { hidden: true });
  host.append(explorer, single);
  list(explorer);
  ask = wish("backtests");
}

export function show(rest) {
  const [first, second, third] = rest;
  explorer.hidden = Boolean(first);
  single.hidden = !first;
  // The heading is the first one on the page that is shown, so it has to be where it is seen.
  single.replaceChildren();
  if (!first) {
    single.parentElement.prepend(explorer);
    ask(() => {});
    return;
  }
  single.parentElement.prepend(single);
  const wanted = first === "compare" && third ? () => compare(single, second, third)
    : first === "job" ? () => showJob(single, second) : () => showResult(single, first);
  single.append(el("h2.page-title", { tabindex: "-1" }, first === "compare" ? "Two backtests" : first === "job" ? `Run ${second}` : first), el("p.empty", {}, "Loading"));
  ask(async () => {
    try {
      await wanted();
    } catch (error) {
      single.replaceChildren(el("h2.page-title", { tabindex: "-1" }, first),
        el("p.problem", { role: "alert" }, error.status === 404 ? "There is no such backtest (any more). " : `It cannot be shown: ${error.message}. `, el("a", { href: link("backtests") }, "All backtests")));
    }
    settled();
  });
}

function list(host) {
  const filters = { text: "", strategy: "", kind: "", state: "", from: "", to: "", order: "newest" };
  const chosen = [];
  let rows = [];
  let jobs = [];
  const count = el("p.readout", { role: "status" });
  const cards = el("div.cards");
  const open = el("div");
  const strategies = el("span");
  const picked = el("div.picked", { hidden: true });
  const set = (name) => (value) => { filters[name] = value; render(); };
  const day = (name, word, label) => el("label", { title: label }, word, el("input", { type: "date", "aria-label": label, onchange: (event) => set(name)(event.target.value) }));
  host.append(
    el("h2.page-title", { tabindex: "-1" }, "Backtests"),
    el("div.filters", { role: "search", "aria-label": "Backtests" },
      el("input", { type: "search", placeholder: "Name, instrument, hash", "aria-label": "Text", oninput: (event) => set("text")(event.target.value.trim().toLowerCase()) }),
      strategies, select("Kind", KINDS, "", set("kind")), select("State", STATES, "", set("state")),
      day("from", "from", "Span reaches to this day or beyond"), day("to", "to", "Span begins on this day or before"),
      select("Order", Object.keys(ORDERS).map((name) => [name, `by ${name}`]), "newest", set("order"))),
    picked, open, count, cards);

  function render() {
    const found = rows.filter(matches).sort((a, b) => ORDERS[filters.order](a) - ORDERS[filters.order](b));
    say(count, rows.length ? `${found.length} of ${rows.length}` : "");
    fill(cards, [found, chosen], () => (found.length ? found.map((row) => card(row, "h3", box(row))) : empty()));
    fill(open, jobs, () => jobs.length > 0 && el("ul.jobs", { "aria-label": "Runs that left no backtest" }, jobs.map(job)));
    picked.hidden = chosen.length === 0;
    fill(picked, chosen, () => (chosen.length === 2
      ? [el("a.button", { href: link("backtests", "compare", ...chosen) }, "Compare the two"), el("span.muted", {}, chosen.join(" and "))]
      : el("span.muted", {}, `${chosen[0]}: choose another to compare it with`)));
  }

  function matches(row) {
    const text = [row.run_id, row.key, ...row.strategies, ...row.instruments, row.problem].join(" ").toLowerCase();
    return (!filters.text || text.includes(filters.text)) && (!filters.strategy || row.strategies.includes(filters.strategy))
      && (!filters.kind || row.kind === filters.kind) && (!filters.state || row.state === filters.state)
      && (!filters.from || (row.end_ts ?? 0) >= Date.parse(filters.from) * 1e6) && (!filters.to || (row.start_ts ?? Infinity) <= (Date.parse(filters.to) + 86_400_000) * 1e6);
  }

  function box(row) {
    const tick = el("input", { type: "checkbox", checked: chosen.includes(row.key), onchange: () => choose(row.key, tick.checked) });
    return el("label.tick", {}, tick, el("span", {}, "Compare", el("span.hidden", {}, ` ${row.run_id}`)));
  }

  function choose(key, isChosen) {
    const at = chosen.indexOf(key);
    if (at >= 0) chosen.splice(at, 1);
    if (isChosen) chosen.push(key);
    if (chosen.length > 2) chosen.shift();
    render();
    cards.querySelector(`[data-key="${CSS.escape(key)}"] input`)?.focus();
  }

  function empty() {
    if (rows.length) return el("p.empty", {}, "No backtest is like that. Take a filter away.");
    return el("div.empty", {}, el("p", {}, "No backtest was recorded here yet. This records one, and it appears here by itself:"), el("pre.command", {}, command()));
  }

  every(15, async () => {
    const [found, runs] = await Promise.all([get("/v1/results", { limit: MOST }), get("/v1/runs", { limit: 50 })]);
    rows = found.rows;
    const left = new Set(rows.map((row) => row.asked_as));
    jobs = runs.filter((run) => !left.has(run.run_id) && (OPEN.includes(run.state) || ["backtest", "walk-forward"].includes(run.job))).slice(0, 8);
    const names = [...new Set(rows.flatMap((row) => row.strategies))].sort();
    fill(strategies, names, () => select("Strategy", [["", "every strategy"], ...names.map((name) => [name, name])], filters.strategy, set("strategy")));
    render();
  });
}

function job(run) {
  const isBad = ["FAILED", "INTERRUPTED"].includes(run.state);
  return el("li", {}, el(`span.state.${isBad ? "HALTED" : OPEN.includes(run.state) ? "REDUCING" : "ACTIVE"}`, {}, run.state),
    el("a", { href: link("backtests", "job", run.run_id) }, `${run.job} ${run.run_id}`),
    el("span.muted", {}, run.ended_at ? `ended ${moment(ofSecs(run.ended_at)).slice(0, 16)}` : run.started_at ? `since ${moment(ofSecs(run.started_at)).slice(0, 16)}` : "waits"),
    el("span.words", {}, run.detail || ""));
}

