/* Event log, newest first. */

import { clock, el } from "./dom.js";
import { icon, title, words } from "./icons.js";

const KEPT = 100;

export class EventLog {
  #list;
  #empty;

  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
  }

  fill(entries) {
    this.#list.replaceChildren(...entries.slice(-KEPT).reverse().map(line));
    this.#empty.hidden = entries.length > 0;
  }

  add(entry) {
    this.#list.prepend(line(entry));
    while (this.#list.children.length > KEPT) this.#list.lastChild.remove();
    this.#empty.hidden = true;
  }
}

function line(entry) {
  const [title, detail] = inWords(entry);
  const mark = entry.kind === "gesture" || entry.kind === "near" ? icon(entry.gesture) : el("span", { class: "mark" });
  const why = (entry.why ?? []).map((reason) => el("p", { class: "why" }, reason));
  const body = el("div", {}, el("strong", {}, title), el("p", { class: "detail" }, detail), ...why);
  return el("li", { class: `kind-${entry.kind}` }, mark, body, el("time", { datetime: new Date(entry.ts_ms).toISOString() }, clock(entry.ts_ms)));
}

function inWords({ kind, camera, gesture, hand, confidence, rule, text }) {
  switch (kind) {
    case "gesture":
      return [title(gesture), `${hand} hand, ${Math.round(confidence * 100)} % confidence, camera ${camera}`];
    case "near":
      return [`No ${words(gesture)}`, `${hand} hand, camera ${camera}`];
    case "rule":
      return [`Rule ${rule}`, text];
    case "camera":
      return [`Camera ${camera}`, text];
    case "trouble":
      return ["Rules refused", text];
    case "rules":
      return ["Rules loaded", text];
    default:
      return ["On this page", text];
  }
}
