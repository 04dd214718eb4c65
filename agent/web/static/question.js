/* Confirmation dialog for irreversible actions. Escape and the first button cancel. */

import { el } from "./dom.js";

export function ask({ title, text, detail = "", yes }) {
  return new Promise((answered) => {
    const box = el(
      "dialog",
      { class: "question", "aria-labelledby": "question-title", "aria-describedby": "question-text" },
      el("h2", { id: "question-title" }, title),
      el("div", { id: "question-text" }, el("p", {}, text), detail ? el("p", { class: "detail" }, detail) : null),
      el(
        "div",
        { class: "controls" },
        el("button", { type: "button", autofocus: "", onclick: () => box.close("") }, "Cancel"),
        el("button", { type: "button", class: "primary", onclick: () => box.close("yes") }, yes),
      ),
    );
    const before = document.activeElement;
    box.addEventListener("close", () => {
      box.remove();
      before?.focus?.();
      answered(box.returnValue === "yes");
    });
    document.body.append(box);
    box.showModal();
  });
}
