// What every page does: small helpers, and no framework. Nothing here writes HTML.
"use strict";

/** Send a form's fields; the session's form token goes along. Answers the response. */
function send(path, fields) {
  return fetch(path, {
    method: "POST",
    headers: { "X-Form-Token": document.body.dataset.formToken, Accept: "application/json" },
    body: new URLSearchParams(fields),
  });
}

/** The data of a `<script type="application/json" id=…>`. */
function data(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

// Copy the text of another element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const before = button.textContent;
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } else {
    // Over plain http a page may not write there: choose the text, and leave the copying to its reader.
    getSelection().selectAllChildren(source);
    button.textContent = "Press Ctrl-C";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
});

// A link that signs in has its code behind the #, which no server and no log ever sees.
for (const form of document.querySelectorAll("[data-code-from-address]")) {
  const code = location.hash.slice(1);
  if (code) {
    form.elements.code.value = code;
    history.replaceState(null, "", location.pathname + location.search);
    form.hidden = false;
    form.submit();
  }
}

// A file that is chosen fills a text.
for (const input of document.querySelectorAll("[data-fills]")) {
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (file) document.getElementById(input.dataset.fills).value = await file.text();
  });
}

// Buttons that do something with chosen rows need some.
for (const button of document.querySelectorAll("[data-needs-choice]")) {
  const form = button.form;
  const update = () => {
    const chosen = form.querySelectorAll("input[type=checkbox]:checked").length;
    button.disabled = chosen < Number(button.dataset.needsChoice || 1) || chosen > Number(button.dataset.mostChosen || Infinity);
  };
  form.addEventListener("change", update);
  update();
}

// Show what is new without loading the page: parts with `data-live` are taken from a fresh copy of it,
// and figures hear of it by the event `tradeoff:changed`. What somebody is at work on stays as it is.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const other = fresh.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector("input:checked, [data-busy]");
    if (other && !busy && part.textContent + part.innerHTML.length !== other.textContent + other.innerHTML.length) {
      part.replaceChildren(...other.childNodes);
    }
  }
}

const watched = document.querySelector("[data-experiment]");
if (watched) {
  let known = watched.dataset.stamp;
  let shown = known;
  let busy = false;
  // At most once a second, and what comes meanwhile is shown after that.
  const show = async () => {
    if (busy) return;
    busy = true;
    try {
      while (shown !== known) {
        // Hidden pages catch up when somebody looks at them.
        if (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
        shown = known;
        await refresh();
        document.dispatchEvent(new CustomEvent("tradeoff:changed", { detail: shown }));
        await new Promise((done) => setTimeout(done, 1000));
      }
    } finally {
      busy = false;
    }
  };
  const listen = () => {
    const events = new EventSource(`/experiment/${watched.dataset.experiment}/events`);
    events.onmessage = (event) => {
      known = event.data;
      show();
    };
    events.onerror = () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30000);
    };
  };
  listen();
}

// What cannot be undone is asked about first.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-confirm]");
  if (button && !confirm(button.dataset.confirm)) event.preventDefault();
});
