/* Dwell ring: a gesture icon in a circle that fills while the gesture is held. */

import { glyph, svg } from "./icons.js";

export class Ring {
  #arc = svg("circle", { cx: 48, cy: 48, r: 42, pathLength: 100, class: "ring-arc", transform: "rotate(-90 48 48)" });
  #inside = svg("g", { transform: "translate(9.6 9.6) scale(1.6)" });
  #shown;

  constructor(gesture = null) {
    const track = svg("circle", { cx: 48, cy: 48, r: 42, class: "ring-track" });
    this.element = svg("svg", { viewBox: "0 0 96 96", class: "ring", "aria-hidden": "true" }, track, this.#arc, this.#inside);
    this.show(gesture, 0);
  }

  show(gesture, share, on = false) {
    if (gesture !== this.#shown) {
      this.#shown = gesture;
      this.#inside.replaceChildren(...(gesture ? [glyph(gesture)] : []));
    }
    this.#arc.setAttribute("stroke-dasharray", `${(share * 100).toFixed(1)} 200`);
    this.element.classList.toggle("ring-empty", share <= 0);
    this.element.classList.toggle("ring-on", on);
  }
}
