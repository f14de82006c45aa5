// What trades and how it is set, which kinds of policy there are, and what to type to try one.

import { get } from "./api.js";
import { el, fill } from "./dom.js";
import { short } from "./format.js";
import { live, wish } from "./live.js";
import { flat } from "./page_settings.js";
import { link } from "./router.js";

export function mount(host) {
  const own = el("div.cards.wide-cards");
  const kinds = el("div.cards.wide-cards");
  host.append(el("h2.page-title", { tabindex: "-1" }, "Strategies"), own, el("h3.between", {}, "Kinds of policy"), kinds);
  wish("strategies")(async () => {
    try {
      const [strategies, policies] = await Promise.all([get("/v1/strategies"), get("/v1/policies")]);
      fill(own, strategies.map((row) => [row.name, row.sha256, row.policy_id]), () => strategies.map((row) => strategy(row, policies)));
      fill(kinds, policies, () => policies.map(kind));
    } catch (error) {
      fill(own, error.message, () => el("p.problem", {}, error.message));
    }
  });
}

function strategy(row, policies) {
  const { config } = row;
  const policy = policies.find((one) => one.kind === config.policy.kind);
  const changed = flat("", config).filter(([name]) => !["name", "description"].includes(name) && !name.startsWith("regime.") && !name.startsWith("features."));
  return el("article.card", { "aria-label": `Strategy ${row.name}` },
    el("div.card-head", {}, el("h3", {}, row.name), el("span.chip", {}, config.policy.kind)),
    el("p.words", {}, config.description || "Its file describes nothing."),
    policy && el("p.about", {}, policy.about.split("\n\n")[0].replaceAll("`", "")),
    el("dl.pairs", {}, pair("Instruments", config.instruments.join(", ")), pair("Bars", config.interval), pair("Features", config.features.columns.map((one) => [one.kind, ...Object.values(one.params)].join(" ")).join(", ")),
      pair("Regimes", row.regime_states.length ? row.regime_states.map((state) => state.name).join(", ") : "no regime model"), pair("Policy", short(row.policy_id, 16)), pair("File", row.file)),
    commands(commandsOf(row)),
    el("details", {}, el("summary", {}, "Every parameter"), parameters(changed)));
}

function commandsOf(row) {
  const host = live.status?.config ?? "configs/paper.toml";
  const lines = [["Backtest it with its host", `argonaut backtest ${host}`], ["Its newest decisions", `argonaut decisions --strategy ${row.name}`], ["Hold it back, and let it go on", `argonaut pause ${row.name} --reason "looking"\nargonaut unpause ${row.name} --reason "looked at"`]];
  if (row.config.policy.kind === "bundle") lines.push(["Its models", "argonaut models list"]);
  return lines;
}

const commands = (lines) => el("div", {}, lines.map(([words, text]) => [el("p.label", {}, words), el("pre.command", {}, text)]));

function parameters(rows) {
  return el("div.scroll.tall", { tabindex: "0", role: "group", "aria-label": "Parameters" }, el("table", {}, el("caption.hidden", {}, "Parameters"),
    el("thead", {}, el("tr", {}, el("th.left", { scope: "col" }, "Setting"), el("th.left", { scope: "col" }, "Value"))),
    el("tbody", {}, rows.map(([name, value]) => el("tr", {}, el("th.left", { scope: "row" }, el("code", {}, name)), el("td.left.words", {}, el("code", {}, value)))))));
}

function kind(row) {
  const [first, ...more] = row.about.split("\n\n");
  const required = row.parameters.filter((one) => one.is_required).map((one) => `${one.name} = "…"`);
  return el("article.card", { "aria-label": `Policy ${row.kind}` },
    el("div.card-head", {}, el("h4", {}, row.kind)),
    el("p.words", {}, first.replaceAll("`", "")), more.map((part) => el("p.about", {}, part.replaceAll("`", ""))),
    el("pre.command", {}, ["[policy]", `kind = "${row.kind}"`, ...required].join("\n")),
    el("details", {}, el("summary", {}, `${row.parameters.length} parameters`),
      el("dl.parameters", {}, row.parameters.map((one) => [
        el("dt", {}, el("code", {}, one.name), el("span.muted", {}, one.is_required ? " required" : ` ${JSON.stringify(one.default)}`)),
        el("dd", {}, [one.about, `Expects ${one.expected}.`].filter(Boolean).join(" "))]))),
    row.kind === "bundle" && el("p", {}, el("a", { href: link("models") }, "Models that were trained")));
}

const pair = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
