// The sections of the page: each fetches its figure when it comes into view, and again when there is news.
"use strict";

const brushed = { ids: null };
const sections = {
  frontier: { load: loadFrontier },
  history: {
    load: async () => {
      const body = await ask("figures/history", new URLSearchParams([["by", document.getElementById("by").value], ...lookedAt().map((id) => ["keep", id])]));
      await show("history", body.figure);
      const from = Object.entries(body.reference).map(([key, value]) => `${key} ${shortly(value)}`).join(", ");
      say("history", body.hypervolume === null ? "" :
        `Hypervolume ${shortly(body.hypervolume)}${body.exact ? "" : " (estimated)"}, measured from ${from} for the whole history.`);
      tellMarks(body.marks);
    },
  },
  parallel: { load: loadParallel },
  importances: {
    load: async () => {
      const body = await ask("figures/importances");
      await show("importances", body.figure);
      say("importances", body.reason ? `${body.reason}.` :
        `By ${body.method === "model" ? "the models" : "trees, until a worker has asked the models"}, from ${body.observations} observations.`);
      // The parameter that matters most stands at the top, last in the figure.
      slice.most = body.figure?.data[0]?.meta.parameters.at(-1) ?? null;
      await loadSlice();
    },
  },
  failures: {
    load: async () => {
      const form = document.getElementById("pair");
      const query = new URLSearchParams();
      for (const side of ["x", "y"]) if (sections.failures[side]) query.set(side, sections.failures[side]);
      const body = await ask("figures/failures", query);
      form.hidden = !body.figure;
      for (const side of ["x", "y"]) {
        form.elements[side].replaceChildren(...body.parameters.map((name) => el("option", { value: name, selected: name === body[side] }, name)));
      }
      await show("failures", body.figure);
      tellFailures(body);
    },
  },
  model: {
    load: async () => {
      const body = await ask("figures/model");
      await show("model", body.figure);
      document.getElementById("judged").replaceChildren(...body.models.map((each) => el("li", { class: each.predictive ? "" : "banner warn" },
        each.predictive
          ? `${each.metric || "value"}: the model explains ${percent(each.explained)} of the differences; ${percent(each.coverage)} of the values lie in their 95 % interval.`
          : `${each.metric || "value"}: the model predicts no better than the mean. Do not trust what it says of this metric yet.`)));
      document.getElementById("served").textContent = body.served ?? "";
      say("model", body.figure ? "" : "No model was fitted yet. It begins after the first, space-filling suggestions, as soon as a worker runs.");
    },
  },
};

// Along one parameter, below the importances.

const slice = { most: null };

async function loadSlice() {
  const form = document.getElementById("slice-of");
  const query = new URLSearchParams();
  const parameter = view.slice ?? slice.most;
  if (parameter) query.set("parameter", parameter);
  const { through } = form.elements;
  through.querySelector("[value=picked]").disabled = !view.pick;
  if (!view.pick) through.value = "";
  if (through.value) query.set("through", view.pick);
  const body = await ask("figures/slice", query);
  form.elements.parameter.replaceChildren(...body.parameters.map((name) => el("option", { value: name, selected: name === body.parameter }, name)));
  document.getElementById("slice").hidden = !body.figure;
  await show("slice", body.figure);
  say("slice", body.modelled ? "" : "No model was fitted yet: these are the observations alone.");
}

async function sliceAlong(parameter) {
  view.slice = parameter;
  keepView();
  try {
    await loadSlice();
  } catch (error) {
    say("slice", `This figure could not be had: ${error.message}`);
  }
}

