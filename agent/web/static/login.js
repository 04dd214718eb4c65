/* Login form: redirect target, errors, and a token in the URL fragment (#token=...), which servers never see. */

const asked = new URLSearchParams(location.search);
const wait = Number.parseInt(asked.get("wait") ?? "", 10);
const wrong = document.getElementById("wrong");
document.getElementById("next").value = asked.get("next") ?? "";
wrong.hidden = !asked.has("wrong") && !(wait > 0);
if (wait > 0) wrong.textContent = `Too many wrong tokens from this address. Try again in ${wait} seconds.`;

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token && wrong.hidden) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.querySelector("form").submit();
}
