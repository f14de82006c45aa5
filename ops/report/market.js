"use strict";
// One instrument: candles over regime bands, what the strategy did, and what it held.
const Market = (() => {
  const { style, faded, significant, instant } = Charts;

  function draw(host, live, report, market, book, extent) {
    const own = book.instruments[market.instrument] ?? { position: { t: [], quantity: [] }, fills: [] };
    const trades = Trades.of(book.strategy, market.instrument);
    const hidden = { paths: () => null, points: { show: false } };
    Charts.make(host, {
      height: 400,
      scales: { y: {} },
      axes: [Charts.bare, { values: (u, marks) => marks.map(significant), size: 72 }],
      series: [
        { label: "UTC", value: (u, v) => (v == null ? "–" : instant(v)) },
        ...["Open", "High", "Low", "Close"].map((label) => ({ label, ...hidden, value: (u, v) => significant(v) })),
      ],
      hooks: {
        drawClear: [(u) => Bands.draw(u, book.regimes)],
        draw: [(u) => { candles(u, report.candleSeconds); lines(u, trades); marks(u, own.fills); }],
        setCursor: [(u) => { live.textContent = near(u, own.fills, book.regimes, report.candleSeconds); }],
      },
    }, [market.t, market.open, market.high, market.low, market.close]);
    const { t, quantity } = own.position;
    Charts.make(host, {
      height: 120,
      scales: { y: { range: (u, low, high) => [Math.min(low, 0) * 1.1, Math.max(high, 0) * 1.1 || 1] } },
      axes: [Charts.timeAxis, { values: (u, ticks) => ticks.map(significant), size: 72, space: 28 }],
      series: [
        { label: "Position", value: () => "" },
        {
          label: "base units", stroke: () => style("--s2"), fill: () => faded("--s2", 22), width: 1.2,
          paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: (u, v) => significant(v),
        },
      ],
    }, [[extent[0], ...t, extent[1]], [0, ...quantity, quantity.at(-1) ?? 0]]);
  }

  function candles(u, seconds) {
    const [t, open, high, low, close] = u.data;
    const { min, max } = u.scales.x;
    const pixel = u.bbox.width / (max - min);
    const width = Math.max(1, 0.7 * seconds * pixel);
    Bands.clipped(u, (ctx) => {
      const colours = [style("--down"), style("--up")];
      for (let i = 0; i < t.length; i++) {
        if (t[i] + seconds < min || t[i] > max) continue;
        const x = u.valToPos(t[i] + seconds / 2, "x", true);
        ctx.fillStyle = colours[close[i] >= open[i] ? 1 : 0];
        const top = u.valToPos(high[i], "y", true), bottom = u.valToPos(low[i], "y", true);
        ctx.fillRect(x - 0.5, top, 1, Math.max(1, bottom - top));
        if (width < 2.5) continue;
        const upper = u.valToPos(Math.max(open[i], close[i]), "y", true);
        const lower = u.valToPos(Math.min(open[i], close[i]), "y", true);
        ctx.fillRect(x - width / 2, upper, width, Math.max(1, lower - upper));
      }
    });
  }

  function lines(u, trades) {
    const { min, max } = u.scales.x;
    const seen = trades.filter((trade) => trade.exit >= min && trade.entry <= max);
    if (seen.length > 400) return;
    Bands.clipped(u, (ctx) => {
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const trade of seen) {
        ctx.strokeStyle = style(trade.net >= 0 ? "--up" : "--down");
        ctx.beginPath();
        ctx.moveTo(u.valToPos(trade.entry, "x", true), u.valToPos(trade.entryPrice, "y", true));
        ctx.lineTo(u.valToPos(trade.exit, "x", true), u.valToPos(trade.exitPrice, "y", true));
        ctx.stroke();
      }
    });
  }

  function marks(u, fills) {
    const { min, max } = u.scales.x;
    const seen = fills.filter(([t]) => t >= min && t <= max);
    const size = (seen.length > 600 ? 3 : seen.length > 150 ? 4.5 : 6.5) * devicePixelRatio;
    Bands.clipped(u, (ctx) => {
      ctx.lineWidth = 1.4 * devicePixelRatio;
      for (const [t, sign, , price, , role] of seen) {
        const x = u.valToPos(t, "x", true), y = u.valToPos(price, "y", true) + sign * size * 0.4;
        const colour = style(sign > 0 ? "--s0" : "--s1");
        ctx.beginPath();
        ctx.moveTo(x, y - sign * size);
        ctx.lineTo(x - size * 0.85, y + sign * size * 0.7);
        ctx.lineTo(x + size * 0.85, y + sign * size * 0.7);
        ctx.closePath();
        ctx.fillStyle = role === "OPEN" || role === "" ? colour : style("--panel");
        ctx.strokeStyle = role === "STOP" ? style("--down") : colour;
        ctx.fill();
        ctx.stroke();
      }
    });
  }

  function near(u, fills, regimes, seconds) {
    const at = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
    if (at == null) return "";
    const reach = Math.max(seconds / 2, ((u.scales.x.max - u.scales.x.min) / u.bbox.width) * 5 * devicePixelRatio);
    const state = regimes.find(([start, end]) => at >= start && at < end);
    const close = fills.filter(([t]) => Math.abs(t - at) <= reach);
    const told = close.slice(0, 4).map(([t, sign, quantity, price, count, role]) =>
      `${sign > 0 ? "BUY" : "SELL"} ${significant(quantity)} @ ${significant(price)}` +
      `${role ? ` (${role.toLowerCase()})` : ""}${count > 1 ? ` in ${count} fills` : ""}, ${instant(t)}`);
    if (close.length > 4) told.push(`and ${close.length - 4} more fills`);
    return [state ? `state ${state[2]}` : "", ...told].filter(Boolean).join("  ·  ");
  }

  function legend(host, book, seconds) {
    const lengths = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
    const [unit, word] = lengths.find(([length]) => seconds % length === 0);
    const count = seconds / unit;
    const live = document.createElement("span");
    live.className = "live";
    const parts = [`candles of ${count} ${word}${count > 1 ? "s" : ""}`, "▲ buy  ▼ sell", "filled: opens  ·  hollow: closes  ·  red rim: stop"];
    const states = [...new Set(book.regimes.map(([, , state]) => state))].sort((a, b) => a - b);
    host.replaceChildren(live, ...parts.map((text) => Object.assign(document.createElement("span"), { textContent: text })),
      ...states.map((state) => {
        const item = document.createElement("span"), swatch = document.createElement("i");
        swatch.className = `swatch state${state % 6}`;
        item.append(swatch, ` state ${state}`);
        return item;
      }));
    return live;
  }

  return { draw, legend };
})();
