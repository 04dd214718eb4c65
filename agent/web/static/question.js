/* Dialogs: a confirmation of what cannot be undone, and the question for one text. Escape and the first button cancel. */

import { el } from "./dom.js";

/* True once it is confirmed. */
export async function ask({ title, text, detail = "", yes }) {
  return (await open(title, [el("p", {}, text), detail ? el("p", { class: "detail" }, detail) : null], yes)) !== null;
}

/* What was typed; null where it was cancelled. `hint` says what a text must look like, `pattern` checks it. */
export async function askText({ title, label, value = "", hint, pattern, yes }) {
  const input = el("input", { id: "question-field", value, pattern, required: "", autocomplete: "off", spellcheck: "false", autocapitalize: "off", "aria-describedby": "question-hint", title: hint });
  const parts = [el("label", { for: "question-field" }, label), input, el("p", { id: "question-hint", class: "quiet" }, hint)];
  return (await open(title, parts, yes, input)) === null ? null : input.value;
}

function open(title, parts, yes, input = null) {
  return new Promise((answered) => {
    const box = el(
      "dialog",
      { class: "question", "aria-labelledby": "question-title", "aria-describedby": "question-text" },
      el("h2", { id: "question-title" }, title),
      el(
        "form",
        { method: "dialog" },
        el("div", { id: "question-text" }, ...parts.filter((part) => part)),
        el(
          "div",
          { class: "controls" },
          el("button", { type: "button", ...(input ? {} : { autofocus: "" }), onclick: () => box.close("") }, "Cancel"),
          el("button", { type: "submit", value: "yes", class: "primary" }, yes),
        ),
      ),
    );
    const before = document.activeElement;
    box.addEventListener("close", () => {
      box.remove();
      before?.focus?.();
      answered(box.returnValue === "yes" ? "yes" : null);
    });
    document.body.append(box);
    box.showModal();
    input?.focus();
  });
}
