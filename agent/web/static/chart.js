/* Latency chart of the last minutes: median of each second as a line, maximum as an area. */

import { el } from "./dom.js";
import { svg } from "./icons.js";

const WIDTH = 600;
const HEIGHT = 100;
const SECONDS = 180;
const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000]; // maxima of the scale, ms

export function drawChart(place, series) {
  const known = series.filter((point) => point.mid_ms !== undefined);
  const highest = Math.max(0, ...known.map((point) => point.max_ms));
  const top = STEPS.find((step) => step >= highest * 1.1) ?? highest;
  const last = series.at(-1)?.ts_ms ?? 0;
  const x = (point) => WIDTH - ((last - point.ts_ms) / 1000 / SECONDS) * WIDTH;
  const y = (ms) => HEIGHT - (ms / top) * HEIGHT;
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": inWords(known) },
    svg("path", { class: "base", d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}` }),
    ...runs(series).flatMap((run) => {
      const line = run.map((point) => `${x(point).toFixed(1)} ${y(point.mid_ms).toFixed(1)}`).join("L");
      const area = run.map((point) => `${x(point).toFixed(1)} ${y(point.max_ms).toFixed(1)}`).join("L");
      return [
        svg("path", { class: "max", d: `M${x(run[0]).toFixed(1)} ${HEIGHT}L${area}V${HEIGHT}Z` }),
        svg("path", { class: "mid", d: `M${line}` }),
      ];
    }),
  );
  const scale = el("p", { class: "scale", "aria-hidden": "true" }, `${top} ms`);
  const key = el("p", { class: "keys", "aria-hidden": "true" }, el("span", { class: "key" }, "middle"), el("span", { class: "key soft" }, "slowest of each second"));
  place.replaceChildren(scale, drawing, key);
}

/* Intervals without a gap: nothing is drawn where no frame arrived. */
function runs(series) {
  const found = [];
  let run = [];
  for (const point of [...series, {}]) {
    if (point.mid_ms !== undefined) run.push(point);
    else if (run.length) {
      found.push(run);
      run = [];
    }
  }
  return found.filter((each) => each.length > 1);
}

function inWords(known) {
  if (!known.length) return "No frame in the last three minutes";
  const middles = known.map((point) => point.mid_ms).sort((a, b) => a - b);
  const slowest = Math.max(...known.map((point) => point.max_ms));
  return `Latency of the last three minutes: median ${middles[middles.length >> 1]} ms, maximum ${slowest} ms`;
}
