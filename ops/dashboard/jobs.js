// What is done beside trading, and, where the daemon has them, its models and recorded runs.

import { act, close, show } from "./actions.js";
import { get } from "./api.js";
import { byId, el, say, table } from "./dom.js";
import { duration, local, moment, ofSecs, short } from "./format.js";
import { every, live } from "./live.js";

const BAD = ["FAILED", "INTERRUPTED"];

export function mount() {
  const jobs = table("Jobs", [
    { head: "Job", left: true, scope: "row", cell: (row) => ({ text: row.name, title: row.about }) },
    { head: "Schedule", left: true, cell: (row) => row.schedule },
    { head: "Due", left: true, cell: (row) => due(row) },
    { head: "Newest run", left: true, class: "words", cell: (row) => newest(row) },
    { head: "", left: true, cell: (row) => ({ key: [row.newest?.run_id], node: () => buttons(row) }) },
  ], { key: (row) => row.name, empty: "No job is set up." });
  byId("jobs").append(jobs.root);
  every(10, async () => jobs.update(await get("/v1/jobs")));
  const routes = document.body.dataset.routes.split(" ");
  if (routes.includes("/v1/models")) listed("Models", "/v1/models", "No model is kept here.");
  if (routes.includes("/v1/runs")) listed("Recorded runs", "/v1/runs", "No run was recorded yet.");
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

// Whatever columns the rows have; the first ones that are plain values.
function listed(name, path, empty) {
  const host = el("div.listed");
  byId("about").append(el("h3", {}, name), host);
  let columns = "";
  let shown = null;
  every(30, async () => {
    const found = await get(path);
    const rows = (Array.isArray(found) ? found : (found.rows ?? [])).slice(0, 20);
    const plain = Object.keys(rows[0] ?? {}).filter((key) => rows.every((row) => row[key] === null || typeof row[key] !== "object")).slice(0, 5);
    if (shown === null || columns !== plain.join()) {
      columns = plain.join();
      const cells = plain.map((key) => ({ head: key.replaceAll("_", " "), left: true, cell: (row) => ({ text: short(row[key], 26), title: String(row[key] ?? "") }) }));
      shown = table(name, cells, { key: (row) => JSON.stringify(row), empty });
      host.replaceChildren(shown.root);
    }
    shown.update(rows);
  });
}
