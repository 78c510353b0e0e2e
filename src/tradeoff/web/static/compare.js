// Experiments beside each other: two figures, and the axes of the first, which stand in the address.
"use strict";

const compared = document.querySelector("[data-compare]").dataset.compare;
const axes = document.getElementById("axes");
const shown = {};

function wanted() {
  const address = new URLSearchParams(location.search);
  const query = new URLSearchParams(compared);
  for (const name of ["x", "y"]) if (address.get(name)) query.set(name, address.get(name));
  for (const name of address.getAll("log")) query.append("log", name);
  return query;
}

async function load() {
  const query = wanted();
  const answer = await fetch(`/compare/figures?${query}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(await answer.text());
  const body = await answer.json();
  if (axes && body.frontiers) {
    const logs = query.getAll("log");
    for (const side of ["x", "y"]) {
      axes.elements[side].value = shown[side] = body[side];
      axes.elements[`log-${side}`].checked = logs.includes(body[side]);
    }
  }
  for (const name of ["frontiers", "courses"]) {
    const element = document.getElementById(`plot-${name}`);
    if (element && body[name]) await draw(element, body[name]);
  }
}

function say(text) {
  for (const place of document.querySelectorAll(".said")) place.textContent = text;
}

async function show() {
  try {
    await load();
    say("");
  } catch (error) {
    say(`This figure could not be had: ${error.message}`);
  }
}

axes?.addEventListener("change", (event) => {
  const other = event.target.name === "x" ? "y" : "x";
  // Choosing the other one's metric swaps the two.
  if (axes.elements.x.value === axes.elements.y.value) axes.elements[other].value = shown[event.target.name];
  const query = new URLSearchParams(compared);
  for (const side of ["x", "y"]) {
    query.set(side, axes.elements[side].value);
    if (axes.elements[`log-${side}`].checked) query.append("log", axes.elements[side].value);
  }
  history.replaceState(null, "", `${location.pathname}?${query}`);
  show();
});
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-image]")?.dataset.image;
  const element = name && document.getElementById(`plot-${name}`);
  if (element && drawn.has(element)) savePicture(element, `compare-${name}`);
});
show().then(() => {
  const element = document.getElementById("plot-frontiers");
  element?.on?.("plotly_click", (event) => {
    const point = event.points.find((each) => each.customdata !== undefined);
    if (point) location.assign(`/experiment/${point.data.meta.experiment}?pick=${point.customdata}`);
  });
});
