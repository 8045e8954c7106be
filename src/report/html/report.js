"use strict";
const form = document.querySelector(".filter");
const rows = [...document.querySelectorAll("tr.rule")];

// Shows the rules that all fields let through, and the headings that have any left.
function filter() {
  const { text, verdict, level, profile, shown } = form.elements;
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (list, value) => !value || list.split(" ").includes(value);
  let number = 0;
  for (const row of rows) {
    const { verdicts, profiles, text: stated } = row.dataset;
    const fits = has(verdicts, verdict.value) && has(profiles, profile.value)
      && (!level.value || row.dataset.level === level.value)
      && words.every((word) => stated.includes(word));
    row.hidden = !fits;
    number += fits;
  }
  for (const body of document.querySelectorAll(".matrix tbody")) {
    body.hidden = !body.querySelector("tr.rule:not([hidden])");
  }
  shown.value = `${number} of ${rows.length} rules`;
}

// What the address names may be closed, or lie in something that is.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") place.open = true;
  }
  if (target) {
    const hidden = target.closest("tr[hidden]");
    if (hidden) { form.reset(); filter(); }
    target.scrollIntoView();
  }
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    // A page from a file may not be allowed to: what is selected can be copied by hand.
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "selected";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

for (const place of document.querySelectorAll(".copied")) {
  const code = place.querySelector("code");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "copy" });
  button.addEventListener("click", () => copy(button, code.textContent));
  if (place.tagName === "PRE") place.prepend(button); else place.append(button);
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", reveal);
filter();
reveal();
