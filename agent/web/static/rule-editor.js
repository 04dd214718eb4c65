/* Rule files in the browser: text, what is wrong with it at its line, cases, earlier versions, conflicts. */

import { el, say } from "./dom.js";
import { ask } from "./question.js";

const CHECK_MS = 600; // after the last key

const $ = (id) => document.getElementById(id);
const text = $("text");
let name = ""; // of the file
let etag = ""; // of what the file held when it was read
let saved = ""; // that text
let theirs = null; // what somebody else saved meanwhile
let notes = []; // {line, column, text, kind}
let timer = 0;
let asked = 0; // checks; only the answer to the newest counts

/* The agent. */

async function call(path, { method = "GET", body, headers = {} } = {}) {
  try {
    const answer = await fetch(new URL(`../api/rule-files${path}`, import.meta.url), {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: answer.status, ...(await answer.json()) };
  } catch {
    return { status: 0, error: "The agent cannot be reached; your text is still here." };
  }
}

const path = (rest = "") => `/${encodeURIComponent(name)}${rest}`;

/* The file. */

async function list() {
  const { files = [], error } = await call("");
  if (error) return tell(error, "bad");
  $("file").replaceChildren(...files.map((file) => el("option", { value: file }, file)));
  if (!files.length) return tell("There is no rule file yet; gesture-agent init writes one.", "bad");
  await load(files[0]);
}

async function load(file) {
  name = file;
  $("file").value = file;
  const found = await call(path());
  if (found.error) return tell(found.error, "bad");
  take(found);
  tell("");
  await history();
  await check();
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
  $("revert").disabled = !dirty;
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
  if (text.value === saved && !theirs) return;
  const wanted = text.value;
  tell("Saving");
  const found = await call(path(), { method: "PUT", body: { text: wanted }, headers: { "If-Match": as } });
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
