/* Dashboard: reads the stream, keeps the state and updates its parts. */

import { CameraCard } from "./camera-card.js";
import { drawChart } from "./chart.js";
import { drawDelivery, drawPercentiles, drawStages } from "./stats.js";
import { GestureClient } from "./gesture-client.js";
import { words } from "./icons.js";
import { EventLog } from "./log.js";
import { ask } from "./question.js";
import { RuleTable } from "./rules.js";
import { soundButton } from "./sounds.js";

const SERIES = 180; // points of the chart, one a second
const TOAST_MS = 5000;

const $ = (id) => document.getElementById(id);
const cards = new Map();
const log = new EventLog($("log"), $("log-empty"));
const rules = new RuleTable($("rules"), $("rules-empty"), $("rules-order"), tryRule);
const sounds = soundButton($("sounds"));
let about = { cameras: [], preview: false };
let enabled = true;
let series = [];
let toastTimer = 0;

/* Buttons. */

async function press(path, body = {}) {
  const button = document.activeElement;
  try {
    const answer = await fetch(new URL(`../${path}`, import.meta.url), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const { data, error } = await answer.json();
    toast(error || told(path, data), Boolean(error));
    return answer.ok;
  } catch {
    toast("The agent cannot be reached.", true);
    return false;
  } finally {
    if (button !== document.activeElement && button?.isConnected) button.focus?.();
  }
}

function told(path, data) {
  if (path.endsWith("/reload")) return `${data.rules} rules are in force.`;
  if (path.endsWith("/test")) return data.actions.length ? `Done: ${data.actions.join("; ")}` : "This rule follows a hand and cannot be tested without one.";
  return enabled ? "Pausing: the cameras are closed." : "Resuming.";
}

function toast(text, bad) {
  const box = $("toast");
  box.textContent = text;
  box.classList.toggle("bad", bad);
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), TOAST_MS);
}

/* A test performs the rule's actions, so it needs confirmation. */
async function tryRule({ id, does }) {
  const wanted = await ask({
    title: `Perform the actions of rule ${id}?`,
    text: "They are performed now, as if the gesture had been shown:",
    detail: does,
    yes: "Perform",
  });
  if (wanted) press(`api/rules/${encodeURIComponent(id)}/test`);
}

$("pause").addEventListener("click", () => press("api/enabled", { on: !enabled }));
$("reload").addEventListener("click", () => press("api/reload"));

/* Messages of the stream. */

const stream = new GestureClient({ url: new URL("../ws/page", import.meta.url) });

function on(type, act) {
  stream.addEventListener(type, ({ detail }) => act(detail));
}

on("state", ({ connected }) => {
  $("link").textContent = connected ? "connected" : "not connected; retrying";
  document.body.classList.toggle("away", !connected);
  if (!connected) for (const card of cards.values()) card.clear();
});

on("hello", (hello) => {
  about = hello;
  $("agent").textContent = hello.agent;
  document.title = `${hello.agent} · gesture-agent`;
  for (const [name, card] of cards) {
    if (hello.cameras.includes(name) && card.preview === hello.preview) continue;
    card.stop(); // preview was disabled, or the camera was removed
    cards.delete(name);
  }
  for (const name of hello.cameras) {
    if (!cards.has(name)) cards.set(name, new CameraCard(name, hello.preview));
  }
  $("cameras").replaceChildren(...hello.cameras.map((name) => cards.get(name).element));
  for (const [name, { state, reason }] of Object.entries(hello.camera)) cards.get(name)?.state(state, reason);
  for (const [name, armed] of Object.entries(hello.armed)) {
    const until = hello.armed_until_ms[name];
    cards.get(name)?.arm(armed, until === undefined ? null : until - hello.ts_ms);
  }
  switched(hello.enabled ?? true);
  $("edit-rules").hidden = !hello.edit;
  $("set-up").hidden = !hello.setup;
  $("tune").hidden = !hello.tune;
  $("teach").hidden = !(hello.teach && hello.cameras.length);
  if (hello.setup && !hello.cameras.length) location.replace("setup"); // nothing to see yet
});

on("snapshot", (state) => {
  series = state.series;
  log.fill(state.log);
  rules.show(state.rules);
  trouble(state.trouble);
  if (state.health.uptime_s !== undefined) fares(state.health);
});

on("progress", ({ camera, hands, people }) => cards.get(camera)?.progress(hands, people));
on("armed", ({ camera, armed, until_ms: until, ts_ms: now }) => cards.get(camera)?.arm(armed, until === null ? null : until - now));
on("camera", ({ camera, state, reason }) => cards.get(camera)?.state(state, reason));
on("feedback", ({ feedback }) => sounds.play(feedback));
on("enabled", (message) => switched(message.enabled));
on("rule", (message) => rules.fired(message.rule, message.fired, message.ts_ms));
on("log", ({ entry }) => {
  log.add(entry);
  if (entry.kind !== "gesture") return;
  cards.get(entry.camera)?.unfired(entry);
  if (entry.why.length) $("said").textContent += `; nothing was done: ${entry.why.join("; ")}`;
});
on("fired", ({ gesture, hand, camera }) => {
  const where = about.cameras.length > 1 ? ` at camera ${camera}` : "";
  $("said").textContent = `${words(gesture)}, ${hand} hand${where}`;
});
on("rules", (message) => {
  rules.show(message.rules);
  trouble(message.trouble);
});
on("vitals", ({ health, point }) => {
  series = [...series, point].slice(-SERIES);
  fares(health);
});

function fares(health) {
  for (const [name, camera] of Object.entries(health.camera)) cards.get(name)?.rate(camera);
  drawPercentiles($("percentiles"), health.latency);
  drawStages($("stages"), health.stages);
  drawChart($("chart"), series);
  drawDelivery($("broker"), $("outbox"), health);
  rules.age();
  $("about").textContent = `gesture-agent ${about.version}, up ${lasting(health.uptime_s)}, ${Math.round(health.rss_mb)} MB`;
}

function switched(on) {
  enabled = on;
  for (const card of cards.values()) card.enable(on);
  $("paused").hidden = on;
  $("preview-on").hidden = !(about.preview && on);
  $("pause").textContent = on ? "Pause" : "Resume";
  $("pause").setAttribute("aria-pressed", String(!on));
}

function trouble(problem) {
  $("trouble").hidden = !problem;
  $("problem").textContent = problem;
}

function lasting(seconds) {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

stream.start();
