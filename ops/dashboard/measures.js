// The figures of a backtest: how each is called and written, and whether more of it is better.

import { money, percent, signed, signedPercent } from "./format.js";

const plain = (value) => money(value, 2);
const seconds = (value) => (value == null ? "–" : value >= 172_800 ? `${money(value / 86_400, 1)} d` : value >= 7_200 ? `${money(value / 3600, 1)} h` : `${money(value / 60, 1)} min`);
const whole = (value) => money(value, 0);
const bps = (value) => `${money(value, 1)} bps`;

// key: [name, how it is written, 1 where more is better, -1 where less is, 0 where neither]
export const MEASURES = {
  total_return_frac: ["Return", (value) => signedPercent(value, 2), 1],
  cagr_frac: ["Return a year", (value) => signedPercent(value, 1), 1],
  sharpe: ["Sharpe", (value) => signed(value, 2), 1],
  sortino: ["Sortino", (value) => signed(value, 2), 1],
  calmar: ["Calmar", (value) => signed(value, 2), 1],
  max_drawdown_frac: ["Largest drawdown", (value) => percent(value, 2), -1],
  average_drawdown_frac: ["Average drawdown", (value) => percent(value, 2), -1],
  longest_drawdown_secs: ["Longest drawdown", seconds, -1],
  volatility_annual: ["Volatility a year", (value) => percent(value, 1), 0],
  final_equity_quote: ["Equity at the end", plain, 0],
  pnl_quote: ["Profit", (value) => signed(value, 2), 1],
  trade_count: ["Round trips", whole, 0],
  hit_rate: ["Won", (value) => percent(value, 1), 1],
  profit_factor: ["Profit factor", plain, 1],
  average_trade_bps: ["Average trade", bps, 1],
  average_trade_quote: ["Average trade, quote", plain, 1],
  best_trade_quote: ["Best trade", plain, 1],
  worst_trade_quote: ["Worst trade", plain, 1],
  average_hold_secs: ["Average time held", seconds, 0],
  time_in_market_frac: ["Time in the market", (value) => percent(value, 1), 0],
  average_exposure_frac: ["Average exposure", (value) => percent(value, 1), 0],
  turnover_annual: ["Turnover a year", (value) => `${money(value, 1)} ×`, -1],
  "costs.total_quote": ["Costs", plain, -1],
  "costs.bps_of_notional": ["Costs of what was traded", bps, -1],
  "costs.drag_frac": ["Costs of the capital", (value) => percent(value, 2), -1],
};

const at = (metrics, key) => key.split(".").reduce((value, part) => value?.[part], metrics);

// {value, low, high} of a figure; without an interval low and high are null.
export function figure(metrics, key) {
  const found = at(metrics, key);
  if (found !== null && typeof found === "object") return { value: found.value, low: found.ci_low, high: found.ci_high };
  return { value: found ?? null, low: null, high: null };
}

export const written = (key, value) => (value == null ? "–" : MEASURES[key][1](value));
const glued = (key, value) => written(key, value).replaceAll(" ", "\u00a0");
export const interval = (key, { low, high }) => (low == null || high == null ? "" : `${glued(key, low)} to ${glued(key, high)}`);
