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
    // A link to another site may have such a path as well.
    if (!link || link.origin !== window.location.origin || !link.pathname.startsWith("/articles/")) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
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

// Help is never behind a queue or a refusal. The reply to a question says at once where someone may be in danger, and each refusal says
// why, in calm words with the crisis line; both are shown here, because Gradio shows neither.
(() => {
  "use strict";
  const SOON = 400;
  const asks = (address) => String(address).includes("/gradio_api/queue/join");
  const listens = (address) => String(address).includes("/gradio_api/queue/data");
  const send = window.fetch;
  const place = () => document.getElementById("rb-first-help");
  const blocks = () => document.querySelectorAll("#conversation .rb-crisis").length;
  // How many blocks the conversation held when the one that is shown here was called for; null where it stays until it is closed.
  let standsFor = null;

  function show(html, until = null) {
    const box = place();
    if (!box) return;
    standsFor = until;
    box.querySelector("#rb-first-help-body").innerHTML = html;
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
  }

  function hide() {
    if (place()) place().hidden = true;
  }

  function paragraphs(words) {
    const holder = document.createElement("div");
    for (const line of words.split("\n").filter((one) => one.trim())) {
      const paragraph = document.createElement("p");
      paragraph.textContent = line;
      holder.append(paragraph);
    }
    return holder.innerHTML;
  }

  function showLost() {
    const lost = document.getElementById("rb-lost");
    if (lost) show(lost.innerHTML);
  }

  async function look(reply, blocksBefore) {
    let said = {};
    try { said = await reply.clone().json(); } catch { /* not ours: the words for a lost connection stand in */ }
    if (reply.ok) {
      // The conversation shows the same block a moment later; where that takes longer, it is shown here until then.
      if (said.help) setTimeout(() => { if (blocks() === blocksBefore) show(said.help, blocksBefore); }, SOON);
    } else if (said.help) {
      show(paragraphs(said.words || "") + said.help);
    } else {
      showLost();
    }
  }

  window.fetch = async (input, options) => {
    const address = input instanceof Request ? input.url : input;
    if (!asks(address) && !listens(address)) return send(input, options);
    const before = blocks();
    if (asks(address)) hide();
    let reply;
    try {
      reply = await send(input, options);
    } catch (problem) {
      if (!(problem && problem.name === "AbortError")) showLost();
      throw problem;
    }
    if (asks(address)) look(reply, before);
    else if (!reply.ok) showLost();
    return reply;
  };

  new MutationObserver(() => {
    if (standsFor !== null && !place().hidden && blocks() > standsFor) hide();
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("click", (event) => {
    if (event.target.id === "rb-first-help-close") hide();
  });
})();
