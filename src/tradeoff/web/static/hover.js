// What stands beside the pointer in the first figure: the metrics of a configuration, and the parameters
// in which it differs from the baseline; without one from the first on the shortlist, or the chosen one.
"use strict";

const hover = { tip: document.getElementById("tip"), wanted: null, timer: null, known: new Map() };

function comparedWith() {
  return view.base ?? view.short[0] ?? view.pick;
}

/** Both configurations; kept, since a pointer comes back. */
async function differencesOf(id, base) {
  const key = `${id}|${base}`;
  if (!hover.known.has(key)) {
    const query = new URLSearchParams([["id", id], ["id", base], ["baseline", base]]);
    hover.known.set(key, ask("choices", query).then(({ choices }) => choices));
  }
  return hover.known.get(key);
}

function metricLine({ key, sign, strategy }, row, baseRow) {
  const value = frontier.body.points.values[key]?.[row];
  if (value === null || value === undefined) return null;
  const before = frontier.body.points.values[key][baseRow];
  const change = typeof before === "number" ? value - before : 0;
  return el("div", {}, `${key || "value"} `, el("b", {}, shortly(value)),
    changeOf({ change, better: strategy === "store" || !change ? null : sign * change > 0 }));
}

function differenceLine(name, here, there) {
  const said = (value) => (value === undefined ? "off" : typeof value === "number" ? shortly(value) : value);
  return el("div", {}, `${name} `, el("b", {}, said(here)), ` instead of ${said(there)}`);
}

function startTip(id) {
  const { points, metrics } = frontier.body;
  const row = points.ids.indexOf(id);
  const base = comparedWith();
  hover.tip.replaceChildren(...[
    el("div", { class: "note" }, `Observation ${id} · ${points.states[row] === "transient" ? "failed, not for its configuration" : points.states[row]}`),
    ...metrics.map((metric) => metricLine(metric, row, base === id ? -1 : points.ids.indexOf(base))),
  ].filter(Boolean));
}

async function finishTip(id) {
  const base = comparedWith();
  if (base === id) return;
  if (!base) {
    hover.tip.append(el("div", { class: "note" }, "Choose a baseline to see what differs."));
    return;
  }
  let choices;
  try {
    choices = await differencesOf(id, base);
  } catch {
    hover.known.clear();
    return; // one of the two was deleted meanwhile
  }
  if (hover.wanted !== id) return;
  const [here, there] = choices;
  hover.tip.append(el("div", { class: "note" }, here.differs.length ? `Against observation ${base}:` : `The same configuration as observation ${base}.`),
    ...here.differs.map((name) => differenceLine(name, here.assignments[name], there.assignments[name])));
}

function placeTip(pointer) {
  const room = hover.tip.offsetParent.getBoundingClientRect();
  const [x, y] = [pointer.clientX - room.left, pointer.clientY - room.top];
  hover.tip.style.top = `${y + 14}px`;
  // On the side where there is more room.
  const onLeft = x > room.width / 2;
  hover.tip.style.left = onLeft ? "auto" : `${x + 14}px`;
  hover.tip.style.right = onLeft ? `${room.width - x + 14}px` : "auto";
}

function showTip(event) {
  const id = Number(event.points.find((each) => each.customdata !== undefined)?.customdata);
  if (!id) return;
  hover.wanted = id;
  startTip(id);
  hover.tip.hidden = false;
  placeTip(event.event);
  clearTimeout(hover.timer);
  hover.timer = setTimeout(() => finishTip(id), 120);
}

function hideTip() {
  hover.wanted = null;
  clearTimeout(hover.timer);
  hover.tip.hidden = true;
}

/** Say it here, and not in plotly.js' own words. */
function tipInstead(figure) {
  for (const trace of figure.data) {
    if (!trace.customdata) continue;
    delete trace.hovertemplate;
    trace.hoverinfo = "none";
  }
}

document.addEventListener("tradeoff:changed", () => hover.known.clear());
