/* Set-up in four steps: camera, broker, gesture with what it does, and seeing it fire. */

import { call } from "./api.js";
import { el } from "./dom.js";
import { words } from "./icons.js";
import { RuleForm } from "./setup-rule.js";
import { Live } from "./setup-live.js";

const STEPS = ["camera", "broker", "gesture", "fire"];
const START_MS = 120_000; // networks are loaded anew
const $ = (id) => document.getElementById(id);
const live = new Live();
const rule = new RuleForm(written);
let state = null; // of the settings, as they are in the file
let camera = null; // tried, to be saved
let broker = null;
let step = "";
let starting = 0; // timer while the agent starts again
let wanted = null; // {gesture, rule} that is to fire

/* Steps. */

function go(next) {
  step = next;
  for (const name of STEPS) $(name).hidden = name !== next;
  for (const button of document.querySelectorAll("[data-step]")) {
    const here = button.dataset.step === next;
    if (here) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  if (next === "gesture") live.show($("cards"));
  if (next === "fire") live.show($("fire-cards"));
  if (next === "broker") plan();
  allowed();
  $(`${next}-title`).focus();
  scrollTo(0, 0);
}

/* Steps that need a camera are closed until one runs. */
function allowed() {
  const runs = Boolean(live.hello?.cameras.length);
  for (const button of document.querySelectorAll("[data-step]")) {
    const { step: name } = button.dataset;
    button.disabled = starting > 0 || (name === "gesture" && !runs) || (name === "fire" && !(runs && wanted));
  }
}

function tell(id, text, kind = "") {
  $(id).textContent = text;
  $(id).className = `${$(id).className.includes("big") ? "said big" : "said"} ${kind}`;
}

async function busy(button, work) {
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.disabled = false;
  }
}

/* The camera. */

async function look() {
  const found = await call("setup/devices");
  if (found.error) return tell("no-devices", found.error);
  const rows = found.cameras.map(({ device, source, name, mode, problem, watched_as: own }) => {
    const note = own ? `this is camera ${own} already` : problem;
    const radio = el("input", { type: "radio", name: "device", value: source, ...(note ? { disabled: "" } : {}) });
    return el("label", { class: "choice" }, radio, el("span", {}, name || device, el("small", {}, note ?? `${mode} ${device}`)));
  });
  const other = el("label", { class: "choice" }, el("input", { type: "radio", name: "device", value: "" }), el("span", {}, "Another address", el("small", {}, "a network camera (RTSP, MJPEG) or csi:0")));
  $("devices").replaceChildren(...rows, other);
  ($("devices").querySelector("input:not(:disabled)") ?? other.firstChild).checked = true;
  $("no-devices").textContent = found.no_cameras ?? "";
  $("no-devices").hidden = !found.no_cameras;
  chosen();
  $("found").replaceChildren(
    ...found.brokers.map((url) => el("button", { type: "button", onclick: () => (($("url").value = url), untried()) }, `Found: ${url}`)),
  );
  if (found.brokers.length && !state?.connected) $("url").value ||= found.brokers[0];
}

const source = () => $("devices").querySelector(":checked")?.value || $("address").value.trim();

function chosen() {
  $("address-fields").hidden = Boolean($("devices").querySelector(":checked")?.value);
  camera = null;
  $("camera-done").hidden = true;
  $("picture").hidden = true;
  $("no-picture").hidden = true;
  tell("camera-said", "");
}

async function tryCamera() {
  if (!source()) {
    $("address").focus();
    return tell("camera-said", "Write the camera's address, or choose one of the list.", "bad");
  }
  const given = { name: $("camera-name").value, source: source(), user: $("camera-user").value, password: $("camera-password").value };
  if ($("address-fields").hidden) given.user = given.password = "";
  tell("camera-said", "Opening the camera; this takes up to ten seconds");
  const found = await call("setup/camera", { method: "POST", body: given });
  if (found.error) return tell("camera-said", found.error, "bad");
  camera = given;
  tell("camera-said", `${found.text}.`, "good");
  if (found.picture) {
    const bytes = Uint8Array.from(atob(found.picture), (letter) => letter.charCodeAt(0));
    $("picture").src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  }
  $("picture").hidden = !found.picture;
  $("no-picture").hidden = Boolean(found.picture);
  $("camera-done").hidden = false;
  $("camera-done").focus();
}

/* The broker. */

function untried() {
  broker = null;
  tell("broker-said", "");
  plan();
}

async function tryBroker() {
  const given = { url: $("url").value, user: $("broker-user").value, password: $("broker-password").value };
  tell("broker-said", "Logging in");
  const found = await call("setup/broker", { method: "POST", body: given });
  if (found.error) return tell("broker-said", found.error, "bad");
  broker = given;
  tell("broker-said", found.text, found.state === "ok" ? "good" : "doubt");
  plan();
  $("save").textContent = found.state === "ok" ? "Save and start" : "Save it all the same, and start";
  $("save").focus();
}

