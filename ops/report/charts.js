"use strict";
// Charts over one shared time axis: zooming one zooms all.
const Charts = (() => {
  const linked = [];
  let following = false;
  let extent = [0, 1];
  let view = null;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faded = (name, percent) => `color-mix(in srgb, ${style(name)} ${percent}%, transparent)`;
  const percent = (value, digits = 2) => (value == null ? "–" : `${(100 * value).toFixed(digits).replace("-", "−")} %`);
  const grouped = (value, digits = 2) =>
    value == null ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const significant = (value) => (value == null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 7 }));
  const utc = (seconds) => uPlot.tzDate(new Date(1000 * seconds), "Etc/UTC");
  const instant = (seconds) => new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ");

  function make(host, options, data) {
    const axis = { stroke: () => style("--muted"), grid: { stroke: () => style("--grid"), width: 1 }, ticks: { show: false } };
    const [min, max] = view ?? extent;
    const range = (u, low, high) => [low ?? extent[0], high ?? extent[1]];
    const chart = new uPlot({
      width: host.clientWidth, tzDate: utc,
      cursor: { sync: { key: "argonaut", setSeries: false }, drag: { x: true, y: false }, points: { size: 6 } },
      ...options,
      scales: { x: { time: true, min, max, range }, ...options.scales },
      axes: options.axes.map((own) => ({ ...axis, size: 56, ...own })),
      hooks: { ...options.hooks, setScale: [(u, key) => key === "x" && follow(u), ...(options.hooks?.setScale ?? [])] },
    }, data, host);
    reachable(chart);
    linked.push(chart);
    return chart;
  }

  // The legend's entries switch lines on and off; the keyboard must reach them too.
  function reachable(chart) {
    chart.root.querySelectorAll(".u-legend .u-series:not(:first-child) th").forEach((entry) => {
      entry.tabIndex = 0;
      entry.setAttribute("role", "button");
      entry.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        entry.click();
      });
    });
  }

  function follow(source) {
    // A chart that was destroyed may still have a change of scale on its way.
    if (following || !linked.includes(source) || source.scales.x.min == null) return;
    following = true;
    const { min, max } = source.scales.x;
    for (const { scales, setScale } of linked) if (scales.x.min !== min || scales.x.max !== max) setScale("x", { min, max });
    following = false;
    view = [min, max];
  }

  function zoom(min, max) {
    const [first, last] = extent;
    const least = Math.min(last - first, 60);
    const width = Math.max(least, Math.min(max - min, last - first));
    const start = Math.max(first, Math.min(min, last - width));
    linked[0].setScale("x", { min: start, max: start + width });
  }

  function keys(host) {
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.addEventListener("keydown", (event) => {
      const { min, max } = linked[0].scales.x;
      const width = max - min;
      const moves = {
        ArrowLeft: [min - width / 10, max - width / 10], ArrowRight: [min + width / 10, max + width / 10],
        "+": [min + width / 8, max - width / 8], "=": [min + width / 8, max - width / 8],
        "-": [min - width / 6, max + width / 6], "0": extent,
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !moves[event.key]) return;
      event.preventDefault();
      zoom(...moves[event.key]);
    });
  }

  // Starts afresh; whatever is made next shows the same stretch of time, or the one that is asked for.
  function clear(whole, asked) {
    for (const chart of linked.splice(0)) chart.destroy();
    extent = whole;
    view = asked ?? view;
  }

  function resize() {
    for (const chart of linked) chart.setSize({ width: chart.root.parentElement.clientWidth, height: chart.height });
  }

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  // The day stands beside the hour, and the year beside the day, only where they change.
  function dates(u, marks, axis, space, step) {
    let before = "";
    return marks.map((mark) => {
      const text = instant(mark), day = `${Number(text.slice(8, 10))} ${MONTHS[text.slice(5, 7) - 1]}`;
      const [fine, coarse] = step >= 86400 ? [day, text.slice(0, 4)] : [text.slice(11), `${day} ${text.slice(0, 4)}`];
      const told = coarse === before ? fine : `${fine}\n${coarse}`;
      before = coarse;
      return told;
    });
  }
  const timeAxis = { space: 80, size: 42, values: dates };
  const bare = { space: 80, values: (u, marks) => marks.map(() => ""), size: 6 };

  function equity(host, data, logarithmic) {
    const colour = (line, at) => () => (line.kind === "account" ? style("--s0") : style(`--s${1 + ((at - 1) % 7)}`));
    const visible = data.lines.map((line) => line.returns.map((r) => (logarithmic ? Math.max(1 + r, 1e-6) : r)));
    const shown = (u, v) => (v == null ? "–" : percent(logarithmic ? v - 1 : v));
    make(host, {
      height: 320,
      scales: { y: { distr: logarithmic ? 3 : 1 } },
      axes: [bare, { values: (u, marks) => marks.map((m) => (m == null ? "" : percent(logarithmic ? m - 1 : m, 1))), size: 64 }],
      series: [
        { label: "UTC", value: (u, v) => (v == null ? "–" : instant(v)) },
        ...data.lines.map((line, at) => ({
          label: line.name, stroke: colour(line, at), width: line.kind === "account" ? 2 : 1.3,
          dash: line.kind === "baseline" ? [6, 4] : undefined, points: { show: false }, value: shown,
        })),
      ],
    }, [data.t, ...visible]);
    const account = data.lines[0];
    make(host, {
      height: 130, legend: { show: true },
      scales: { y: { range: (u, low) => [Math.min(low, -0.001) * 1.05, 0] } },
      axes: [bare, { values: (u, marks) => marks.map((m) => percent(m, 1)), size: 64, space: 28 }],
      series: [
        { label: "Drawdown", value: () => "" },
        ...data.lines.map((line, at) => ({
          label: line.name, stroke: at ? colour(line, at) : () => style("--down"), width: 1.2,
          fill: at ? undefined : () => faded("--down", 22), dash: line.kind === "baseline" ? [6, 4] : undefined,
          show: at === 0, points: { show: false }, value: (u, v) => percent(v),
        })),
      ],
    }, [data.t, ...data.lines.map((line) => line.drawdown.map((d) => -d))]);
    make(host, {
      height: 118,
      scales: { y: { range: (u, low, high) => [0, Math.max(high, 0.01) * 1.08] } },
      axes: [timeAxis, { values: (u, marks) => marks.map((m) => percent(m, 0)), size: 64, space: 24 }],
      series: [
        { label: "Exposure", value: () => "" },
        { label: account.name, stroke: () => style("--s3"), fill: () => faded("--s3", 22), width: 1, points: { show: false }, value: (u, v) => percent(v, 1) },
      ],
    }, [data.t, data.exposure]);
  }

  function days(host, data) {
    const bars = uPlot.paths.bars({ size: [0.8, 14], align: 1 });
    const side = (sign) => data.returns.map((r) => (sign * r > 0 ? r : null));
    const chart = new uPlot({
      width: host.clientWidth, height: 160, tzDate: utc,
      scales: { x: { time: true, range: (u, a, b) => [a - 43200, Math.max(b, a) + 129600] } },
      axes: [timeAxis, { values: (u, marks) => marks.map((m) => percent(m, 1)), size: 64 }].map((own) =>
        ({ stroke: () => style("--muted"), grid: { stroke: () => style("--grid") }, ticks: { show: false }, ...own })),
      series: [
        { label: "Day", value: (u, v) => (v == null ? "–" : instant(v).slice(0, 10)) },
        { label: "Gain", paths: bars, fill: () => style("--up"), points: { show: false }, value: (u, v) => percent(v) },
        { label: "Loss", paths: bars, fill: () => style("--down"), points: { show: false }, value: (u, v) => percent(v) },
      ],
    }, [data.t, side(1), side(-1)], host);
    return chart;
  }

  return { make, zoom, keys, clear, resize, equity, days, style, faded, percent, grouped, significant, instant, timeAxis, bare };
})();
