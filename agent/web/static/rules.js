/* Rules in the order of evaluation, with last firing and a test button. */

import { el, say } from "./dom.js";

const JUST_MS = 2500; // duration of the highlight after a firing

export class RuleTable {
  #body;
  #empty;
  #order;
  #test;
  #rows = new Map();

  constructor(body, empty, order, test) {
    this.#body = body;
    this.#empty = empty;
    this.#order = order;
    this.#test = test;
  }

  show(rules) {
    say(this.#order, inOrder(rules));
    this.#rows = new Map(rules.map((rule) => [rule.id, this.#row(rule)]));
    this.#body.replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
    this.#empty.hidden = rules.length > 0;
    this.#body.closest("table").hidden = !rules.length;
    this.age();
  }

  fired(id, count, ts) {
    const row = this.#rows.get(id);
    if (!row) return;
    Object.assign(row, { fired: count, last: ts });
    row.element.classList.add("just");
    setTimeout(() => row.element.classList.remove("just"), JUST_MS);
    this.age();
  }

  age() {
    for (const { last, fired, cell } of this.#rows.values()) {
      say(cell, last ? `${ago(Date.now() - last)}, ${fired} in total` : "not yet");
    }
  }

  #row({ id, when, does, also, fired, last_ms: last }) {
    const cell = el("td", { class: "last" });
    const button = el("button", { type: "button", "aria-label": `Test rule ${id}`, onclick: () => this.#test({ id, does }) }, "Test");
    const element = el(
      "tr",
      {},
      el("td", { class: "id" }, id, also ? el("span", { class: "also" }, "also") : null),
      el("td", { class: "when" }, when.replaceAll("_", " ")),
      el("td", { class: "does" }, does),
      cell,
      el("td", { class: "test" }, button),
    );
    return { element, cell, fired, last };
  }
}

/* Text on how many rules one gesture can fire. */
function inOrder(rules) {
  const also = rules.some((rule) => rule.also);
  const apart = new Set(rules.map((rule) => rule.judged)).size > 1;
  if (apart) return `tried from the top; the first that matches fires, rules with thresholds of their own${also ? " or marked also" : ""} besides`;
  return also ? "tried from the top; the first that matches fires, those marked also besides" : "tried from the top; the first that matches fires";
}

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "just now";
  if (seconds < 90) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min ago`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} days ago`;
}