function plan() {
  $("save").hidden = !broker && !state?.restart;
  const parts = [camera && `camera ${camera.name}`, broker && "the broker"].filter(Boolean);
  $("plan").textContent = parts.length
    ? `Save writes ${parts.join(" and ")} into ${state?.file}, passwords into files of their own; what is there stays in the history.`
    : state?.restart ? "The settings were saved; they count once the agent starts again." : "";
  $("broker-skip").hidden = !state || (!camera && !state.restart && !live.hello?.cameras.length);
  $("broker-skip").textContent = camera || state?.restart ? "Keep the broker as it is: save and start" : "Keep the broker as it is";
  $("broker-now").textContent = state ? `In the settings: ${state.broker.url}${state.broker.user ? `, user ${state.broker.user}` : ""}` : "";
}

async function save() {
  if (camera || broker) {
    tell("broker-said", "Saving");
    const found = await call("setup", { method: "PUT", body: { camera, broker }, headers: { "If-Match": `"${state.etag}"` } });
    if (found.error) {
      tell("broker-said", `Not saved: ${found.error}`, "bad");
      const now = await call("setup"); // what is in the file now; a second press saves on top of it
      if (!now.error) state = now;
      return plan();
    }
    camera = broker = null;
    show(found);
  }
  if (!state.restart) return go("gesture");
  const answer = await call("setup/restart", { method: "POST", body: {} });
  if (answer.error) return tell("broker-said", `Saved, but not started: ${answer.error}`, "bad");
  tell("broker-said", "Saved. The agent starts again; this takes some seconds");
  starting = setTimeout(() => {
    starting = 0;
    allowed();
    tell("broker-said", "Saved, but the agent has not come back. Its log says why: journalctl -u gesture-agent, or the terminal in which it ran.", "bad");
  }, START_MS);
  allowed();
}

/* The gesture, and seeing it. */

function written(now) {
  wanted = now;
  $("fire-wanted").textContent = now.rule
    ? `Show ${words(now.gesture)} to the camera: rule ${now.rule} fires.`
    : `Show ${words(now.gesture)} to the camera: its event goes to the broker.`;
  tell("fire-said", "Waiting for it");
  $("done").hidden = true;
  go("fire");
}

function fired(text) {
  tell("fire-said", text, "good");
  $("done").hidden = false;
}

live.addEventListener("rule", ({ detail }) => {
  if (!wanted?.rule || step !== "fire") return;
  if (detail.rule === wanted.rule) fired(`${detail.rule} fired.`);
  else tell("fire-said", `Rule ${detail.rule} fired in its place: the first that matches wins. Change one of the two under Edit rules.`, "doubt");
});
live.addEventListener("fired", ({ detail }) => {
  if (step === "gesture") rule.choose(detail.gesture);
  if (step === "fire" && wanted && !wanted.rule && detail.gesture === wanted.gesture) fired(`The event ${words(detail.gesture)} was published.`);
});
live.addEventListener("log", ({ detail: entry }) => {
  if (step !== "fire" || !entry.why?.length || !$("done").hidden) return;
  tell("fire-said", `${words(entry.gesture)}: ${entry.why.join("; ")}`, "doubt");
});
live.addEventListener("away", allowed);
live.addEventListener("hello", async ({ detail: hello }) => {
  rule.gestures(hello.gestures);
  await refresh();
  if (starting && !state?.restart) {
    clearTimeout(starting);
    starting = 0;
    tell("broker-said", "");
    return go("gesture");
  }
  if (step === "gesture") live.show($("cards"));
  if (step === "fire") live.show($("fire-cards"));
  allowed();
});

/* All of it. */

async function refresh() {
  const found = await call("setup");
  if (found.error) return tell(step === "broker" ? "broker-said" : "camera-said", found.error, "bad");
  show(found);
}

function show(found) {
  state = found;
  const names = Object.entries(found.camera);
  $("watched").hidden = !names.length;
  $("watched").replaceChildren(...names.map(([name, at]) => el("li", {}, el("strong", {}, name), `: ${at}`)));
  $("camera-skip").hidden = !names.length;
  for (let number = 2; !camera && found.camera[$("camera-name").value]; number += 1) $("camera-name").value = `camera-${number}`;
  $("url").value ||= found.broker.url;
  rule.keys(found.keys);
  plan();
  allowed();
}

for (const button of document.querySelectorAll("[data-step]")) button.addEventListener("click", () => go(button.dataset.step));
$("devices").addEventListener("change", chosen);
$("camera-form").addEventListener("input", ({ target }) => target.name !== "device" && chosen());
$("broker-form").addEventListener("input", untried);
$("camera-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy($("try-camera"), tryCamera);
});
$("broker-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy($("try-broker"), tryBroker);
});
$("camera-done").addEventListener("click", () => go("broker"));
$("camera-skip").addEventListener("click", () => ((camera = null), go("broker")));
$("save").addEventListener("click", () => busy($("save"), save));
$("broker-skip").addEventListener("click", () => ((broker = null), busy($("broker-skip"), save)));
$("another").addEventListener("click", () => go("gesture"));
go("camera");
await refresh();
look();
