/*
 * Example page that is operated by gestures alone. Your own page needs the
 * GestureClient, its two events `ring` and `choose`, and a Ring for each thing that can be chosen.
 */

import { GestureClient } from "./gesture-client.js";
import { el, say } from "./dom.js";
import { words } from "./icons.js";
import { PLANETS } from "./demo_content.js";
import { Ring } from "./ring.js";
import { Sounds } from "./sounds.js";

const ACTIONS = {
  fist: { word: "Previous", act: () => turn(-1) },
  two: { word: "Next", act: () => turn(1) },
  ok: { word: "Open", act: open, useful: () => view === "menu" },
  stop: { word: "Back", act: back, useful: () => view === "detail" },
  thumbs_up: { word: "Favourite", act: favour },
};

const $ = (id) => document.getElementById(id);
const favourites = new Set();
const planets = PLANETS.map((planet) => {
  const star = el("span", { class: "star", hidden: "" }, "★");
  const element = el("li", { class: "planet" }, el("div", { class: `ball ${planet.id}` }), el("p", { class: "label" }, planet.name, star));
  return { ...planet, element, star };
});
const legend = new Map(
  Object.entries(ACTIONS).map(([gesture, { word }]) => {
    const ring = new Ring(gesture);
    const element = el("li", {}, ring.element, el("span", { class: "word" }, word));
    return [gesture, { ring, element }];
  }),
);
let at = 2; // the Earth
let view = "menu";

$("orbit").append(...planets.map(({ element }) => element));
$("legend").append(...[...legend.values()].map(({ element }) => element));

function turn(steps) {
  at = (at + steps + planets.length) % planets.length;
  return planets[at].name;
}

function open() {
  view = "detail";
  return `Here is ${planets[at].name}`;
}

function back() {
  if (view === "menu") return "You are at the start already";
  view = "menu";
  return "Back to all planets";
}

function favour() {
  const { id, name } = planets[at];
  if (favourites.delete(id)) return `${name} is no favourite any more`;
  favourites.add(id);
  return `${name} is a favourite`;
}

function draw() {
  document.body.dataset.view = view;
  planets.forEach(({ id, element, star }, i) => {
    let away = i - at;
    if (away > planets.length / 2) away -= planets.length;
    if (away < -planets.length / 2) away += planets.length;
    element.dataset.at = Math.abs(away) <= 2 ? String(away) : "far";
    element.setAttribute("aria-current", String(away === 0));
    star.hidden = !favourites.has(id);
  });
  const { name, place, story, facts, id } = planets[at];
  say($("name"), favourites.has(id) ? `${name} ★` : name);
  say($("place"), place);
  say($("story"), story);
  $("facts").replaceChildren(...Object.entries(facts).map(([term, fact]) => el("div", {}, el("dt", {}, term), el("dd", {}, fact))));
  for (const [gesture, { element }] of legend) {
    const useful = ACTIONS[gesture].useful;
    element.classList.toggle("is-useless", Boolean(useful && !useful()));
  }
}

/* Gestures. */

const gestures = new GestureClient();
const sounds = new Sounds(new URLSearchParams(location.search).has("sounds"));

gestures.addEventListener("feedback", ({ detail }) => sounds.play(detail.feedback));

gestures.addEventListener("ring", ({ detail: { gesture, ring, phase } }) => {
  for (const [name, { ring: drawn, element }] of legend) {
    const its = name === gesture;
    drawn.show(name, its ? ring : 0, its && phase !== "forming");
    element.classList.toggle("is-forming", its);
  }
});

gestures.addEventListener("choose", ({ detail }) => {
  const action = ACTIONS[detail.gesture];
  if (!action) return;
  say($("said"), action.act());
  draw();
  document.dispatchEvent(new CustomEvent("kiosk-acted", { detail: { gesture: detail.gesture, ts_ms: detail.ts_ms } }));
});

function presence(text, kind = "") {
  $("presence").className = `presence ${kind}`;
  say($("presence"), text);
}

/* Prompt while no hand is in view: depends on the camera state. */
let enabled = true;
const cameras = new Map(); // name: state

function waiting() {
  if (!enabled) presence("The camera is switched off", "is-away");
  else if (cameras.size && ![...cameras.values()].includes("online")) presence("The camera is offline", "is-away");
  else presence("Raise a hand");
}

gestures.addEventListener("hello", ({ detail }) => {
  enabled = detail.enabled ?? true;
  cameras.clear();
  for (const [name, { state }] of Object.entries(detail.camera)) cameras.set(name, state);
  waiting();
});
gestures.addEventListener("hand", ({ detail }) => presence(`I see your ${detail.hand} hand`, "is-seen"));
gestures.addEventListener("lost", waiting);
gestures.addEventListener("state", ({ detail }) => !detail.connected && presence("Not connected; retrying", "is-away"));
gestures.addEventListener("enabled", ({ detail }) => {
  enabled = detail.enabled;
  waiting();
});
gestures.addEventListener("camera", ({ detail }) => {
  cameras.set(detail.camera, detail.state);
  if (detail.state !== "online" || cameras.size === 1) waiting();
});
gestures.addEventListener("hello", ({ detail }) => {
  const missing = Object.keys(ACTIONS).filter((gesture) => !detail.gestures.includes(gesture));
  if (missing.length) say($("said"), `This agent does not recognize ${missing.map(words).join(", ")}.`);
});

draw();
gestures.start();