/** The slice through the chosen configuration follows the choice. */
function followPick() {
  const { through } = document.getElementById("slice-of").elements;
  const wasThrough = through.value;
  through.querySelector("[value=picked]").disabled = !view.pick;
  if (wasThrough && sections.importances.seen) sliceAlong(view.slice);
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function say(name, text) {
  document.getElementById(`said-${name}`).textContent = text;
}

async function show(name, figure) {
  const element = document.getElementById(`plot-${name}`);
  element.parentElement.hidden = !figure;
  if (!figure) { clear(element); return; }
  await draw(element, figure, { shown: shownMarks(), chosen: brushed.ids });
  listen(element);
}

/** What was edited and imported on the way, by the numbers that stand in the figure. */
function tellMarks(words) {
  const place = document.getElementById("marks");
  place.hidden = !words.length;
  place.querySelector("summary").textContent = `What was edited and imported on the way (${words.length})`;
  place.querySelector("ol").replaceChildren(...words.map((each) => el("li", {}, each)));
}

function tellFailures(body) {
  const rule = document.getElementById("rule");
  if (!body.failed) {
    rule.textContent = "";
    say("failures", body.looked_at ? "Nothing has failed." : "");
    return;
  }
  rule.textContent = body.failed === body.looked_at ? "Everything has failed so far." :
    body.rule ?? "No simple rule tells the failures from the successes.";
  const [designFailed, design] = body.design;
  const [modelFailed, model] = body.model;
  const words = [`${body.failed} of ${body.looked_at}${body.total > body.looked_at ? " newest" : ""} failed.`];
  if (body.avoided !== null) {
    words.push(`Of the first, space-filling suggestions ${designFailed} of ${design} failed; of the model's ${modelFailed} of ${model}:`,
      body.avoided >= 0 ? `about ${body.avoided} failures avoided.` : `${-body.avoided} more than at that share.`);
  }
  say("failures", words.join(" "));
}

// Parallel coordinates: their order, their scales, and what is brushed on them.

async function loadParallel() {
  const state = sections.parallel;
  const query = new URLSearchParams({ only: document.getElementById("only").value });
  for (const name of state.order ?? []) query.append("order", name);
  if (state.logs) { query.set("scaled", "1"); for (const name of state.logs) query.append("log", name); }
  if (view.ranges.length) query.set("ranges", JSON.stringify(view.ranges));
  const body = await ask("figures/parallel", query);
  setBrushed(body.chosen, body.filter);
  state.axes = body.figure.layout.meta.axes;
  await show("parallel", body.figure);
  say("parallel", body.shown < body.total
    ? `${body.shown} of ${body.total} configurations are drawn: the whole frontier, and a sample of the others spread over the search.`
    : "");
  offerOrder();
}

function offerOrder() {
  const state = sections.parallel;
  const move = (index, step) => {
    const names = state.axes.map((axis) => axis.name);
    names.splice(index + step, 0, ...names.splice(index, 1));
    state.order = names;
    loadParallel();
  };
  const scale = (name, log) => {
    state.logs = new Set(state.logs ?? state.axes.filter((axis) => axis.log).map((axis) => axis.name));
    if (log) state.logs.add(name); else state.logs.delete(name);
    loadParallel();
  };
  document.getElementById("axes-order").replaceChildren(...state.axes.map((axis, index) => el("li", {},
    el("span", { class: "name" }, axis.name || "value"),
    el("button", { type: "button", class: "quiet", "aria-label": `Move ${axis.name} to the left`, disabled: index === 0, onclick: () => move(index, -1) }, "←"),
    el("button", { type: "button", class: "quiet", "aria-label": `Move ${axis.name} to the right`, disabled: index === state.axes.length - 1, onclick: () => move(index, 1) }, "→"),
    el("label", { class: "tick" }, el("input", { type: "checkbox", checked: axis.log, disabled: !axis.may_log, onchange: (event) => scale(axis.name, event.target.checked) }), " log"))));
}

function setBrushed(ids, filter) {
  brushed.ids = ids ? new Set(ids) : null;
  const banner = document.getElementById("brushed");
  banner.hidden = !ids;
  if (ids) banner.querySelector("span").textContent = `${ids.length} configurations are chosen by ${view.ranges.map((each) => each[0] || "value").join(", ")}; the others stand back.`;
  const table = document.getElementById("brushed-table");
  table.hidden = !filter;
  if (filter) table.href = `${results.dataset.base}/observations?${new URLSearchParams({ filter })}`;
}

/** Keep what lies in these ranges, in every figure. */
async function brush(ranges) {
  view.ranges = ranges;
  keepView();
  await loadParallel();
  for (const [name, section] of Object.entries(sections)) if (name !== "parallel" && section.seen) run(name);
}

function brushParallel(event) {
  const box = event?.range;
  const { axes } = sections.parallel;
  if (!box || !axes) return;
  const [from, to] = [Math.min(...box.x), Math.max(...box.x)];
  const [low, high] = [Math.min(...box.y), Math.max(...box.y)];
  const across = axes.filter((axis, index) => index >= from && index <= to);
  const chosen = across.length ? across : [axes[Math.max(0, Math.min(axes.length - 1, Math.round((from + to) / 2)))]];
  const names = chosen.map((axis) => axis.name);
  brush([...view.ranges.filter(([name]) => !names.includes(name)),
    ...chosen.map((axis) => [axis.name, valueAt(axis, low), valueAt(axis, high)])]);
}

/** The value at a height of an axis; a little beyond its ends, so that what lies on them is in. */
function valueAt(axis, height) {
  const at = axis.low + height * (axis.high - axis.low);
  return axis.log ? 10 ** at : at;
}

function brushPoints(event) {
  const points = (event?.points ?? []).filter((point) => point.customdata !== undefined && !point.data.meta?.own && point.data.yaxis !== "y2");
  if (!points.length) return;
  const within = (key, values) => [key, Math.min(...values), Math.max(...values)];
  const { x, y } = frontier.body;
  brush([...view.ranges.filter(([name]) => name !== x && name !== y), within(x, points.map((p) => p.x)), within(y, points.map((p) => p.y))]);
}

// What happens on a figure.

function listen(element) {
  if (element.dataset.listening) return;
  element.dataset.listening = "yes";
  element.on("plotly_click", (event) => {
    const [bar] = event.points;
    if (bar.data.meta?.parameters) { sliceAlong(bar.data.meta.parameters[bar.pointNumber]); return; }
    const point = event.points.find((each) => each.customdata !== undefined);
    if (point) choose(Number(point.customdata));
  });
  if (element.id === "plot-frontier") {
    element.on("plotly_relayout", dragged);
    if (frontier.body.metrics.length > 1) {
      element.on("plotly_selected", brushPoints);
      element.on("plotly_hover", showTip);
      element.on("plotly_unhover", hideTip);
    }
  }
  if (element.id === "plot-parallel") element.on("plotly_selected", brushParallel);
}

async function run(name) {
  const section = sections[name];
  section.seen = true;
  try {
    await section.load();
  } catch (error) {
    say(name, `This figure could not be had: ${error.message}`);
  }
}

/** There is news: draw what was drawn anew, and let new points be seen. */
async function catchUp() {
  const before = new Set(frontier.body?.points.ids);
  for (const name of Object.keys(sections)) if (sections[name].seen) await run(name);
  const fresh = (frontier.body?.points.ids ?? []).filter((id) => !before.has(id));
  if (before.size && fresh.length) {
    await mark(frontier.element, { ...shownMarks(), fresh });
    setTimeout(() => mark(frontier.element, shownMarks()), 1500);
  }
  showPanel();
  showShortlist();
}

setUpFrontier();
if (!document.getElementById("history")) delete sections.history;
document.getElementById("by").addEventListener("change", () => run(sections.history ? "history" : "frontier"));
document.getElementById("only").addEventListener("change", () => run("parallel"));
document.getElementById("pair").addEventListener("change", (event) => {
  const form = event.target.form;
  const other = event.target.name === "x" ? "y" : "x";
  // Choosing the other one's parameter swaps the two.
  if (form.elements.x.value === form.elements.y.value) form.elements[other].value = sections.failures[event.target.name] ?? "";
  for (const side of ["x", "y"]) sections.failures[side] = form.elements[side].value;
  run("failures");
});
document.getElementById("slice-of").addEventListener("change", (event) => sliceAlong(event.target.form.elements.parameter.value));
document.getElementById("unbrush").addEventListener("click", () => brush([]));
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-image]")?.dataset.image;
  const element = name && document.getElementById(`plot-${name}`);
  if (element && drawn.has(element)) savePicture(element, `experiment-${document.querySelector("[data-experiment]").dataset.experiment}-${name}`);
});
document.addEventListener("tradeoff:changed", () => {
  clearTimeout(catchUp.timer);
  catchUp.timer = setTimeout(catchUp, 150);
});

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    watcher.unobserve(entry.target);
    run(entry.target.id);
  }
}, { rootMargin: "300px" });
for (const name of Object.keys(sections)) watcher.observe(document.getElementById(name));
if (view.ranges.length) run("parallel").then(() => { if (sections.frontier.seen) run("frontier"); });
showPanel();
showShortlist();
