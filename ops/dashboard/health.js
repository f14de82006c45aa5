// Whether the daemon is well: each thing that could be wrong, in a line.

import { el, say, title } from "./dom.js";
import { bytes, duration, money, short } from "./format.js";
import { live, on } from "./live.js";

const MARKS = { good: "✓", watch: "!", bad: "✕" };

const CHECKS = {
  Feed(status) {
    const feed = status.feeds[0];
    if (!feed) return ["bad", "there is none"];
    const text = `${feed.state.toLowerCase()}, ${money(feed.bars, 0)} bars${feed.late_bars ? `, ${feed.late_bars} late` : ""}`;
    if (feed.failure || feed.state === "DEAD") return ["bad", feed.failure || text];
    const held = status.restrictions.find((one) => /feed/i.test(one.who + one.reason) && one.automatic);
    return [held ? "bad" : feed.restarts ? "watch" : "good", held ? held.reason : text];
  },
  Books(status) {
    if (!status.reconciled) return ["bad", `not reconciled: ${status.unexplained.join("; ") || status.doubtful.join(", ")}`];
    return [status.doubtful.length ? "watch" : "good", status.doubtful.length ? `in doubt: ${status.doubtful.join(", ")}` : "agree with the venue's"];
  },
  Journal(status) {
    const { records, durable, head, fault } = status.journal;
    if (fault) return ["bad", fault];
    const behind = records - durable;
    return [behind > 500 ? "watch" : "good", `${money(records, 0)} records, head ${short(head, 8)}${behind > 50 ? `, ${behind} not on the disk yet` : ""}`, head];
  },
  Latch(status) {
    return status.latch.durable && !status.latch.fault ? ["good", "on the disk"] : ["bad", status.latch.fault || "not on the disk"];
  },
  Loop(status) {
    const { lag_p99_ms: lag, lag_max_ms: most, stalls } = status.loop;
    if (lag == null) return ["good", "just started"];
    const text = `${money(lag, 1)} ms late at p99, ${money(most, 1)} ms at most${stalls ? `, ${stalls} stall${stalls > 1 ? "s" : ""}` : ""}`;
    return [lag > 250 ? "bad" : lag > 50 || stalls ? "watch" : "good", text];
  },
  Orders(status) {
    return status.armed ? ["good", "may leave: armed"] : ["watch", "none leaves: not armed"];
  },
  Disk(status) {
    const { free_bytes: free, room } = status.disk;
    return [room === "AMPLE" ? "good" : room === "FULL" ? "bad" : "watch", `${bytes(free)} free`];
  },
  Errors(status) {
    const newest = status.recent_errors.at(-1);
    if (!newest) return ["good", "none in the log"];
    const text = `${newest.at.slice(11, 19)} ${newest.message}`;
    return ["watch", status.recent_errors.length > 1 ? `${status.recent_errors.length}, newest ${text}` : text, newest.message];
  },
};

const FACTS = {
  Session: (status) => [status.session, `started ${status.started_at}`],
  Up: (status) => [duration((status.time_ns - Date.parse(status.started_at) * 1e6) / 1e9), `since ${status.started_at}`],
  Venue: (status) => [`${status.kind}, ${status.strategies.flatMap((one) => one.instruments).map((one) => one.split(".").at(-1)).filter((one, at, all) => all.indexOf(one) === at).join(", ")}`],
  Version: (status) => [status.version, `process ${status.pid}`],
  Address: () => [location.host],
  Policies: (status) => [status.strategies.map((one) => `${one.name} ${short(one.policy_id, 8)}`).join(", "), status.strategies.map((one) => one.policy_id).join("\n")],
  Configuration: (status) => [`${status.config.split("/").at(-1)} ${short(status.config_sha256)}`, `${status.config}\n${status.config_sha256}`],
};

// names: which of the checks; all of them without.
export function mountChecks(host, names = Object.keys(CHECKS)) {
  const list = el("ul.checks");
  host.append(list);
  const rows = names.map((name) => {
    const row = { name, mark: el("span.mark", { "aria-hidden": "true" }), text: el("span.check-text") };
    row.root = el("li", {}, row.mark, el("span.check-name", {}, name), row.text);
    list.append(row.root);
    return row;
  });
  on("change", () => {
    if (!live.status) return;
    for (const row of rows) {
      const [mark, text, more] = CHECKS[row.name](live.status);
      say(row.mark, MARKS[mark], `mark ${mark}`);
      say(row.text, text);
      title(row.text, more ?? text);
      row.root.className = mark;
    }
  });
}

export function mountFacts(host) {
  const cells = Object.entries(FACTS).map(([name, fact]) => [name, fact, el("dd")]);
  host.append(el("dl.pairs.facts", {}, cells.map(([name, , cell]) => [el("dt", {}, name), cell])));
  on("change", () => {
    if (!live.status) return;
    for (const [, fact, cell] of cells) {
      const [text, more] = fact(live.status);
      say(cell, text);
      title(cell, more);
    }
  });
}

// The worst of it, for the header.
export function complaints(status) {
  return Object.entries(CHECKS).map(([name, check]) => [name, ...check(status)]).filter(([, mark]) => mark === "bad").map(([name, , text]) => `${name}: ${text}`);
}

