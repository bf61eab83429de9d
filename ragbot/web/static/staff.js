// Keeps the lines on the index's and the work's progress up to date, and asks before unsaved words are left.
(() => {
  "use strict";
  const line = document.getElementById("st-progress");
  async function look() {
    try {
      const reply = await fetch("/staff/progress");
      if (!reply.ok) return;
      const now = await reply.json();
      if (line.textContent !== now.words) line.textContent = now.words;
      line.dataset.state = now.state;
      if (now.state === "running") setTimeout(look, 1000);
    } catch { setTimeout(look, 5000); }
  }
  if (line) look();

  // What somebody waits for: says how far it is, and goes on once it is done.
  const work = document.getElementById("st-work");
  async function wait() {
    try {
      const reply = await fetch(`/staff/progress?work=${encodeURIComponent(work.dataset.work)}`);
      // Whoever is signed out meanwhile sees it on the next page.
      if (!reply.ok) { location.reload(); return; }
      const now = await reply.json();
      if (now.state === "done") { location.replace(location.href); return; }
      if (work.textContent !== now.words) work.textContent = now.words;
      setTimeout(wait, 1000);
    } catch { setTimeout(wait, 5000); }
  }
  if (work) wait();

  // What cannot be taken back with one click is asked about first.
  for (const button of document.querySelectorAll("button[data-ask]")) {
    button.addEventListener("click", (event) => { if (!confirm(button.dataset.ask)) event.preventDefault(); });
  }

  const form = document.getElementById("st-edit");
  if (form) {
    let changed = false;
    form.addEventListener("input", () => { changed = true; });
    form.addEventListener("submit", () => { changed = false; });
    window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  }
})();
