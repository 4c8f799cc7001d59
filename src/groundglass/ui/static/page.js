// The rail as a menu on a phone, and j, k to walk the rows of a list. Without this file every page still works.
document.documentElement.classList.add("scripted");

const button = document.querySelector(".menu-button");
const rail = document.getElementById("rail");
if (button && rail) {
  const show = (open) => {
    rail.classList.toggle("closed", !open);
    button.setAttribute("aria-expanded", String(open));
  };
  show(false);
  button.addEventListener("click", () => show(rail.classList.contains("closed")));
}

const rows = [...document.querySelectorAll("[data-rows] tbody a[data-row]")];
const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || rows.length === 0) return;
  const step = { j: 1, k: -1 }[event.key];
  if (step === undefined) return;
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1);
  rows[next].focus();
  event.preventDefault();
});
