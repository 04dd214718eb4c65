/* Sliders for thresholds and intent, and what they would have done to the last ten minutes of traces. */

import { call } from "./api.js";
import { clock, el, say } from "./dom.js";
import { title } from "./icons.js";
import { Live } from "./setup-live.js";

const WAIT_MS = 120; // after the last move of a slider
const WITH = { both: "as it is now", now: "would not have started", then: "would have started as well" };
const $ = (id) => document.getElementById(id);
const live = new Live();
const sliders = new Map(); // key: {input, output, row, unit, value}
let etag = "";
let timer = 0;
let asked = 0; // evaluations; only the answer to the newest counts
let restarting = false;

function tell(text, kind = "") {
  say($("said"), text);
  $("said").className = `said ${kind}`;
}

async function load() {
  const found = await call("tuning");
  if (found.error) return tell(found.error, "bad");
  take(found);
  await evaluate();
}

function take(found) {
  etag = found.etag;
  for (const limit of found.limits) {
    const slider = sliders.get(limit.key) ?? add(limit);
    slider.value = limit.value;
    slider.input.value = limit.value;
  }
  $("restart").hidden = !found.restart || !live.hello?.setup;
  moved();
}

function add({ key, title: name, unit, low, high, step }) {
  const id = `limit-${key}`;
  const input = el("input", { type: "range", id, min: low, max: high, step, "data-key": key });
  const output = el("output", { for: id });
  const row = el("div", { class: "limit" }, el("label", { for: id }, name), output, input);
  const slider = { input, output, row, unit, value: 0 };
  sliders.set(key, slider);
  $("limits").append(row);
  return slider;
}

const changed = () => [...sliders].filter(([, { input, value }]) => Number(input.value) !== nearest(input, value));

/* What the slider makes of a value that is between two of its steps. */
function nearest(input, value) {
  const at = input.value;
  input.value = value;
  const found = Number(input.value);
  input.value = at;
  return found;
}

const values = () => Object.fromEntries(changed().map(([key, { input }]) => [key, Number(input.value)]));

function moved() {
  const keys = new Set(changed().map(([key]) => key));
  for (const [key, { input, output, row, unit, value }] of sliders) {
    row.classList.toggle("is-changed", keys.has(key));
    const shown = keys.has(key) ? `${Number(input.value)} ${unit} (set: ${value})` : `${value} ${unit}`;
    say(output, shown.trim());
    input.setAttribute("aria-valuetext", shown.trim());
  }
  $("save").disabled = $("reset").disabled = !keys.size;
}

async function evaluate() {
  const mine = ++asked;
  const found = await call("tuning/evaluate", { method: "POST", body: { values: values() } });
  if (mine !== asked) return;
  if (found.error) return say($("sum"), found.error);
  const count = (...kinds) => found.starts.filter((start) => kinds.includes(start.with)).length;
  const minutes = Math.round(found.seconds / 6) / 10;
  say($("sum"), `${minutes} min of traces: ${count("both", "now")} gestures start as the agent runs, ${count("both", "then")} with these.`);
  $("starts").replaceChildren(
    ...found.starts.map((start) =>
      el("li", { class: `start-${start.with}` }, el("time", {}, clock(start.at_ms)), el("strong", {}, title(start.gesture)), el("span", { class: `is-${start.with}` }, WITH[start.with])),
    ),
  );
}

async function save() {
  const found = await call("tuning", { method: "PUT", body: { values: values() }, headers: { "If-Match": `"${etag}"` } });
  if (found.error) {
    tell(`Not saved: ${found.error}`, "bad");
    if (found.status === 409) etag = (await call("tuning")).etag ?? etag; // a second press saves on top of it
    return;
  }
  take(found);
  tell("Saved. The agent uses them once it has started again.", "good");
}

$("limits").addEventListener("input", () => {
  moved();
  clearTimeout(timer);
  timer = setTimeout(evaluate, WAIT_MS);
});
$("save").addEventListener("click", save);
$("again").addEventListener("click", evaluate);
$("reset").addEventListener("click", () => {
  for (const { input, value } of sliders.values()) input.value = value;
  moved();
  evaluate();
});
$("restart").addEventListener("click", async () => {
  const { error } = await call("setup/restart", { method: "POST", body: {} });
  if (error) return tell(error, "bad");
  restarting = true;
  tell("The agent starts again; this takes some seconds");
});
live.addEventListener("hello", async () => {
  if (!restarting) return;
  restarting = false;
  await load();
  tell("The agent is back, with these thresholds.", "good");
});

load();
