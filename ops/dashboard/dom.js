// Elements from data. Whatever a daemon says becomes text, never markup: nothing here parses HTML.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, set] of Object.entries(value)) made.style.setProperty(property, set);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(2).filter((child) => child != null && child !== false));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Writes only what differs, so that a selection, the focus and a screen reader's place stay where they are.
export function say(node, text, className) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
  if (className !== undefined && node.className !== className) node.className = className;
}

export function title(node, text) {
  if (node.title !== (text ?? "")) node.title = text ?? "";
}

// Replaces what is in a node; what is none is left out.
export function refill(node, ...children) {
  node.replaceChildren(...children.flat(2).filter((child) => child != null && child !== false));
}

// Replaces what is in a node, unless `key` says that it would be the same.
export function fill(node, key, make) {
  const wanted = JSON.stringify(key);
  if (node.filledWith === wanted) return;
  node.filledWith = wanted;
  node.replaceChildren(...[make()].flat(2).filter((child) => child != null && child !== false));
}

// A table that is told its rows again and again, and keeps the element of each.
// column: {head, or about where none is seen, cell(row) → text | {text, class, title} | {node, key}, left, class}
export function table(caption, columns, { key, empty }) {
  const body = el("tbody");
  const head = columns.map((column) => el("th", { scope: "col", class: column.left ? "left" : null }, column.head || el("span.hidden", {}, column.about)));
  const shown = el("table", {}, el("caption.hidden", {}, caption), el("thead", {}, el("tr", {}, head)), body);
  const nothing = el("p.empty", {}, "Asking the daemon");
  const root = el("div.scroll", { tabindex: "0", role: "group", "aria-label": caption }, shown, nothing);
  let held = new Map();

  function update(rows) {
    const now = new Map();
    rows.forEach((row, at) => {
      const name = String(key(row));
      const line = held.get(name) ?? el("tr", {}, columns.map((column) =>
        el(column.scope ? "th" : "td", { class: column.left ? "left" : null, scope: column.scope ?? null })));
      columns.forEach((column, place) => put(line.children[place], column, column.cell(row)));
      if (body.children[at] !== line) body.insertBefore(line, body.children[at] ?? null);
      now.set(name, line);
    });
    for (const [name, line] of held) if (!now.has(name)) line.remove();
    held = now;
    shown.hidden = rows.length === 0;
    nothing.hidden = rows.length > 0;
    say(nothing, empty);
  }

  shown.hidden = true;
  return { root, update };
}

function put(cell, column, value) {
  const given = value !== null && typeof value === "object" ? value : { text: value };
  if (given.node) {
    fill(cell, given.key, given.node);
  } else {
    say(cell, given.text ?? "–");
  }
  title(cell, given.title);
  const name = [column.left && "left", column.class, given.class].filter(Boolean).join(" ");
  if (cell.className !== name) cell.className = name;
}

// Buttons of which one is pressed.
export function choice(label, options, chosen, pick) {
  const buttons = options.map(([value, text]) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => press(value) }, text));
  function press(value) {
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(options[at][0] === value)));
    pick(value);
  }
  return el("div.choice", { role: "group", "aria-label": label }, buttons);
}

export function select(label, options, chosen, pick) {
  const box = el("select", { "aria-label": label, onchange: () => pick(box.value) },
    options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return box;
}
