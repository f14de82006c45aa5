// Which page is shown: `#/page/rest`. One that is not shown asks nothing and draws nothing.

import { byId } from "./dom.js";
import { turnTo, within } from "./live.js";

const FIRST = "overview";
let pages = {};
let state = "";
let name = "";
let hasMoved = false;
const mounted = new Set();

export const parts = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
export const link = (...path) => `#/${path.map(encodeURIComponent).join("/")}`;

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// pages: {name: {mount(host), show(rest, host) or none}}; the element of a page is #page-name.
export function route(given) {
  pages = given;
  addEventListener("hashchange", () => turn(true));
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
  turn(false);
}

function turn(isMove) {
  const [asked, ...rest] = parts();
  const wanted = Object.hasOwn(pages, asked ?? "") ? asked : FIRST;
  const page = pages[wanted];
  const host = byId(`page-${wanted}`);
  document.querySelectorAll(".page").forEach((one) => { one.hidden = one !== host; });
  document.querySelectorAll("#pages a").forEach((one) => {
    if (one.hash === `#/${wanted}`) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  });
  const isAnother = name !== wanted;
  name = wanted;
  if (!mounted.has(wanted)) {
    mounted.add(wanted);
    within(wanted, () => page.mount(host));
  }
  within(wanted, () => page.show?.(rest, host));
  if (isAnother) turnTo(wanted);
  titled();
  hasMoved = isMove;
  if (!isMove) return;
  scrollTo(0, 0);
  host.querySelector("h2")?.focus({ preventScroll: true });
}

// Once what was asked for stands where the heading of before was.
export function settled() {
  titled();
  if (hasMoved && document.activeElement === document.body) byId(`page-${name}`).querySelector("h2")?.focus({ preventScroll: true });
}

// The name of a page is its heading's.
export function titled(told = state) {
  state = told;
  const heading = byId(`page-${name}`)?.querySelector("h2")?.textContent ?? "";
  document.title = [state, heading, "Argonaut"].filter(Boolean).join(" · ");
}

