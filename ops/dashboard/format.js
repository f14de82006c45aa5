// Numbers and times as people read them. A sign is always shown where it matters, and never by colour alone.

const ABSENT = "–";
const MINUS = "−";
const NS = 1_000_000;

const plain = (value, digits) =>
  value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", MINUS);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const money = (value, digits = 2) => (isNumber(value) ? plain(value, digits) : ABSENT);
export const quantity = (value) =>
  isNumber(value) ? value.toLocaleString("en-GB", { maximumSignificantDigits: 8 }).replace("-", MINUS) : ABSENT;
export const price = (value) =>
  isNumber(value) ? value.toLocaleString("en-GB", { maximumSignificantDigits: 8 }).replace("-", MINUS) : ABSENT;
export const percent = (frac, digits = 1) => (isNumber(frac) ? `${plain(100 * frac, digits)} %` : ABSENT);

export function signed(value, digits = 2) {
  if (!isNumber(value)) return ABSENT;
  const text = plain(value, digits);
  return /[1-9]/.test(text) && value > 0 ? `+${text}` : /[1-9]/.test(text) ? text : text.replace(MINUS, "");
}
export const signedPercent = (frac, digits = 2) => (isNumber(frac) ? `${signed(100 * frac, digits)} %` : ABSENT);

// A gain or loss: its class and its shape.
export const tone = (value) => (!isNumber(value) || Math.abs(value) < 0.005 ? "flat" : value > 0 ? "up" : "down");
export const arrow = (value) => ({ up: "▲ ", down: "▼ ", flat: "" })[tone(value)];
export const gain = (value, digits = 2) => arrow(value) + signed(value, digits);

const date = (ns) => new Date(Number(ns) / NS);
export const instant = (ns) => (ns ? date(ns).toISOString().slice(0, 16).replace("T", " ") : ABSENT);
export const moment = (ns) => (ns ? date(ns).toISOString().slice(0, 19).replace("T", " ") : ABSENT);
export const clock = (ns) => (ns ? date(ns).toISOString().slice(11, 19) : ABSENT);
export const local = (ns) => (ns ? `${date(ns).toLocaleString(undefined, { timeZoneName: "short" })} here` : "");
export const ofSecs = (secs) => (secs == null ? 0 : secs * 1e9);

export function duration(secs) {
  if (!isNumber(secs)) return ABSENT;
  const left = Math.max(0, secs);
  if (left < 60) return `${Math.floor(left)} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min`;
  if (left < 86_400) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min`;
  return `${Math.floor(left / 86_400)} d ${Math.floor((left % 86_400) / 3600)} h`;
}

export const bytes = (count) => (isNumber(count) ? `${plain(count / 2 ** 30, 1)} GiB` : ABSENT);
export const short = (hash, digits = 10) => (hash ? String(hash).slice(0, digits) : ABSENT);
export const market = (instrumentId) => String(instrumentId ?? "").split(".")[0];
