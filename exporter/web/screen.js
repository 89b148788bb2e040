// Keeps a page fresh without losing one's place, and filters while one types. Everything is there without it, too.
"use strict";

const pause = Number(document.body.dataset.refresh);
const notice = document.getElementById("notice");
let answered = Date.now();

function openDetails() {
  return new Map([...document.querySelectorAll("details[id]")].map((part) => [part.id, part.open]));
}

function replace(page) {
  const fresh = page.getElementById("content");
  const old = document.getElementById("content");
  const open = openDetails();
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const field = focused && focused.id === "filter" ? { start: focused.selectionStart, end: focused.selectionEnd } : null;
  const typed = document.getElementById("filter");
  const place = focused && focused.getAttribute("href");
  old.replaceWith(document.adoptNode(fresh));
  for (const part of document.querySelectorAll("details[id]")) if (open.has(part.id)) part.open = open.get(part.id);
  const input = document.getElementById("filter");
  if (input && typed) input.value = typed.value;
  filter();
  if (input && field) {
    input.focus();
    input.setSelectionRange(field.start, field.end);
  } else if (place) {
    const same = [...document.querySelectorAll("#content a")].find((link) => link.getAttribute("href") === place);
    if (same) same.focus();
  }
}

async function refresh() {
  if (document.visibilityState === "visible" && document.getSelection().isCollapsed) {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.status);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      answered = Date.now();
      notice.hidden = true;
    } catch {
      notice.textContent = `No answer from Tidemark for ${Math.round((Date.now() - answered) / 1000)} s: this is old.`;
      notice.hidden = false;
    }
  }
  setTimeout(refresh, pause);
}

function filter() {
  const input = document.getElementById("filter");
  if (!input) return;
  const wanted = input.value.toLowerCase();
  for (const row of document.querySelectorAll(".groups tbody tr"))
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
}

document.addEventListener("input", (event) => event.target.id === "filter" && filter());
document.addEventListener("keydown", (event) => {
  const input = document.getElementById("filter");
  if (event.key !== "/" || !input || event.target === input) return;
  event.preventDefault();
  input.focus();
});
setTimeout(refresh, pause);
