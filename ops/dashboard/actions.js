// What an operator may do from here: say why, type a word, send it once, and see the journal's record of it.

import { get, post, Problem, session } from "./api.js";
import { byId, el, say } from "./dom.js";
import { moment } from "./format.js";
import { live, reconnect } from "./live.js";

const MODES = [
  ["reduce-only", "Reduce only", "positions may only shrink"],
  ["halt", "Halt", "no new risk, entries are cancelled, positions and their stops stay"],
  ["flatten", "Flatten", "halt, and close every position at the market"],
];
const LOOKS = 40;
const LOOK_MS = 400;

// name: {title, about, path, word, role, body}
const ACTIONS = {
  kill: {
    title: "Kill: hold trading back", role: "operator", path: "/v1/kill", danger: true,
    about: "In force at once, and over restarts, until somebody resumes it.",
    word: (form) => ({ "reduce-only": "REDUCE", halt: "HALT", flatten: "FLATTEN" })[form.mode],
    body: (form) => ({ scope: form.scope, mode: form.mode }),
  },
  resume: {
    title: "Resume trading", role: "operator", path: "/v1/resume", word: () => "RESUME",
    about: "Lifts what was imposed on exactly this scope. Find out first why it was.",
    body: (form, asked) => ({ scope: asked.scope }),
  },
  pause: {
    title: "Pause a strategy", role: "operator", path: "/v1/pause", word: () => "PAUSE",
    about: "It adds no risk any more and goes on watching.", body: (form, asked) => ({ strategy: asked.strategy }),
  },
  unpause: {
    title: "End a pause", role: "operator", path: "/v1/unpause", word: () => "UNPAUSE",
    about: "The strategy may open positions again.", body: (form, asked) => ({ strategy: asked.strategy }),
  },
  stop: {
    title: "Stop the daemon", role: "admin", path: "/v1/stop", word: () => "STOP", danger: true,
    about: "In order: entries are cancelled, records are closed, and this page goes dark.",
    body: (form) => (form.flatten ? { flatten: true } : {}),
  },
  job: {
    title: "Run a job now", role: "operator", path: "/v1/jobs/run", word: () => "RUN",
    about: "Whatever its schedule says.", body: (form, asked) => ({ name: asked.name }),
  },
};

export function act(name, asked = {}) {
  const action = ACTIONS[name];
  const fields = { mode: "halt", scope: "all", flatten: false };
  const reason = el("input", { id: "reason", required: true, maxlength: "500", autocomplete: "off", placeholder: "for the record" });
  const word = el("input", { id: "word", required: true, autocomplete: "off", autocapitalize: "characters", spellcheck: "false" });
  const token = el("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const wordLabel = el("label", { for: "word" });
  const send = el(action.danger ? "button.danger" : "button.primary", { type: "submit", disabled: true }, action.title.split(":")[0]);
  const result = el("div.result", { role: "status" });
  const tokenField = el("div.field", {}, el("label", { for: "token" }, `Token of an ${action.role}`), token,
    el("p.hint", {}, "Make one with ", el("code", {}, `argonaut token new ${action.role}`), "; it is kept in this tab only."));
  tokenField.hidden = Boolean(session.token);
  let key = crypto.randomUUID();

  function check() {
    const wanted = action.word(fields);
    say(wordLabel, `Type ${wanted} to confirm`);
    const hasToken = tokenField.hidden || token.value.trim() !== "";
    send.disabled = !(reason.value.trim() && word.value.trim().toUpperCase() === wanted && hasToken);
  }

  const form = el("form", { novalidate: true, onsubmit: submit, oninput: () => { key = crypto.randomUUID(); check(); } },
    el("p", {}, action.about, asked.scope ? ` Scope: ${asked.scope}.` : "", asked.strategy ? ` Strategy: ${asked.strategy}.` : "", asked.name ? ` Job: ${asked.name}.` : ""),
    name === "kill" && choices(fields, check),
    name === "stop" && el("label.check", {}, el("input", { type: "checkbox", onchange: (event) => { fields.flatten = event.target.checked; } }), " close all positions first"),
    el("div.field", {}, el("label", { for: "reason" }, "Reason"), reason),
    tokenField,
    el("div.field", {}, wordLabel, word),
    result,
    el("div.buttons", {}, el("button", { type: "button", onclick: close }, "Cancel"), send),
  );

  async function submit(event) {
    event.preventDefault();
    if (send.disabled) return;
    if (!tokenField.hidden) session.token = token.value.trim();
    send.disabled = true;
    say(result, "Sending", "result");
    const begun = live.status?.time_ns ?? 0;
    const body = { ...action.body(fields, asked), reason: reason.value.trim() };
    try {
      const answer = await post(action.path, body, key);
      form.querySelectorAll("input, select").forEach((one) => { one.disabled = true; });
      send.hidden = true;
      form.querySelector(".buttons button").textContent = "Close";
      result.className = "result done";
      const record = el("p", {}, "Looking for it in the journal");
      result.replaceChildren(el("p", {}, el("strong", {}, "Done. "), summary(answer)), record);
      await find(record, body.reason, begun);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401 || error.status === 403) {
        tokenField.hidden = false;
        if (error.status === 401) session.token = "";
      }
      say(result, refusal(error, action.role), "result refused");
      check();
    }
  }

  show(action.title, form);
  check();
  (name === "kill" ? form.querySelector("input[type=radio]:checked") : reason).focus();
}

