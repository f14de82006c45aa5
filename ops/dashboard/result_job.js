// One run of those that somebody asked for, as far as it is: also where it left no backtest.

import { get } from "./api.js";
import { el, refill } from "./dom.js";
import { moment, ofSecs, percent } from "./format.js";
import { link } from "./router.js";

export async function showJob(host, number) {
  const found = await get(`/v1/runs/${encodeURIComponent(number)}`);
  const { run, request, progress, result } = found;
  const options = Object.entries(request?.options ?? {}).filter(([, value]) => value != null);
  refill(host,
    el("p.crumb", {}, el("a", { href: link("backtests") }, "Backtests")),
    el("h2.page-title", { tabindex: "-1" }, `${run.job} ${run.run_id}`),
    el("div.grid", {},
      el("section.half", { "aria-label": "How it stands" }, el("h3", {}, "How it stands"), el("dl.pairs", {},
        pair("State", run.state), pair("Asked by", run.who ?? request?.who), pair("Why", request?.reason),
        pair("Began", run.started_at && `${moment(ofSecs(run.started_at))} UTC`), pair("Ended", run.ended_at && `${moment(ofSecs(run.ended_at))} UTC`),
        pair("So far", progress?.done_frac == null ? null : percent(progress.done_frac, 0)),
        pair("What went wrong", result?.error?.message ?? run.detail))),
      el("section.half", { "aria-label": "What was asked for" }, el("h3", {}, "What was asked for"),
        el("dl.pairs", {}, options.map(([name, value]) => pair(name, String(value)))))),
  );
}

const pair = (name, value) => (value == null || value === "" ? null : [el("dt", {}, name), el("dd", {}, value)]);
