/* Rule files in the browser: text, what is wrong with it at its line, cases, earlier versions, conflicts. */

import { call as request } from "./api.js";
import { el, say } from "./dom.js";
import { ask, askText } from "./question.js";

const CHECK_MS = 600; // after the last key
const FIRST = { gesture: "thumbs_up", does: "lamp:zigbee2mqtt/lamp/set" }; // of a new file, to be changed

const $ = (id) => document.getElementById(id);
const text = $("text");
let name = ""; // of the file
let etag = ""; // of what the file held when it was read; empty: it is not there yet
let saved = ""; // that text
let theirs = null; // what somebody else saved meanwhile
let notes = []; // {line, column, text, kind}
let timer = 0;
let asked = 0; // checks; only the answer to the newest counts

/* The agent. */

const call = (path, options) => request(`rule-files${path}`, options);
const path = (rest = "") => `/${encodeURIComponent(name)}${rest}`;

/* The file. */

async function list(chosen = "") {
  const { files = [], deleted = [], error } = await call("");
  if (error) return tell(error, "bad");
  const options = (names) => names.map((file) => el("option", { value: file }, file));
  const gone = deleted.length ? [el("optgroup", { label: "Deleted" }, ...options(deleted))] : [];
  $("file").replaceChildren(...options(files), ...gone);
  if (chosen && files.includes(chosen)) return ($("file").value = chosen);
  text.disabled = !files.length;
  $("delete").disabled = !files.length;
  if (files.length) return load(files[0]);
  [name, etag] = ["", ""];
  text.value = saved = "";
  show([]);
  changed();
  tell("There is no rule file; New file begins one.");
}

async function load(file) {
  if ($("file").querySelector("optgroup")?.contains([...$("file").options].find(({ value }) => value === file))) return revive(file);
  name = file;
  $("file").value = file;
  const found = await call(path());
  if (found.error) return tell(found.error, "bad");
  take(found);
  tell("");
  await history();
  await check();
}

/* A text for a file that is not there yet; Save writes it. */
async function begin(file, written, words, versions = []) {
  [name, etag, saved] = [file, "", ""];
  if (![...$("file").options].some(({ value }) => value === file)) $("file").prepend(el("option", { value: file }, `${file} (not saved yet)`));
  $("file").value = file;
  text.disabled = false;
  text.value = written;
  conflict(null);
  changed();
  tell(words);
  listVersions(versions);
  await check();
  text.focus();
}

async function create() {
  if (!(await mayDiscard())) return;
  const file = await askText({
    title: "New rule file",
    label: "Its name",
    hint: "a-z, 0-9, - and _, then .toml: lamp.toml",
    pattern: "[a-z0-9][a-z0-9_\\-]{0,58}\\.toml",
    yes: "Begin",
  });
  if (file === null) return;
  const found = await call(`/${encodeURIComponent(file)}/template`, { method: "POST", body: FIRST });
  if (found.error) return tell(`${found.error}.`, "bad");
  await begin(file, found.text, "A first rule with its case; change it, then Save writes the file.");
}

/* A deleted file comes back as its newest version, once it is saved. */
async function revive(file) {
  const { versions = [], error } = await call(`/${encodeURIComponent(file)}/history`);
  const found = versions.length ? await call(`/${encodeURIComponent(file)}/history/${versions[0].id}`) : { error };
  if (found.error) return tell(found.error, "bad");
  await begin(file, found.text, `${file} was deleted; this is its last text. Save writes it again.`, versions);
}

async function remove() {
  if (!etag) return (await mayDiscard()) && list();
  const sure = await ask({
    title: `Delete ${name}?`,
    text: "Its rules stop at once. Its text stays among the deleted files, from where it can come back.",
    yes: "Delete",
  });
  if (!sure) return;
  const gone = name;
  const found = await call(path(), { method: "DELETE", headers: { "If-Match": etag } });
  if (found.status === 409) conflict(found.now);
  if (found.problems) show(found.problems.map((one) => ({ ...one, kind: "bad" })));
  if (found.error) return tell(`Not deleted: ${found.error}.`, "bad");
  saved = text.value;
  await list();
  tell(`${gone} is deleted; ${found.said}.`, "good");
  $("file").focus();
}

function take(found) {
  ({ etag, text: saved } = found);
  text.value = saved;
  saved = text.value; // as the browser has it: line ends may be others
  conflict(null);
  changed();
}

function changed() {
  const dirty = text.value !== saved;
  $("save").disabled = !dirty;
  $("revert").disabled = !dirty || !etag;
  gutter();
}

/* What is wrong. */

async function check() {
  const mine = ++asked;
  const found = await call(path("/check"), { method: "POST", body: { text: text.value } });
  if (mine !== asked) return;
  if (found.error && !found.problems) return tell(found.error, "bad");
  const problems = (found.problems ?? []).map((one) => ({ ...one, kind: "bad" }));
  const doubts = (found.warnings ?? []).map((one) => ({ ...one, kind: "doubt" }));
  show([...problems, ...doubts]);
  const sum = `${found.rules} rules, ${found.cases} cases in this file`;
  $("no-problems").textContent = found.error ? "" : `None: ${sum}.`;
  text.setAttribute("aria-invalid", String(problems.length > 0));
}

function show(found) {
  notes = found.map((one) => ({ ...one, here: one.file === name || one.file.endsWith(`/${name}`) }));
  const rows = notes.map((note) => {
    const place = note.line ? `line ${note.line}, column ${note.column}` : "";
    const where = [note.here ? "" : note.file, place].filter(Boolean).join(", ");
    const words = [el("strong", {}, where || name), `: ${note.text}`];
    const go = note.here && note.line;
    return el("li", { class: note.kind }, ...(go ? [el("button", { type: "button", onclick: () => jump(note) }, ...words)] : words));
  });
  $("problems").replaceChildren(...rows);
  $("no-problems").hidden = rows.length > 0;
  gutter();
}

