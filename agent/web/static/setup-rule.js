/* Form of a first rule: the gesture, what it does, and the text that will be written. */

import { call } from "./api.js";
import { el } from "./dom.js";
import { title } from "./icons.js";

const WAIT_MS = 300; // after the last key
const TARGETS = {
  lamp: ["Topic of the lamp", "zigbee2mqtt/lamp/set"],
  publish: ["Topic", "home/gesture"],
  webhook: ["Address that is called, with http or https", ""],
  key: ["Key, as Linux names it", "KEY_PLAYPAUSE"],
};
const $ = (id) => document.getElementById(id);

export class RuleForm {
  #written; // called once a rule is in its file
  #files = [];
  #named = false; // the file's name was typed by a person
  #timer = 0;
  #asked = 0;
  #ready = false; // the text fits the form

  constructor(written) {
    this.#written = written;
    $("gesture-form").addEventListener("input", ({ target }) => this.#typed(target));
    $("gesture-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#write();
    });
    this.#kindChanged();
  }

  gestures(names) {
    if ($("gestures").childElementCount === names.length) return;
    const before = this.#gesture;
    const rows = names.map((name) => el("label", { class: "choice" }, el("input", { type: "radio", name: "gesture", value: name }), el("span", {}, title(name))));
    $("gestures").replaceChildren(...rows);
    this.choose(before ?? (names.includes("thumbs_up") ? "thumbs_up" : names[0]));
  }

  keys(allowed) {
    const radio = document.querySelector('[name="does"][value="key"]');
    radio.disabled = !allowed;
    $("no-keys").hidden = allowed;
  }

  /* A gesture that was shown, or chosen. */
  choose(name) {
    const radio = [...document.querySelectorAll('[name="gesture"]')].find(({ value }) => value === name);
    if (!radio || radio.checked) return;
    radio.checked = true;
    this.#refresh();
  }

  get #gesture() {
    return document.querySelector('[name="gesture"]:checked')?.value;
  }

  get #kind() {
    return document.querySelector('[name="does"]:checked').value;
  }

  get #does() {
    const target = $("target").value.trim();
    return this.#kind === "publish" ? `publish:${target}=${$("payload").value}` : `${this.#kind}:${target}`;
  }

  #typed(target) {
    if (target.id === "rule-file") this.#named = true;
    if (target.name === "does") this.#kindChanged();
    this.#ready = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), WAIT_MS);
  }

  #kindChanged() {
    const event = this.#kind === "event";
    $("target-fields").hidden = $("rule-text").hidden = event;
    $("payload-field").hidden = this.#kind !== "publish";
    $("write").textContent = event ? "Go on" : "Write the rule";
    if (!event) [$("target-label").textContent, $("target").value] = TARGETS[this.#kind];
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const mine = ++this.#asked;
    if (!this.#gesture || this.#kind === "event") return this.#tell("");
    const { files = [], error } = await call("rule-files");
    if (mine !== this.#asked) return;
    if (error) return this.#tell(error, "bad");
    this.#files = files;
    if (!this.#named) $("rule-file").value = this.#freeName();
    const found = await call(`${this.#path}/template`, { method: "POST", body: { gesture: this.#gesture, does: this.#does } });
    if (mine !== this.#asked) return;
    this.#ready = !found.error;
    $("rule-text").textContent = found.text ?? "";
    this.#tell(found.error ?? "", "bad");
  }

  get #path() {
    return `rule-files/${encodeURIComponent($("rule-file").value)}`;
  }

  #freeName() {
    const stem = `${this.#gesture.replaceAll("_", "-")}-${this.#kind}`;
    for (let number = 1; ; number += 1) {
      const name = `${stem}${number > 1 ? `-${number}` : ""}.toml`;
      if (!this.#files.includes(name)) return name;
    }
  }

  async #write() {
    const gesture = this.#gesture;
    if (this.#kind === "event") return this.#written({ gesture, rule: null });
    if (!this.#ready) await this.#refresh();
    if (!this.#ready) return;
    const text = $("rule-text").textContent;
    $("write").disabled = true;
    const cases = await call(`${this.#path}/cases`, { method: "POST", body: { text } });
    const failed = (cases.cases ?? []).filter(({ passed }) => !passed);
    const problem = cases.error ?? failed.map(({ title, problems }) => `${title}: ${problems.join("; ")}`).join("\n");
    const found = problem ? { error: problem } : await call(this.#path, { method: "PUT", body: { text }, headers: { "If-None-Match": "*" } });
    $("write").disabled = false;
    if (found.error) return this.#tell(`Not written: ${found.error}`, "bad");
    this.#tell("");
    this.#named = false;
    this.#written({ gesture, rule: /^id = "(.*)"$/m.exec(text)[1] });
    this.#refresh();
  }

  #tell(text, kind = "") {
    $("gesture-said").textContent = text;
    $("gesture-said").className = `said ${text ? kind : ""}`;
  }
}
