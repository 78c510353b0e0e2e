// The figure of what a training run measured on its way.
"use strict";

const place = document.getElementById("plot-checkpoints");
const told = document.getElementById("said-checkpoints");

async function show() {
  const answer = await fetch(`${location.pathname}/figures/checkpoints`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(await answer.text());
  const { figure } = await answer.json();
  if (figure) await draw(place, figure);
}

show().catch((error) => { told.textContent = `This figure could not be had: ${error.message}`; });
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-image=checkpoints]") && drawn.has(place)) savePicture(place, location.pathname.slice(1).replace("/", "-"));
});