function jump({ line, column }) {
  const lines = text.value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(at, at);
  text.scrollTop = Math.max(0, (line - 4) * lineHeight());
}

const lineHeight = () => parseFloat(getComputedStyle(text).lineHeight);

/* Line numbers, and each problem at the end of its line. */
function gutter() {
  const lines = text.value.split("\n");
  const kinds = new Map(notes.filter((note) => note.here).map((note) => [note.line, note.kind]));
  const numbers = lines.map((_, index) => {
    const kind = kinds.get(index + 1);
    return kind ? el("span", { class: kind }, `! ${index + 1}\n`) : `${index + 1}\n`;
  });
  $("gutter").replaceChildren(...numbers);
  const height = lineHeight();
  const style = getComputedStyle(text);
  const top = parseFloat(style.paddingTop);
  const shown = new Map(notes.filter((note) => note.here && note.line).map((note) => [note.line, note]));
  $("notes").replaceChildren(
    ...[...shown.values()].map((note) => {
      const mark = el("span", { class: note.kind }, note.text);
      mark.style.top = `${top + (note.line - 1) * height - text.scrollTop}px`;
      mark.style.left = `calc(${style.paddingLeft} + ${(lines[note.line - 1] ?? "").length + 2}ch - ${text.scrollLeft}px)`;
      return mark;
    }),
  );
  $("gutter").scrollTop = text.scrollTop;
}

/* Saving. */

async function save(as = etag) {
  if (!name) return;
  if (text.value === saved && !theirs) return;
  const wanted = text.value;
  tell("Saving");
  const found = await call(path(), { method: "PUT", body: { text: wanted }, headers: as ? { "If-Match": as } : { "If-None-Match": "*" } });
  if (found.status === 409) {
    conflict(found.now);
    return tell(found.error, "bad");
  }
  if (found.problems) {
    show(found.problems.map((one) => ({ ...one, kind: "bad" })));
    return tell("Not saved: there are problems, see below. Your text is still here.", "bad");
  }
  if (found.error) return tell(`Not saved: ${found.error}. Your text is still here.`, "bad");
  etag = found.etag;
  saved = wanted;
  conflict(null);
  changed();
  if (!as) await list(name);
  tell(`Saved; ${found.said}.`, "good");
  await history();
}

function conflict(now) {
  theirs = now;
  $("conflict").hidden = !now;
  if (!now) return;
  $("theirs").value = now.text;
  $("conflict").focus();
}

/* Cases and earlier versions. */

async function cases() {
  const found = await call(path("/cases"), { method: "POST", body: { text: text.value } });
  if (found.problems) show(found.problems.map((one) => ({ ...one, kind: "bad" })));
  if (found.error) return tell(found.problems ? "The cases cannot be run: there are problems, see below." : found.error, "bad");
  const rows = found.cases.map(({ title, line, passed, problems, fired }) =>
    el(
      "li",
      { class: passed ? "good" : "bad" },
      el("strong", {}, passed ? "passes" : "fails"),
      `: ${title} (line ${line})`,
      el("span", { class: "detail" }, passed ? fired.join("\n") : problems.join("\n")),
    ),
  );
  $("results").replaceChildren(...rows);
  $("no-results").hidden = rows.length > 0;
  say($("no-results"), "This file has no cases.");
  const failed = found.cases.filter(({ passed }) => !passed).length;
  tell(`${rows.length - failed} cases pass, ${failed} fail.`, failed ? "bad" : "good");
}

async function history() {
  const { versions = [] } = await call(path("/history"));
  listVersions(versions);
}

function listVersions(versions) {
  const options = versions.map(({ id, replaced_ms: at }) => el("option", { value: id }, `replaced ${new Date(at).toLocaleString()}`));
  $("history").replaceChildren(el("option", { value: "" }, options.length ? "choose one to look at" : "none yet"), ...options);
  $("history").disabled = !options.length;
}

async function goBack(version) {
  if (!version || !(await mayDiscard())) return ($("history").value = "");
  const found = await call(path(`/history/${version}`));
  if (found.error) return tell(found.error, "bad");
  text.value = found.text;
  changed();
  tell("An earlier version is in the editor; Save puts it into the file.");
  check();
}

async function mayDiscard() {
  if (text.value === saved) return true;
  return ask({ title: "Discard your changes?", text: "What you changed was not saved.", yes: "Discard" });
}

/* What is pressed. */

function tell(words, kind = "") {
  $("state").textContent = words;
  $("state").className = `state ${kind}`;
}

text.addEventListener("input", () => {
  changed();
  clearTimeout(timer);
  timer = setTimeout(check, CHECK_MS);
});
text.addEventListener("scroll", gutter);
new ResizeObserver(gutter).observe(text);
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
  event.preventDefault();
  save();
});
$("save").addEventListener("click", () => save());
$("cases").addEventListener("click", cases);
$("revert").addEventListener("click", async () => {
  if (!(await mayDiscard())) return;
  await load(name);
});
$("new").addEventListener("click", create);
$("delete").addEventListener("click", remove);
$("file").addEventListener("change", async ({ target }) => {
  if (await mayDiscard()) load(target.value);
  else target.value = name;
});
$("history").addEventListener("change", ({ target }) => goBack(target.value));
$("mine").addEventListener("click", () => save(theirs.etag));
$("take").addEventListener("click", () => {
  take(theirs);
  tell("This is what is in the file now.");
  check();
  text.focus();
});
window.addEventListener("beforeunload", (event) => {
  if (text.value !== saved) event.preventDefault();
});

list();
