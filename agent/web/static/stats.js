/* Labelled numbers. */

import { el, say } from "./dom.js";

const STAGES = { detector: "find people", landmark: "poses", palm: "find palms", crop: "cut out", classifier: "read hands" };

export function drawPercentiles(list, latency) {
  const names = { p50: "half within", p95: "95 % within", p99: "99 % within" };
  fill(list, Object.entries(names).map(([key, name]) => [name, latency[key] ?? "–", "ms"]));
}

export function drawStages(list, stages) {
  fill(list, Object.entries(stages).map(([name, ms]) => [STAGES[name] ?? name, ms.p50 ?? "–", "ms"]));
}

export function drawDelivery(state, list, { broker, outbox, mqtt }) {
  state.className = `state ${broker.connected ? "is-good" : "is-bad"}`;
  const words = broker.connected ? `connected to ${broker.url}, MQTT ${mqtt.version}` : broker.trouble || `looking for ${broker.url}`;
  say(state.lastElementChild, words);
  fill(list, [
    ["waiting", outbox.depth, ""],
    ["oldest", outbox.oldest_s.toFixed(1), "s"],
    ["expired", outbox.expired, "", outbox.expired],
    ["unknown", outbox.unknown, "", outbox.unknown],
    ["refused", outbox.refused, "", outbox.refused],
    ["unheard", outbox.unheard, ""],
    ["dropped", outbox.dropped, "", outbox.dropped],
    ["reconnects", mqtt.reconnects, ""],
  ]);
}

/* Rows are kept and only numbers change, so that a screen reader keeps its position. */
function fill(list, rows) {
  if (list.children.length !== rows.length) {
    list.replaceChildren(...rows.map(() => el("div", {}, el("dt"), el("dd", {}, "", el("small")))));
  }
  rows.forEach(([name, value, unit, alarm], i) => {
    const [term, figure] = list.children[i].children;
    list.children[i].classList.toggle("alarm", Boolean(alarm));
    say(term, name);
    if (figure.firstChild?.nodeType !== Node.TEXT_NODE) figure.prepend(new Text());
    if (figure.firstChild.data !== String(value)) figure.firstChild.data = String(value);
    say(figure.lastChild, unit);
  });
}
