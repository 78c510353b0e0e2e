// The first figure: its axes, thresholds that are tried before they are saved, and the past replayed.
"use strict";

const frontier = { body: null, element: document.getElementById("plot-frontier"), tried: null, upto: null, timer: null };

function savedThresholds() {
  return Object.fromEntries(frontier.body.metrics.map(({ key, threshold }) => [key, threshold]));
}

function frontierQuery() {
  const query = new URLSearchParams();
  if (view.x) query.set("x", view.x);
  if (view.y) query.set("y", view.y);
  for (const name of view.log) query.append("log", name);
  if (!document.getElementById("axes")) query.set("by", document.getElementById("by").value);
  if (document.getElementById("pairs")?.open) query.set("matrix", "1");
  for (const id of lookedAt()) query.append("keep", id);
  return query;
}

async function loadFrontier(fresh = []) {
  const body = await ask("figures/frontier", frontierQuery());
  const followed = frontier.upto === null || !frontier.body || frontier.upto >= frontier.body.points.ids.length;
  frontier.body = body;
  if (followed) frontier.upto = null;
  if (body.metrics.length > 1) tipInstead(body.figure);
  await draw(frontier.element, body.figure, { shown: { ...shownMarks(), fresh }, edits: { shapePosition: true }, chosen: brushed.ids, places: placeOf });
  listen(frontier.element);
  const pairs = document.getElementById("plot-matrix");
  if (body.matrix) { await draw(pairs, body.matrix, { shown: shownMarks(), chosen: brushed.ids }); listen(pairs); }
  offerAxes();
  offerReplay();
  tellCounts();
  if (body.marks) tellMarks(body.marks);
  const isThinned = body.points.ids.length > body.most[0] && brushed.ids;
  if (frontier.tried || frontier.upto !== null || isThinned) await redrawJudged();
}

/** Where an observation lies in the figure, whether it is drawn there or not. */
function placeOf(id) {
  const { points, x, y, metrics } = frontier.body;
  const row = metrics.length > 1 ? points.ids.indexOf(id) : -1;
  const [across, along] = [points.values[x]?.[row], points.values[y]?.[row]];
  return typeof across === "number" && typeof along === "number" ? [across, along] : null;
}

function offerAxes() {
  const form = document.getElementById("axes");
  if (!form) return;
  const { metrics, x, y } = frontier.body;
  for (const [side, chosen] of [["x", x], ["y", y]]) {
    form.elements[side].replaceChildren(...metrics.map(({ key }) => el("option", { value: key, selected: key === chosen }, key)));
    const tick = form.elements[`log-${side}`];
    tick.checked = view.log.has(chosen);
    const known = frontier.body.points.values[chosen].filter((value) => value !== null);
    tick.disabled = known.some((value) => value <= 0);
  }
}

function tellCounts() {
  const { counts, points, reference, metrics } = frontier.body;
  const total = points.ids.length;
  const words = total
    ? [`${total} tried: ${counts.efficient ?? 0} efficient`, counts.infeasible ? `${counts.infeasible} miss a threshold` : null,
      counts.failed ? `${counts.failed} failed` : null]
    : ["Nothing was reported yet; the first observation will appear here by itself."];
  const many = ["dominated", "infeasible"].filter((state) => counts[state] > frontier.body.most[0]);
  if (many.length) words.push(`of the ${many.join(" and of the ")} ones ${frontier.body.most[0]} are drawn, and all that are chosen`);
  const from = Object.entries(reference).map(([key, value]) => `${key} ${shortly(value)}`).join(", ");
  if (from && metrics.length > 1) words.push(`hypervolume measured from ${from}`);
  document.getElementById("said-frontier").textContent = words.filter(Boolean).join(" · ");
}

function offerReplay() {
  const slider = document.getElementById("upto");
  if (!slider) return;
  const total = frontier.body.points.ids.length;
  slider.max = total;
  slider.value = frontier.upto ?? total;
  document.getElementById("replayed").textContent = frontier.upto ?? `all ${total}`;
  slider.disabled = document.getElementById("play").disabled = total < 2;
}

