// Why something was done or not, in words: from a decision, what the guardrails said to it, and how things stand.

import { market, money, percent, quantity } from "./format.js";

// reason: [what it means, unit of its limit and value]
const REASONS = {
  ok: ["nothing to object", ""],
  not_armed: ["the daemon is not armed", ""],
  price_bounds: ["the price is outside its bounds", "quote"],
  notional_min: ["smaller than the smallest order", "base"],
  duplicate: ["an order of this decision is on its way, or was sent before", ""],
  unreconciled: ["our books and the venue's differ", ""],
  halted: ["trading is halted", ""],
  reducing: ["positions may only shrink", ""],
  daily_loss: ["the loss of the day is at its limit", "quote"],
  session_loss: ["the loss of the session is at its limit", "quote"],
  state_drawdown: ["the loss in this regime state is at its limit", "quote"],
  stale_data: ["the newest bar is too old, or is none", "seconds"],
  confidence: ["the policy is not sure enough", "plain"],
  spread: ["the spread is too wide", "bps"],
  price_collar: ["the price is too far from the last close", "bps"],
  cooldown: ["too soon after a trade the other way", "seconds"],
  reject_rate: ["too many orders were rejected lately", "frac"],
  order_rate: ["too many orders in a minute", "count"],
  shorts_disabled: ["short sales are not allowed", ""],
  notional_max: ["larger than the largest order", "quote"],
  day_budget: ["the day's turnover is used up", "quote"],
  participation: ["too large a share of the last bar's volume", "base"],
  position_limit: ["the largest position is reached", "quote"],
  name_cap: ["too much of the equity in one instrument", "quote"],
  sector_cap: ["too much of the equity in one sector", "quote"],
  exposure_gross: ["the sum of positions is at its limit", "quote"],
  exposure_net: ["the sum of positions on one side is at its limit", "quote"],
  warming_up: ["sizing has seen too few returns", ""],
  no_belief: ["sizing has no regime belief", ""],
  no_edge: ["the policy named no expected return", ""],
  no_stop: ["the policy named no stop on the losing side", ""],
  no_equity: ["the strategy's equity is gone", ""],
  no_quote: ["there is no quote on the side that it takes", ""],
  stop_required: ["it has no protective stop, and must have one", ""],
  stop_price: ["its stop is not on the losing side", ""],
  target_price: ["its target is not on the winning side", ""],
};

const LIMITS = {
  daily_loss_quote: "Loss today",
  session_loss_quote: "Loss of the session",
  drawdown_frac: "Drawdown",
  max_gross_quote: "Gross exposure",
  max_net_quote: "Net exposure",
  max_position_quote: "Largest position",
  max_daily_notional_quote: "Turnover today",
  max_orders_per_minute: "Orders a minute",
};

const UNITS = {
  quote: (value) => money(value, 2),
  base: quantity,
  seconds: (value) => `${quantity(value)} s`,
  bps: (value) => `${money(value, 1)} bps`,
  frac: (value) => percent(value, 0),
  count: (value) => money(value, 0),
  plain: (value) => money(value, 3),
  "": quantity,
};

export const meaning = (reason) => REASONS[reason]?.[0] ?? reason;

// A reason as the daemon keeps it, `code: words` or a code alone, in words.
export function worded(reason) {
  const [, code, rest] = /^([a-z_]+)(?:: (.*))?$/s.exec(reason ?? "") ?? [];
  if (!REASONS[code]) return reason ?? "";
  return rest ? `${meaning(code)} (${rest})` : meaning(code);
}

// Why a strategy is held back: what a restriction says of it goes before the bare name of a limit.
export function heldBack(status, one) {
  const own = status.restrictions.filter((held) => held.state === one.trading_state && (held.scope === `strategy:${one.name}` || held.scope === "all"));
  return worded(own[0]?.reason ?? one.reason);
}

export function numbers(verdict) {
  if (verdict.value == null && verdict.limit == null) return "";
  const show = UNITS[REASONS[verdict.reason]?.[1] ?? ""];
  return `${show(verdict.value)} against ${show(verdict.limit)}`;
}

export const side = (amount) => (amount > 0 ? "buy" : "sell");

// [kind, text] of one verdict; the kind is done, cut or refused.
export function judged(verdict) {
  const asked = `${side(verdict.requested)} ${quantity(Math.abs(verdict.requested))} ${market(verdict.instrument_id)}`;
  if (!verdict.approved) return ["refused", `Refused to ${asked}: ${meaning(verdict.reason)}`];
  if (Math.abs(verdict.approved) < Math.abs(verdict.requested)) {
    return ["cut", `Wanted to ${asked}, cut to ${quantity(Math.abs(verdict.approved))}: ${meaning(verdict.reason)}`];
  }
  return ["done", `Approved: ${asked}`];
}

// [kind, text] of one decision.
export function explained(decision, verdicts, config, stateName) {
  if (!decision) return ["idle", "Warming up: it has not decided yet."];
  const own = verdicts.filter((one) => one.ts_event === decision.ts_event);
  if (own.length) {
    const found = own.map(judged);
    const kind = ["refused", "cut", "done"].find((one) => found.some(([of]) => of === one));
    return [kind, found.map(([, text]) => text).join(". ") + "."];
  }
  const blocked = config?.policy?.blocked_states ?? [];
  if (blocked.includes(decision.regime_state)) {
    return ["idle", `No trade: it enters nothing in regime ${stateName(decision.regime_state)}.`];
  }
  const wants = decision.targets.some((target) => target != null);
  return ["idle", wants ? "No trade: what it wants is what it holds." : "No trade: the policy asked for no change."];
}

export function limitName(row, stateName) {
  const [, of] = row.limit.match(/^state_drawdown_quote\[(\d+)\]$/) ?? [];
  return of === undefined ? (LIMITS[row.limit] ?? row.limit) : `Loss in regime ${stateName(row.scope, Number(of))}`;
}

export function limitValue(row, value) {
  if (row.limit.endsWith("_frac")) return percent(value, 2);
  return money(value, row.limit.endsWith("_quote") && Math.abs(value) < 1000 ? 2 : 0);
}
