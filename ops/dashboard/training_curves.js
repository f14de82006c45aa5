// How a training went: the scores that its scorecard keeps, and TensorBoard's curves where its run is still here.

import { get } from "./api.js";
import { colour, draw, valueAxis } from "./charts.js";
import { el, say, select } from "./dom.js";
import { money, quantity } from "./format.js";

const WANTED = ["train/value_loss", "train/policy_loss", "train/approx_kl", "train/entropy", "train/explained_variance", "eval/score"];
const SHOWN = 4;
const REASONS = { budget: "its budget was used up", patience: "it had not become better for long", stop_score: "it was good enough" };

export async function trainingCurves(host, scorecard, runId) {
  const kept = Object.entries(scorecard?.training ?? {}).filter(([, one]) => one?.scores?.length);
  const grid = el("div.curves");
  host.append(grid);
  for (const [trainer, one] of kept) {
    curve(grid, `${trainer}: score on the span of selection`, one.scores, `best ${money(one.best_score, 4)}, ended because ${REASONS[one.reason] ?? one.reason}`);
  }
  if (runId === null) {
    if (!kept.length) host.append(el("p.empty", {}, "Its scorecard keeps no scores, and it was not trained as a run of this daemon: `argonaut runs train` would leave curves."));
    return;
  }
  try {
    const { scalars } = await get(`/v1/runs/${runId}/tensorboard/tags`);
    await tensorboard(host, runId, scalars);
  } catch (error) {
    host.append(el("p.hint", {}, `The curves of run ${runId} cannot be shown: ${error.message}`));
  }
}

async function tensorboard(host, runId, scalars) {
  const grid = el("div.curves");
  const load = async (tags) => {
    const query = new URLSearchParams(tags.map((tag) => ["tag", tag]));
    const found = await get(`/v1/runs/${runId}/tensorboard/scalars?${query}`);
    grid.replaceChildren();
    for (const tag of tags) curve(grid, tag, found.tags[tag].map((point) => [point.step, point.value]), "");
  };
  const first = [...WANTED.filter((tag) => scalars.includes(tag)), ...scalars].filter((tag, at, all) => all.indexOf(tag) === at).slice(0, SHOWN);
  host.append(el("div.heading", {}, el("h4", {}, `Curves of run ${runId}`),
    scalars.length > SHOWN && select("Curve", [["", "the main curves"], ...scalars.map((tag) => [tag, tag])], "", (tag) => load(tag ? [tag] : first))), grid);
  await load(first);
}

function curve(host, name, points, note) {
  const plot = el("div.plot");
  const readout = el("p.readout");
  host.append(el("figure", {}, el("figcaption", {}, name), readout, plot));
  const tell = (u) => {
    const at = u.cursor.idx;
    say(readout, at == null ? note || `newest ${quantity(points.at(-1)?.[1])}` : `step ${money(points[at][0], 0)}: ${quantity(points[at][1])}`);
  };
  const chart = draw(plot, 170, {
    scales: { x: { time: false } },
    axes: [{ ...valueAxis((value) => money(value, 0)), side: 2, size: 30, space: 80 }, valueAxis(quantity, { space: 28 })],
    series: [{}, { stroke: colour("--accent"), width: 1.6, points: { show: points.length < 30, size: 5 } }],
    hooks: { setCursor: [tell] },
  }, [points.map(([step]) => step), points.map(([, value]) => value)]);
  tell(chart);
}
