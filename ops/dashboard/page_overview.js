// At a glance: the account, whether all is well, each strategy, the newest backtest, sessions, jobs.

import { mountCurves, mountTiles } from "./account.js";
import { get } from "./api.js";
import { byId, el, fill, table } from "./dom.js";
import { duration, gain, instant, money, tone } from "./format.js";
import { mountChecks } from "./health.js";
import * as jobs from "./jobs.js";
import { every, live, on } from "./live.js";
import { card } from "./result_card.js";
import { link } from "./router.js";
import * as strategies from "./strategies.js";

const MOST = 8;

// How much market time a session saw, from when on.
const stretch = (row) => `${duration((row.last_ts - row.first_ts) / 1e9)} from ${instant(row.first_ts).slice(0, 10)}`;

export function mount() {
  mountTiles(byId("account"));
  mountCurves(byId("account"));
  mountChecks(byId("health"));
  strategies.mount();
  latest(byId("latest"));
  sessions(byId("sessions"));
  jobs.mount();
}

function latest(host) {
  const body = el("div");
  host.append(body);
  every(30, async () => {
    const { rows, total } = await get("/v1/results", { limit: 1 });
    fill(body, [rows, total], () => (rows.length
      ? [card(rows[0], "h4"), total > 1 && el("p.more", {}, el("a", { href: link("backtests") }, `All ${total} backtests`))]
      : el("p.empty", {}, "No backtest was recorded here yet. ", el("code", {}, command()), " records one.")));
  });
}

export const command = () => `argonaut backtest ${live.status?.config ?? "configs/backtest.toml"}`;

function sessions(host) {
  const shown = table("Sessions", [
    { head: "Session", left: true, scope: "row", cell: (row) => ({ text: row.started_at ? row.started_at.slice(0, 16).replace("T", " ") : row.session, title: row.session }) },
    { head: "Market time", left: true, cell: (row) => (row.isNow ? `now ${instant(row.last_ts)}` : row.first_ts ? { text: stretch(row), title: `${instant(row.first_ts)} to ${instant(row.last_ts)}` } : "–") },
    { head: "Equity", cell: (row) => money(row.equity) },
    { head: "Profit", cell: (row) => ({ text: gain(row.profit), class: tone(row.profit) }) },
    { head: "Ended", left: true, class: "words", cell: (row) => ({ text: row.isNow ? "runs" : row.problem ?? row.ended ?? "–", class: row.problem ? "bad" : "" }) },
  ], { key: (row) => row.session, empty: "No session yet: `argonaut run` begins one." });
  host.append(shown.root);
  let ended = [];
  const show = () => {
    const { status } = live;
    if (!status) return;
    const now = {
      session: status.session, started_at: status.started_at, isNow: true, last_ts: status.feeds[0]?.ts_event,
      equity: status.equity, profit: status.account.profit,
    };
    shown.update([now, ...ended.filter((row) => row.session !== status.session)].slice(0, MOST));
  };
  every(60, async () => { ended = (await get("/v1/sessions", { limit: MOST })).rows; show(); });
  on("change", show);
}
