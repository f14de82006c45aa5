// What is done beside trading.

import { act, close, show } from "./actions.js";
import { get } from "./api.js";
import { byId, el, say, table } from "./dom.js";
import { duration, local, moment, ofSecs } from "./format.js";
import { every, live } from "./live.js";

const BAD = ["FAILED", "INTERRUPTED"];

export function mount() {
  const jobs = table("Jobs", [
    { head: "Job", left: true, scope: "row", cell: (row) => ({ text: row.name, title: row.about }) },
    { head: "Schedule", left: true, cell: (row) => row.schedule },
    { head: "Due", left: true, cell: (row) => due(row) },
    { head: "Newest run", left: true, class: "words", cell: (row) => newest(row) },
    { head: "", about: "Log and run", left: true, cell: (row) => ({ key: [row.newest?.run_id], node: () => buttons(row) }) },
  ], { key: (row) => row.name, empty: "No job is set up." });
  byId("jobs").append(jobs.root);
  every(10, async () => jobs.update(await get("/v1/jobs")));
}

function due(row) {
  if (!row.due_at) return "–";
  const at = ofSecs(row.due_at);
  return { text: `in ${duration(row.due_at - (live.status?.time_ns ?? 0) / 1e9)}`, title: `${moment(at)} UTC, ${local(at)}` };
}

function newest(row) {
  if (!row.newest) return "not yet";
  const { state, ended_at: ended, detail } = row.newest;
  const when = ended ? ` ${moment(ofSecs(ended)).slice(0, 16)}` : "";
  return { text: `${state.toLowerCase()}${when}`, title: detail, class: BAD.includes(state) ? "bad" : "" };
}

function buttons(row) {
  return [
    row.newest && el("button.quiet", { type: "button", onclick: () => log(row) }, "Log"),
    el("button.quiet", { type: "button", "aria-label": `Run ${row.name}`, onclick: () => act("job", { name: row.name }) }, "Run"),
  ];
}

async function log(row) {
  const text = el("pre.log", { tabindex: "0" }, "Loading");
  show(`${row.name}, run ${row.newest.run_id}`, el("div", {}, text, el("div.buttons", {}, el("button", { type: "button", onclick: close }, "Close"))));
  try {
    const found = await get(`/v1/jobs/runs/${row.newest.run_id}`);
    say(text, found.log || found.detail || "It has said nothing.");
  } catch (error) {
    say(text, error.message);
  }
}
