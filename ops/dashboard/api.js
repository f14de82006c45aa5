// How the page asks and tells. A token stays in this tab; it goes into a header and nowhere else.

const KEY = "argonaut.token";

export class Problem extends Error {
  constructor(status, detail, retryAfterSecs = null) {
    super(detail);
    this.status = status;
    this.retryAfterSecs = retryAfterSecs;
  }
}

export const session = {
  get token() { return sessionStorage.getItem(KEY) ?? ""; },
  set token(given) {
    if (given) sessionStorage.setItem(KEY, given);
    else sessionStorage.removeItem(KEY);
  },
};

// A link may bring a token behind "#", which no browser sends; it is taken out of sight at once.
export function takeTokenFromAddress() {
  if (!location.hash.startsWith("#token=")) return;
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  history.replaceState(null, "", location.pathname);
  session.token = given.trim();
}

function headers(more = {}) {
  // A header takes no character beyond Latin-1: what has one is no token of ours.
  const token = session.token;
  if (/[^\x21-\x7e]/.test(token)) throw new Problem(401, "this is no token of `argonaut token new`");
  return token ? { authorization: `Bearer ${token}`, ...more } : more;
}

// The daemon answers few questions about the past at a time; a page waits its turn rather than be refused.
const PAST = new Set(["orders", "fills", "trades", "verdicts", "decisions", "equity", "regimes", "pnl", "bars", "commands"].map((name) => `/v1/${name}`));
const MOST = 3;
let asking = 0;
const waiting = [];

async function inTurn(ask) {
  if (asking >= MOST) await new Promise((go) => waiting.push(go));
  else asking += 1;
  try {
    return await ask();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else asking -= 1;
  }
}

async function request(path, options, patienceMs = 15_000) {
  let answer;
  try {
    answer = await fetch(path, { ...options, credentials: "omit", cache: "no-store", signal: options.signal ?? AbortSignal.timeout(patienceMs) });
  } catch (error) {
    throw new Problem(0, error.name === "TimeoutError" ? "the daemon did not answer in time" : "the daemon cannot be reached");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem.detail ?? `the daemon answered ${answer.status}`, problem.retry_after_secs);
}

// as: json, or text of an answer that is none.
export async function get(path, parameters = {}, as = "json") {
  const given = Object.entries(parameters).filter(([, value]) => value != null);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  const ask = async () => (await request(path + query, { headers: headers() }))[as]();
  return PAST.has(path) ? inTurn(ask) : ask();
}

// All rows of a question, over as many pages as are allowed.
export async function pages(path, parameters, most = 4) {
  const rows = [];
  for (let before, count = 0; count < most; count++) {
    const page = await get(path, { limit: 1000, ...parameters, before });
    rows.push(...page.rows);
    before = page.next_cursor;
    if (!before) break;
  }
  return rows;
}

// A command. Under the same key it is carried out once, however often it is sent.
export async function post(path, body, key) {
  const given = headers({ "content-type": "application/json", "idempotency-key": key });
  return (await request(path, { method: "POST", headers: given, body: JSON.stringify(body) }, 30_000)).json();
}

// Server-sent events, by fetch so that the token can go along. Resolves when the stream ends.
export async function listen(hear, signal) {
  const answer = await request("/v1/stream", { headers: headers(), signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n");
      const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      hear(name ?? null, name ? JSON.parse(data) : null);
    }
  }
}