function choices(fields, check) {
  const strategies = live.status?.strategies ?? [];
  const instruments = [...new Set(strategies.flatMap((one) => one.instruments))];
  const venues = [...new Set(instruments.map((one) => one.split(".").at(-1)))];
  const scopes = ["all", ...strategies.map((one) => `strategy:${one.name}`), ...venues.map((one) => `venue:${one}`), ...instruments.map((one) => `instrument:${one}`)];
  return [
    el("fieldset", {}, el("legend", {}, "How far"), MODES.map(([mode, name, about]) =>
      el("label.radio", {}, el("input", { type: "radio", name: "mode", value: mode, checked: mode === fields.mode, onchange: () => { fields.mode = mode; check(); } }),
        el("span", {}, el("strong", {}, name), " ", about)))),
    el("div.field", {}, el("label", { for: "scope" }, "Of what"),
      el("select", { id: "scope", onchange: (event) => { fields.scope = event.target.value; } }, scopes.map((one) => el("option", { value: one }, one === "all" ? "everything" : one.replace(":", " "))))),
  ];
}

const WORDS = {
  trading_state: (value) => `Trading state ${value}.`,
  durable: (value) => (value ? "On the disk." : "NOT ON THE DISK: it holds, but not over a restart."),
  cancels_sent: (value) => `Cancels sent: ${value}.`,
  changed: (value) => (value ? "" : "It was so before."),
  state: (value) => `${value}.`,
  detail: (value) => value,
  run_id: (value) => `Run ${value}.`,
};
const summary = (answer) =>
  Object.entries(WORDS).filter(([key]) => answer[key] != null).map(([key, told]) => told(answer[key])).filter(Boolean).join(" ");

function refusal(error, role) {
  if (error.status === 401) return "This token is not valid. Nothing was done.";
  if (error.status === 403) return `This token may not do that: it takes one of an ${role} or above. Nothing was done. (${error.message})`;
  if (error.status === 0) return `${error.message}: whether it was carried out is not known. Sending it again does it only once.`;
  return `Refused: ${error.message}`;
}

// The command's own record, as the journal has it.
async function find(node, reason, begun) {
  for (let look = 0; look < LOOKS; look++) {
    await new Promise((done) => setTimeout(done, LOOK_MS));
    try {
      const { rows } = await get("/v1/commands", { limit: 20 });
      const own = rows.filter((row) => row.reason === reason && row.ts_ns >= begun - 2e9);
      const row = own.find((one) => one.body.stage !== "asked") ?? own[0];
      if (row) return say(node, `Journal record ${row.seq}: ${row.command} by ${row.who}, ${moment(row.ts_ns)} UTC`, "record");
    } catch (error) {
      if (error.status === 0) break;
    }
  }
  say(node, "The record was not seen yet; the tab Commands shows it.");
}

export function askForToken(problem = "") {
  const token = el("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", placeholder: "argo_…" });
  const result = el("p.result", { role: "status" });
  say(result, problem, problem ? "result refused" : "result");
  const form = el("form", { novalidate: true, onsubmit: submit },
    el("p", {}, "Without a token this page looks at most. ", el("code", {}, "argonaut token new operator"), " makes one; it is kept in this tab only, until the tab is closed."),
    el("div.field", {}, el("label", { for: "token" }, "Token"), token), result,
    el("div.buttons", {}, session.token && el("button", { type: "button", onclick: forget }, "Forget it"), el("button", { type: "button", onclick: close }, "Cancel"), el("button.primary", { type: "submit" }, "Use it")),
  );
  function forget() {
    session.token = "";
    close();
    reconnect();
  }
  async function submit(event) {
    event.preventDefault();
    const before = session.token;
    session.token = token.value.trim();
    try {
      await get("/v1/status");
      close();
      reconnect();
    } catch (error) {
      session.token = before;
      say(result, error.status === 401 || error.status === 429 ? "This token is not valid." : error.message, "result refused");
    }
  }
  show("Token", form);
  token.focus();
}

export function show(heading, content) {
  const dialog = byId("dialog");
  dialog.replaceChildren(el("h2", { id: "dialog-title" }, heading), content);
  if (!dialog.open) dialog.showModal();
}

export function close() {
  byId("dialog").close();
}
