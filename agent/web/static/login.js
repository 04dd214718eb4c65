/* Where to go after, what went wrong, and a token in the address (#token=...), which no server sees or logs. */

const asked = new URLSearchParams(location.search);
document.getElementById("next").value = asked.get("next") ?? "/";
document.getElementById("wrong").hidden = !asked.has("wrong");

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token && !asked.has("wrong")) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = token;
  document.querySelector("form").submit();
}