/** Draw the points as they are with the thresholds tried, or were at the moment replayed. */
async function redrawJudged() {
  const { points, metrics, x, y } = frontier.body;
  const upto = frontier.upto ?? points.ids.length;
  const thresholds = { ...savedThresholds(), ...frontier.tried };
  const states = judge(points, metrics, thresholds, upto);
  const xs = points.values[x];
  const ys = points.values[y];
  const rows = { dominated: [], infeasible: [], efficient: [], failed: [], transient: [] };
  states.forEach((state, k) => { if (state === "failed" || state === "transient" || (xs[k] !== null && ys[k] !== null)) rows[state].push(k); });
  const sign = Object.fromEntries(metrics.map((metric) => [metric.key, metric.sign]));
  const stairs = [...rows.efficient].sort((a, b) => sign[x] * (xs[a] - xs[b]) || sign[y] * (ys[b] - ys[a]));
  const counts = Object.fromEntries(Object.entries(rows).map(([state, found]) => [state, found.length]));
  const [most, mostTicks] = frontier.body.most;
  const looked = new Set(lookedAt());
  const keep = (row) => looked.has(points.ids[row]) || Boolean(brushed.ids?.has(points.ids[row]));
  for (const state of ["dominated", "infeasible"]) rows[state] = thinned(rows[state], (k) => xs[k], (k) => ys[k], most, keep);
  for (const state of ["failed", "transient"]) rows[state] = thinned(rows[state], (k) => k, () => 0, mostTicks);
  const updates = { x: [], y: [], customdata: [], name: [], selectedpoints: [], "error_x.visible": [], "error_y.visible": [] };
  const indexes = [];
  frontier.element.data.forEach((trace, index) => {
    const state = trace.meta?.state;
    const chosen = state === "staircase" ? stairs : rows[state];
    if (!chosen || trace.meta.own) return;
    const inStrip = trace.yaxis === "y2";
    indexes.push(index);
    updates.x.push(chosen.map((k) => (inStrip ? k + 1 : xs[k])));
    updates.y.push(chosen.map((k) => (inStrip ? 0.5 : ys[k])));
    updates.customdata.push(chosen.map((k) => points.ids[k]));
    const many = chosen.length < counts[state] ? `${chosen.length} of ${counts[state]} drawn` : `${counts[state]}`;
    updates.name.push(trace.name.replace(/\(\d[^()]*\)$/, `(${many})`));
    updates.selectedpoints.push(brushed.ids ? chosen.flatMap((k, at) => (brushed.ids.has(points.ids[k]) ? [at] : [])) : null);
    const isSaved = !frontier.tried && frontier.upto === null;
    updates["error_x.visible"].push(isSaved && Boolean(trace.error_x));
    updates["error_y.visible"].push(isSaved && Boolean(trace.error_y));
  });
  await Plotly.restyle(frontier.element, updates, indexes);
  await drawThresholds(thresholds);
  return counts;
}

async function drawThresholds(thresholds) {
  const { x, y, metrics } = frontier.body;
  const shapes = [["x", x], ["y", y]].flatMap(([side, key]) => {
    const isReference = typeof thresholds[key] !== "number";
    const at = isReference ? referenceOf(key) : thresholds[key];
    if (at === null) return [];
    const relation = metrics.find((metric) => metric.key === key).sign > 0 ? "≥" : "≤";
    const stroke = colour(isReference ? "--muted" : "--series-3");
    const text = isReference ? `reference ${shortly(at)}` : `${escaped(key)} ${relation} ${shortly(at)}`;
    // As the server places them: see charts/parts.py.
    const place = isReference
      ? { textposition: "start", xanchor: "left", yanchor: "bottom" }
      : { textposition: "end", xanchor: side === "x" ? "left" : "right", yanchor: side === "x" ? "top" : "bottom" };
    const ends = side === "x" ? { xref: "x", yref: "y domain", x0: at, x1: at, y0: 0, y1: 1 } : { xref: "x domain", yref: "y", x0: 0, x1: 1, y0: at, y1: at };
    return [{
      type: "line", name: `${isReference ? "reference" : "threshold"}:${key}`, ...ends, line: { color: stroke, width: 2, dash: isReference ? "dot" : "dash" },
      label: { text, ...place, textangle: 0, font: { color: stroke, size: 12 } },
    }];
  });
  await Plotly.relayout(frontier.element, { shapes });
}

/** Where the line of the reference point stands in a metric without a threshold, if moving it can make one. */
function referenceOf(key) {
  const { metrics, reference } = frontier.body;
  const isSeveral = metrics.filter(({ strategy }) => strategy === "optimize").length > 1;
  const at = reference[key];
  // A threshold that is saved, and only cleared for a try, was the reference until now.
  if (!isSeveral || at === undefined || typeof savedThresholds()[key] === "number" || (view.log.has(key) && at <= 0)) return null;
  return at;
}

