// What the daemon does, as it tells it; and whether it still does. A figure that nobody vouches for any more
// must never look live.

import { listen } from "./api.js";

const STALE_MS = 5_000;
const HIDDEN_MS = 60_000;
const KEPT = 200;

export const live = {
  status: null,
  positions: [],
  orders: [],
  decisions: new Map(),
  verdicts: new Map(),
  heardAt: 0,
  isConnected: false,
  needsToken: false,
  problem: "",
};

const watchers = { change: [], fill: [], order: [], decision: [], begin: [], pulse: [], denied: [] };
// What a page listens to and asks for counts only while that page is shown.
let mounting = null;
let shown = null;
const asks = [];
const isSeen = (page) => page === null || page === shown;
export const always = (name, call) => watchers[name].push({ page: null, call });
export const on = (name, call) => watchers[name].push({ page: mounting, call });
const tell = (name, ...given) => watchers[name].forEach(({ page, call }) => { if (isSeen(page)) call(...given); });

export function within(page, call) {
  const before = mounting;
  mounting = page;
  try {
    call();
  } finally {
    mounting = before;
  }
}

export function turnTo(page) {
  shown = page;
  tell("change");
  for (const one of asks) if (one.page === page) one.ask();
}

let isDue = false;
function changed() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => requestAnimationFrame(() => { isDue = false; tell("change"); }), 200);
}

const place = (row) => `${row.strategy}\n${row.instrument_id}`;

const hears = {
  init(found) {
    const before = live.status?.session;
    Object.assign(live, { status: found.status, positions: found.positions, orders: found.orders, isConnected: true, needsToken: false, problem: "" });
    tell("begin", before !== undefined && before !== found.status.session);
  },
  status(more) { Object.assign(live.status, more); },
  position(row) {
    const others = live.positions.filter((one) => place(one) !== place(row));
    live.positions = row.quantity ? [...others, row].sort((a, b) => (place(a) < place(b) ? -1 : 1)) : others;
  },
  order(row) { tell("order", row); },
  fill(row) { tell("fill", row); },
  decision(row) {
    live.decisions.set(row.strategy, row);
    tell("decision", row);
  },
  verdict(row) {
    live.verdicts.set(row.strategy, [row, ...(live.verdicts.get(row.strategy) ?? [])].slice(0, KEPT));
  },
};

function hear(name, data) {
  live.heardAt = performance.now();
  hears[name]?.(data);
  changed();
}

let stopper = null;
let waitMs = 500;
let isWanted = true;

export async function connect() {
  for (;;) {
    if (!isWanted) return;
    stopper = new AbortController();
    try {
      await listen((name, data) => { waitMs = 500; hear(name, data); }, stopper.signal);
      live.problem = "the daemon ended the connection";
    } catch (error) {
      live.problem = error.message;
      if (error.status === 401 || error.status === 429) {
        Object.assign(live, { isConnected: false, needsToken: true });
        changed();
        tell("denied", error.message);
        return;
      }
    }
    live.isConnected = false;
    changed();
    if (!isWanted) return;
    await new Promise((done) => setTimeout(done, waitMs));
    waitMs = Math.min(8_000, 2 * waitMs);
  }
}

export function reconnect() {
  stopper?.abort();
  if (live.needsToken || !isWanted) {
    isWanted = true;
    live.needsToken = false;
    connect();
  }
}

export const isFresh = () => live.isConnected && performance.now() - live.heardAt < STALE_MS;

// Whether it is still there is asked for once a second, whatever has been heard.
export function watch() {
  setInterval(() => {
    if (live.isConnected && performance.now() - live.heardAt > 3 * STALE_MS) stopper?.abort();
    tell("pulse", isFresh(), live.heardAt ? (performance.now() - live.heardAt) / 1000 : null);
  }, 500);
  let sleeping = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(sleeping);
    if (document.hidden) sleeping = setTimeout(() => { isWanted = false; stopper?.abort(); }, HIDDEN_MS);
    else if (!isWanted) reconnect();
  });
}

// How often pages ask: times as long as they would; kept by this browser.
const PACE = "argonaut.pace";
export const pace = {
  get times() {
    try { return Number(localStorage.getItem(PACE) ?? 1); } catch { return 1; }
  },
  set times(given) {
    try { localStorage.setItem(PACE, String(given)); } catch { /* it stays as it was */ }
  },
};

// Asks again and again while somebody looks; what was asked stays when an answer fails.
export function every(secs, ask) {
  const page = mounting;
  let isAsking = false;
  let askedAt = 0;
  async function once() {
    if (isAsking || document.hidden || live.needsToken || !isFresh() || !isSeen(page)) return;
    isAsking = true;
    askedAt = performance.now();
    try {
      await ask();
    } catch (error) {
      if (!(error.status >= 0)) console.error(error);
    } finally {
      isAsking = false;
    }
  }
  setInterval(() => { if (performance.now() - askedAt >= 1000 * secs * pace.times - 50) once(); }, Math.min(1000, 1000 * secs));
  within(page, () => on("begin", () => setTimeout(once, 0)));
  asks.push({ page, ask: once });
  return once;
}

// Once, as soon as the daemon is heard; and again when it is heard again. The newest wish counts.
export function wish(page) {
  let wanted = null;
  within(page, () => on("begin", () => wanted?.()));
  return (ask) => {
    wanted = ask;
    if (isFresh()) ask();
  };
}
