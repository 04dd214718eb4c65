/* Notes what the kiosk does and how its rings fill. */
(() => {
  window.acted = [];
  window.rings = [];
  document.addEventListener("kiosk-acted", ({ detail }) => {
    const chosen = document.querySelector("[aria-current=true] .label").textContent;
    acted.push([detail.gesture, document.body.dataset.view, chosen]);
  });
  const note = ({ target }) => rings.push(parseFloat(target.getAttribute("stroke-dasharray")));
  const observer = new MutationObserver((changes) => changes.forEach(note));
  observer.observe(document.getElementById("legend"), { attributeFilter: ["stroke-dasharray"], subtree: true });
})()
