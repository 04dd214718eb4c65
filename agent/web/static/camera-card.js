/* One camera: where its hands are, what they show, and the picture where preview is on. */

import { el, say } from "./dom.js";
import { glyph, svg, title, words } from "./icons.js";
import { PreviewPicture } from "./preview.js";
import { Ring } from "./ring.js";

const STATES = { online: "is-good", offline: "is-bad", disabled: "" };
const [WIDE, HIGH] = [400, 300]; // of the map
const ROUND = 24; // least radius of a hand's spot in it

export class CameraCard {
  #state = el("p", { class: "state" }, el("span", { class: "dot" }), el("span", {}, "opening"));
  #map = svg("svg", { class: "map", viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true" });
  #spots = svg("g");
  #hint = el("p", { class: "hint" }, "no hand in view");
  #current = el("div", { class: "current" });
  #hands = new Map(); // "person/side": a row
  #armed = el("p", { class: "armed", hidden: "" });
  #word = { state: "offline", reason: "" };
  #picture;

  constructor(name, preview) {
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
      el("div", { class: "head" }, el("h2", {}, name), this.#state),
      stage,
      this.#current,
    );
    this.element = el("div", {}, card);
    this.clear();
  }

  state(state, reason) {
    this.#word = { state, reason };
    this.#state.className = `state ${STATES[state] ?? ""}`;
    say(this.#state.lastChild, reason ? `${state}: ${reason}` : state);
    if (state !== "online") this.clear();
  }

  rate({ state, reason, fps, dropped }) {
    if (state !== this.#word.state || reason !== this.#word.reason) this.state(state, reason);
    if (state === "online") say(this.#state.lastChild, `online, ${fps} frames/s${dropped ? `, ${dropped} dropped` : ""}`);
  }

  arm(armed) {
    this.#armed.hidden = armed === null;
    this.#armed.classList.toggle("is-asleep", !armed);
    say(this.#armed, armed ? "Awake: rules are listening" : "Asleep: some rules wait for the wake gesture");
  }

  clear() {
    this.progress([], 0);
  }

  progress(hands, people) {
    const seen = hands.filter((hand) => hand.x !== null);
    this.#spots.replaceChildren(...seen.map(spot));
    say(this.#hint, seen.length ? "" : people ? "a person, no hand" : "no hand in view");
    this.#rows(hands);
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
    const shown = [...this.#current.children].filter((child) => child !== this.#armed);
    if (elements.length !== shown.length || elements.some((node, i) => node !== shown[i])) {
      this.#current.replaceChildren(...elements, this.#armed);
    }
  }
}

class HandRow {
  #ring = new Ring("nobody");
  #name = el("p", { class: "name" }, "No hand");
  #facts = el("p", { class: "facts" }, "waiting for somebody");

  constructor() {
    this.element = el("div", { class: "hand" }, this.#ring.element, el("div", {}, this.#name, this.#facts));
  }

  show({ hand, gesture, phase, ring, confidence, held_ms: held, held_back }) {
    const on = phase === "on" || phase === "releasing";
    this.#ring.show(gesture ?? "no gesture", ring, on);
    this.element.className = `hand ${on ? "is-on" : phase === "forming" ? "is-forming" : ""}`;
    say(this.#name, gesture ? title(gesture) : "No gesture");
    const facts = [`${hand} hand`];
    if (gesture) facts.push(phase === "forming" ? `forming ${Math.round(ring * 100)} %` : `held ${(held / 1000).toFixed(1)} s`);
    if (gesture && phase !== "releasing") facts.push(`${Math.round(confidence * 100)} % sure`);
    if (held_back && !on) facts.push(held_back);
    say(this.#facts, facts.join(" · "));
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
