// Who comes from whom: a line of models for each strategy, from left to right.

import { el, svg } from "./dom.js";
import { signed } from "./format.js";
import { link } from "./router.js";

const BOX = { width: 176, height: 52, gapX: 44, gapY: 14 };

// nodes: [{name, id, parent, pointers, isTrading, judged, problem}]
export function lineage(nodes) {
  const names = [...new Set(nodes.map((node) => node.name))];
  return names.map((name) => el("div.lineage", {}, el("h4", {}, name), el("div.scroll", { tabindex: "0", role: "group", "aria-label": `Lineage of ${name}` }, tree(name, nodes.filter((node) => node.name === name)))));
}

function tree(name, nodes) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const depth = (node, trail = new Set()) => {
    const parent = known.get(node.parent);
    return !parent || trail.has(node.id) ? 0 : 1 + depth(parent, new Set([...trail, node.id]));
  };
  const rows = [];
  const places = new Map();
  for (const node of [...nodes].sort((a, b) => depth(a) - depth(b))) {
    const column = depth(node);
    const row = rows[column] ?? 0;
    rows[column] = row + 1;
    places.set(node.id, [column * (BOX.width + BOX.gapX), row * (BOX.height + BOX.gapY)]);
  }
  const width = rows.length * (BOX.width + BOX.gapX) - BOX.gapX + 2;
  const height = Math.max(...rows) * (BOX.height + BOX.gapY) - BOX.gapY + 2;
  const links = nodes.filter((node) => places.has(node.parent)).map((node) => {
    const [x, y] = places.get(node.id);
    const [px, py] = places.get(node.parent);
    const [from, to] = [[px + BOX.width, py + BOX.height / 2], [x, y + BOX.height / 2]];
    const middle = (from[0] + to[0]) / 2;
    return svg("path", { class: "edge", d: `M${from} C${middle},${from[1]} ${middle},${to[1]} ${to}` });
  });
  const boxes = nodes.map((node) => {
    const [x, y] = places.get(node.id);
    const words = [node.isTrading && "trades now", ...node.pointers].filter(Boolean).join(", ");
    const parent = node.parent && !places.has(node.parent) ? `from ${node.parent.slice(0, 6)}, not kept` : "";
    const score = node.problem ? "damaged" : node.judged?.sharpe == null ? parent : `Sharpe ${signed(node.judged.sharpe)}`;
    return svg("a", { href: link("models", node.name, node.id) },
      svg("rect", { class: `node${node.isTrading ? " now" : node.pointers.includes("active") ? " active" : ""}`, x: x + 1, y: y + 1, width: BOX.width - 2, height: BOX.height - 2, rx: 8 }),
      svg("text", { x: x + 12, y: y + 21, class: "node-id" }, node.id),
      svg("text", { x: x + 12, y: y + 39, class: "node-words" }, [words, score].filter(Boolean).join(" · ")));
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": `Lineage of ${name}` }, ...links, ...boxes);
}
