/* Card of one camera: positions and gestures of its hands, and the preview picture if enabled. */

import { el, say } from "./dom.js";
import { glyph, svg, title, words } from "./icons.js";
import { PreviewPicture } from "./preview.js";
import { Ring } from "./ring.js";

const STATES = { online: "is-good", offline: "is-bad", disabled: "" };
const [WIDE, HIGH] = [400, 300]; // of the map
const ROUND = 24; // minimum radius of a hand's marker on the map

export class CameraCard {
  #state = el("p", { class: "state" }, el("span", { class: "dot" }), el("span", {}, "opening"));
  #map = svg("svg", { class: "map", viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true" });
  #spots = svg("g");
  #hint = el("p", { class: "hint" }, "no hand in view");
  #current = el("div", { class: "current" });
  #hands = new Map(); // "person/side": a row
  #wake = new WakeWindow();
  #word = { state: "offline", reason: "" };
  #enabled = true;
  #picture;

  constructor(name, preview) {
    this.preview = preview;
    this.#map.append(
      svg("path", { class: "grid", d: `M${WIDE / 3} 0V${HIGH}M${(WIDE / 3) * 2} 0V${HIGH}M0 ${HIGH / 3}H${WIDE}M0 ${(HIGH / 3) * 2}H${WIDE}` }),
      this.#spots,
    );
    const stage = el("div", { class: "stage" });
    this.#picture = preview ? new PreviewPicture(name, stage) : null;
    stage.append(this.#map, this.#hint);
    if (preview) stage.append(el("p", { class: "live" }, "Preview"));
    const card = el(
      "article",
      { class: "card camera", "aria-label": `Camera ${name}` },
      el("div", { class: "head" }, el("h3", {}, name), this.#state),
      stage,
      this.#current,
    );
    this.element = el("div", {}, card);
    this.clear();
  }

  state(state, reason) {
    this.#word = { state, reason };
    this.#show();
  }

  /* Enable or pause. */
  enable(on) {
    this.#enabled = on;
    this.#show();
  }

  rate({ state, reason, fps, dropped }) {
    if (state !== this.#word.state || (reason ?? "") !== this.#word.reason) this.state(state, reason ?? "");
    if (this.#live) say(this.#state.lastChild, `online, ${fps} frames/s${dropped ? `, ${dropped} dropped` : ""}`);
  }

  /* Show why no rule fired for a gesture that started. */
  unfired({ person, hand, why }) {
    this.#hands.get(`${person}/${hand}`)?.unfired(why);
  }

  /* `left_ms`: rest of the wake window, null if none is open. */
  arm(armed, left_ms) {
    this.#wake.show(armed, left_ms);
  }

  clear() {
    this.#picture?.clear();
    this.progress([], 0);
  }

  stop() {
    this.#picture?.stop();
    this.#wake.show(null, null);
  }

  progress(hands, people) {
    if (!this.#live) [hands, people] = [[], 0];
    const seen = hands.filter((hand) => hand.x !== null);
    this.#spots.replaceChildren(...seen.map(spot));
    say(this.#hint, !this.#live ? "" : seen.length ? "" : people ? "a person, no hand" : "no hand in view");
    this.#rows(hands);
  }

  get #live() {
    return this.#enabled && this.#word.state === "online";
  }

  /* A camera that is not in use shows only its state. */
  #show() {
    const { state, reason } = this.#word;
    const live = this.#live;
    this.#state.className = `state ${this.#enabled ? (STATES[state] ?? "") : ""}`;
    say(this.#state.lastChild, !this.#enabled ? "paused" : reason ? `${state}: ${reason}` : state);
    this.element.firstChild.classList.toggle("is-away", !live);
    this.#current.hidden = !live;
    if (!live) this.clear();
    else this.progress([], 0);
  }

  #rows(hands) {
    const rows = new Map();
    for (const hand of hands.slice(0, 4)) {
      const key = `${hand.person}/${hand.hand}`;
      const row = rows.get(key) ?? this.#hands.get(key) ?? new HandRow();
      row.show(hand);
      rows.set(key, row);
    }
    if (!rows.size) rows.set("nobody", this.#hands.get("nobody") ?? new HandRow());
    const elements = [...rows.values()].map((row) => row.element);
    this.#hands = rows;
    const shown = [...this.#current.children].filter((child) => child !== this.#wake.element);
    if (elements.length !== shown.length || elements.some((node, i) => node !== shown[i])) {
      this.#current.replaceChildren(...elements, this.#wake.element);
    }
  }
}

/* Wake state of the rules, with the rest of the wake window. */
class WakeWindow {
  #word = el("span");
  #left = el("span", { class: "left", "aria-hidden": "true" });
  #bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span"));
  #ends = 0;
  #whole = 1;
  #timer = 0;

  constructor() {
    this.element = el("p", { class: "armed", hidden: "" }, this.#word, this.#left, this.#bar);
  }

  show(armed, left_ms) {
    clearInterval(this.#timer);
    this.element.hidden = armed === null;
    this.element.classList.toggle("is-asleep", !armed);
    say(this.#word, armed ? "Awake: rules are active" : "Asleep: some rules wait for the wake gesture");
    const counts = Boolean(armed) && left_ms !== null;
    this.#left.hidden = this.#bar.hidden = !counts;
    if (!counts) return;
    this.#whole = Math.max(left_ms, 1);
    this.#ends = performance.now() + left_ms;
    this.#timer = setInterval(() => this.#tick(), 200);
    this.#tick();
  }

  #tick() {
    const left = Math.max(0, this.#ends - performance.now());
    say(this.#left, `, ${Math.ceil(left / 1000)} s`);
    this.#bar.firstChild.style.width = `${(left / this.#whole) * 100}%`;
    if (!left) clearInterval(this.#timer);
  }
}

class HandRow {
  #ring = new Ring("nobody");
  #name = el("p", { class: "name" }, "No hand");
  #facts = el("p", { class: "facts" }, "waiting for a hand");
  #why = el("p", { class: "why", hidden: "" });
  #unfired = ""; // why no rule fired for the active gesture

  constructor() {
    this.element = el("div", { class: "hand" }, this.#ring.element, el("div", {}, this.#name, this.#facts, this.#why));
  }

  unfired(why) {
    this.#unfired = why.join("; ");
  }

  show({ hand, gesture, phase, ring, confidence, held_ms: held, held_back: why }) {
    const on = phase === "on" || phase === "releasing";
    this.#ring.show(gesture ?? "no gesture", ring, on);
    this.element.className = `hand ${on ? "is-on" : phase === "forming" ? "is-forming" : ""}`;
    say(this.#name, gesture ? title(gesture) : "No gesture");
    const facts = [`${hand} hand`];
    if (gesture) facts.push(phase === "forming" ? `forming ${Math.round(ring * 100)} %` : `held ${(held / 1000).toFixed(1)} s`);
    if (gesture && phase !== "releasing") facts.push(`${Math.round(confidence * 100)} % confidence`);
    say(this.#facts, facts.join(" · "));
    if (!on) this.#unfired = "";
    const text = why ?? this.#unfired;
    this.#why.hidden = !text;
    say(this.#why, text);
  }
}

function spot({ x, y, height, ring, gesture, phase }) {
  const [cx, cy, r] = [x * WIDE, y * HIGH, Math.max(ROUND, height * HIGH * 0.7)];
  const turned = `rotate(-90 ${cx} ${cy})`;
  const parts = [svg("circle", { class: "spot", cx, cy, r })];
  if (ring > 0) {
    parts.push(svg("circle", { class: "spot-arc", cx, cy, r, pathLength: 100, "stroke-dasharray": `${ring * 100} 200`, transform: turned }));
  }
  const scale = r / 27;
  parts.push(svg("g", { class: "spot-hand", transform: `translate(${cx - 24 * scale} ${cy - 24 * scale}) scale(${scale})` }, glyph(gesture ?? "no gesture")));
  if (gesture) {
    const name = svg("text", { class: "spot-name", x: cx, y: cy + r + 20 });
    name.textContent = words(gesture);
    parts.push(name);
  }
  return svg("g", { class: `is-${phase}` }, ...parts);
}
