// Keeps the line on the index's progress up to date, and asks before unsaved words are left.
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
