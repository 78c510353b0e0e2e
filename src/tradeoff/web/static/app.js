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
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
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
