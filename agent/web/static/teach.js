/* Teaching a gesture: countdown, progress while hands are collected, and what was learned. */

import { call } from "./api.js";
import { el, say } from "./dom.js";
import { title } from "./icons.js";
import { Live } from "./setup-live.js";

const LOOK_MS = 200;
const $ = (id) => document.getElementById(id);
const live = new Live();
let timer = 0;
let restarting = false;

function tell(text, kind = "") {
  say($("said"), text);
  $("said").className = `said ${kind}`;
}

function show({ lesson, taught, wanted, error }) {
  if (error) {
    busy(false);
    return tell(error, "bad");
  }
  const names = Object.entries(taught);
  $("taught").replaceChildren(...names.map(([name, count]) => el("li", {}, el("strong", {}, title(name)), `: ${count} hands`)));
  $("no-taught").hidden = names.length > 0;
  const runs = lesson?.phase === "collecting" || lesson?.phase === "learning";
  busy(runs, lesson?.phase);
  if (!lesson) return tell("");
  const waits = lesson.phase === "collecting" && lesson.left_s > 0;
  $("count").hidden = !waits;
  say($("count"), String(Math.ceil(lesson.left_s)));
  $("progress").hidden = !runs || waits;
  $("progress").max = wanted;
  $("progress").value = lesson.taken;
  if (waits) tell(`Raise your hand: ${title(lesson.gesture)}`);
  else if (lesson.phase === "collecting") tell(lesson.hand ? "Turn and move your hand a little" : "No hand is seen: hold it up to the camera");
  else if (lesson.phase === "learning") tell("Learning; this takes some seconds");
  else tell(lesson.text, lesson.phase === "done" ? "good" : "bad");
  $("doubts").hidden = !lesson.doubts.length;
  $("doubts").replaceChildren(...lesson.doubts.map((doubt) => el("li", {}, doubt)));
  const done = lesson.phase === "done";
  $("restart").hidden = !done || !live.hello?.setup;
  $("to-rules").hidden = !done;
  if (lesson.phase === "failed" && lesson.text.includes("looks like")) $("force-field").hidden = false;
  if (runs) timer = setTimeout(look, LOOK_MS);
}

function busy(on, phase = "") {
  $("start").disabled = on;
  $("cancel").hidden = phase !== "collecting";
  if (on) return;
  $("count").hidden = $("progress").hidden = true;
}

async function look() {
  clearTimeout(timer);
  show(await call("teaching"));
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { gesture: $("gesture").value, camera: $("camera").value, improve: $("improve").checked, force: $("force").checked };
  clearTimeout(timer);
  show(await call("teaching", { method: "POST", body }));
});
$("cancel").addEventListener("click", async () => {
  clearTimeout(timer);
  show(await call("teaching", { method: "DELETE" }));
  $("start").focus();
});
$("restart").addEventListener("click", async () => {
  const { error } = await call("setup/restart", { method: "POST", body: {} });
  if (error) return tell(error, "bad");
  restarting = true;
  $("restart").hidden = true;
  tell("The agent starts again; this takes some seconds");
});
live.addEventListener("hello", ({ detail: hello }) => {
  const before = $("camera").value;
  $("camera").replaceChildren(...hello.cameras.map((name) => el("option", { value: name }, name)));
  if (hello.cameras.includes(before)) $("camera").value = before;
  live.show($("cards"));
  if (!restarting) return look();
  restarting = false;
  tell(`The agent is back. It knows: ${hello.gestures.map(title).join(", ")}.`, "good");
});