/** As plotly.js wants texts: it takes a little HTML in them. */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function tryThresholds(changes) {
  frontier.tried = { ...savedThresholds(), ...frontier.tried, ...changes };
  const form = document.getElementById("thresholds");
  for (const [key, value] of Object.entries(changes)) {
    const field = form.elements[key];
    if (field && document.activeElement !== field) field.value = value ?? "";
  }
  const counts = await redrawJudged();
  const left = counts.efficient + counts.dominated;
  document.getElementById("preview").textContent =
    `With these thresholds ${left} of ${frontier.body.points.ids.length} configurations remain, ${counts.efficient} of them efficient.`;
  document.getElementById("reset-thresholds").disabled = false;
  const save = document.getElementById("save-thresholds");
  if (save) save.disabled = false;
}

async function forgetThresholds() {
  frontier.tried = null;
  document.getElementById("preview").textContent = "";
  document.getElementById("reset-thresholds").disabled = true;
  const save = document.getElementById("save-thresholds");
  if (save) save.disabled = true;
  for (const [key, value] of Object.entries(savedThresholds())) {
    const field = document.getElementById("thresholds").elements[key];
    if (field) field.value = value ?? "";
  }
  await loadFrontier();
}

async function saveThresholds(event) {
  event.preventDefault();
  const fields = {};
  for (const field of event.target.elements) if (field.type === "number") fields[`threshold:${field.name}`] = field.value;
  const answer = await send(`${results.dataset.base}/thresholds`, fields);
  if (!answer.ok) { document.getElementById("preview").textContent = await answer.text(); return; }
  frontier.tried = null;
  document.dispatchEvent(new Event("tradeoff:changed"));
  for (const field of event.target.elements) if (field.type === "number") field.defaultValue = field.value;
  document.getElementById("preview").textContent = "Saved. The next suggestions will follow.";
  document.getElementById("reset-thresholds").disabled = document.getElementById("save-thresholds").disabled = true;
}

function dragged(event) {
  const moved = Object.keys(event).map((key) => /^shapes\[(\d+)\]\.([xy])0$/.exec(key)).filter(Boolean);
  if (!moved.length) return;
  const shape = frontier.element.layout.shapes[Number(moved[0][1])];
  const key = shape?.name?.replace(/^(threshold|reference):/, "");
  if (!key || !(key in savedThresholds())) return;
  const side = shape.xref === "x" ? "x" : "y";
  tryThresholds({ [key]: Number(Number(shape[`${side}0`]).toPrecision(5)) });
}

function replay(upto) {
  const total = frontier.body.points.ids.length;
  frontier.upto = upto >= total ? null : upto;
  document.getElementById("replayed").textContent = frontier.upto ?? `all ${total}`;
  return redrawJudged();
}

function play() {
  const button = document.getElementById("play");
  const slider = document.getElementById("upto");
  const stop = () => { clearTimeout(frontier.timer); frontier.timer = null; button.textContent = "Replay"; button.setAttribute("aria-pressed", "false"); };
  if (frontier.timer) { stop(); return; }
  const total = frontier.body.points.ids.length;
  let at = Number(slider.value) >= total ? 0 : Number(slider.value);
  button.textContent = "Stop";
  button.setAttribute("aria-pressed", "true");
  const step = async () => {
    at = Math.min(at + Math.max(1, Math.round(total / 100)), total);
    slider.value = at;
    await replay(at);
    if (at >= total) stop();
    else if (frontier.timer) frontier.timer = setTimeout(step, 60);
  };
  frontier.timer = setTimeout(step, 0);
}

function setUpFrontier() {
  const axes = document.getElementById("axes");
  axes?.addEventListener("change", () => {
    view.x = axes.elements.x.value;
    view.y = axes.elements.y.value;
    for (const side of ["x", "y"]) {
      const key = axes.elements[side].value;
      if (key !== frontier.body[side]) continue;
      if (axes.elements[`log-${side}`].checked) view.log.add(key);
      else view.log.delete(key);
    }
    keepView();
    loadFrontier();
  });
  document.getElementById("swap")?.addEventListener("click", () => {
    [view.x, view.y] = [frontier.body.y, frontier.body.x];
    keepView();
    loadFrontier();
  });
  document.getElementById("upto")?.addEventListener("input", (event) => replay(Number(event.target.value)));
  document.getElementById("play")?.addEventListener("click", play);
  document.getElementById("pairs")?.addEventListener("toggle", (event) => { if (event.target.open) loadFrontier(); });
  const form = document.getElementById("thresholds");
  form?.addEventListener("input", (event) => {
    if (event.target.validity.badInput) return;
    tryThresholds({ [event.target.name]: event.target.value === "" ? null : Number(event.target.value) });
  });
  form?.addEventListener("submit", saveThresholds);
  form?.addEventListener("reset", (event) => { event.preventDefault(); forgetThresholds(); });
}
