"use strict";
// Regimes behind a chart of uPlot: over each stay a faint band as high as the plot, its colour along the bottom.
// The report carries it; the dashboard loads it.
const Bands = (() => {
  const FAINT = 0.13;
  const STRIP = 4;

  // Whatever is painted ends where the plot does.
  function clipped(u, paint) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    paint(ctx, bbox);
    ctx.restore();
  }

  // stays: [from, to, state] of each, in the seconds of the chart's axis.
  function draw(u, stays) {
    const styles = getComputedStyle(document.documentElement);
    const colours = [0, 1, 2, 3, 4, 5].map((state) => styles.getPropertyValue(`--state${state}`).trim());
    const strip = STRIP * devicePixelRatio;
    clipped(u, (ctx, box) => {
      for (const [from, to, state] of stays) {
        if (to < u.scales.x.min || from > u.scales.x.max) continue;
        const left = Math.round(u.valToPos(from, "x", true));
        const width = Math.max(1, Math.round(u.valToPos(to, "x", true)) - left);
        ctx.fillStyle = colours[state % 6];
        ctx.globalAlpha = FAINT;
        ctx.fillRect(left, box.top, width, box.height);
        ctx.globalAlpha = 1;
        ctx.fillRect(left, box.top + box.height - strip, width, strip);
      }
    });
  }

  return { clipped, draw };
})();
