// A click on a citation opens the article beside the chat. Without this script the link opens the article's own page.
(() => {
  "use strict";
  let opener = null;
  const panel = () => document.getElementById("rb-panel");

  function close() {
    panel().hidden = true;
    document.body.classList.remove("rb-reading");
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  }

  async function open(link) {
    const address = new URL(link.href);
    address.searchParams.set("fragment", "true");
    const reply = await fetch(address.pathname + address.search);
    const body = document.getElementById("rb-panel-body");
    body.innerHTML = await reply.text();
    opener = link;
    panel().hidden = false;
    document.body.classList.add("rb-reading");
    const quote = body.querySelector("#quote");
    const target = quote || body.querySelector("#article-title");
    if (target) {
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "center" });
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href*="/articles/"]');
    if (event.target.id === "rb-panel-close") return close();
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopPropagation();
    open(link).catch(() => window.location.assign(link.href));
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel() && !panel().hidden) close();
  });

  // The skip link leads to the text box inside Gradio's own markup.
  document.addEventListener("click", (event) => {
    if (event.target.classList && event.target.classList.contains("rb-skip")) {
      const box = document.querySelector("#question textarea, #question input");
      if (box) { event.preventDefault(); box.focus(); }
    }
  });
})();
