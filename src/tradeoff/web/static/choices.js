// The chosen configuration beside the figure, and the shortlist below it.
"use strict";

const results = document.querySelector(".results");
const FORMATS = { json: ["JSON", "application/json"], yaml: ["YAML", "application/yaml"], flags: ["Flags", "text/plain"] };
const SOURCES = {
  model: "The model suggested it", space_filling: "It was drawn to fill the space", random: "It was drawn at random",
  grid: "It is a point of the grid", queued: "Somebody queued it", user: "Somebody reported it",
};

async function ask(path, query = "") {
  const answer = await fetch(`${results.dataset.base}/${path}?${query}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function askChoices(ids) {
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  if (view.base) query.set("baseline", view.base);
  return ask("choices", query);
}

function changeOf(metric) {
  if (!metric.change) return null;
  const sign = metric.change > 0 ? "+" : "";
  const arrow = metric.better === null ? "" : metric.better ? " ▲" : " ▼";
  const word = metric.better === null ? "" : metric.better ? "better" : "worse";
  return el("span", { class: `change ${word}` }, ` ${sign}${shortly(metric.change)}${arrow}`, el("span", { class: "unseen" }, ` ${word}`));
}

function metricRow(metric) {
  const spread = metric.stddev === null ? "" : ` ± ${shortly(metric.stddev)}`;
  const missed = metric.value !== null && !metric.met ? el("span", { class: "change worse" }, " misses its threshold") : null;
  return el("tr", {}, el("th", { scope: "row" }, metric.key || "value"), el("td", { class: "number" }, shortly(metric.value) + spread, changeOf(metric), missed));
}

function whyOf(choice) {
  const explanation = choice.explanation ?? {};
  const lines = [SOURCES[choice.source ?? "user"] ?? choice.source];
  if (explanation.method) lines[0] += ` (${explanation.method})`;
  for (const [key, each] of Object.entries(explanation.metrics ?? {})) {
    lines.push(`${key || "value"} expected ${shortly(each.mean)}, between ${shortly(each.low)} and ${shortly(each.high)}`);
  }
  if (typeof explanation.probability_of_success === "number") lines.push(`expected to succeed: ${Math.round(100 * explanation.probability_of_success)} %`);
  if (explanation.observations) lines.push(`it knew ${explanation.observations} observations`);
  if (explanation.reason) lines.push(explanation.reason);
  return el("ul", { class: "why" }, lines.map((line) => el("li", {}, line)));
}

function exportOf(choice) {
  const text = el("pre", { id: `export-${choice.id}`, class: "export", tabindex: "0" }, choice.json);
  const link = el("a", { class: "button quiet", download: `configuration-${choice.id}.json` }, "Download");
  const show = (format) => {
    const [, type] = FORMATS[format];
    text.textContent = choice[format];
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([choice[format]], { type }));
    link.download = `configuration-${choice.id}.${format === "flags" ? "txt" : format}`;
  };
  const pick = el("select", { "aria-label": "Format", onchange: (event) => show(event.target.value) },
    Object.entries(FORMATS).map(([format, [label]]) => el("option", { value: format }, label)));
  show("json");
  return el("div", { class: "exports" }, el("div", { class: "controls" }, pick,
    el("button", { type: "button", class: "quiet", "data-copy": text.id }, "Copy"), link), text);
}

function failureSwitch(choice) {
  if (!choice.failed || !results.dataset.mayWrite) return null;
  const kind = choice.transient ? "infeasible" : "transient";
  const label = choice.transient ? "It was the configuration after all" : "It was the machine, not the configuration";
  const press = async (event) => {
    event.target.disabled = true;
    const answer = await send(`${results.dataset.base}/observation/${choice.id}/kind`, { kind });
    if (answer.ok) document.dispatchEvent(new Event("tradeoff:changed"));
    else event.target.replaceWith(el("span", { class: "change worse" }, await answer.text()));
  };
  return el("button", { type: "button", class: "quiet", onclick: press }, label);
}

async function showPanel() {
  const panel = document.getElementById("panel");
  if (!view.pick) { panel.hidden = true; return; }
  let choice;
  try {
    [choice] = (await askChoices([view.pick])).choices;
  } catch (error) {
    panel.replaceChildren(el("p", {}, error.message));
    panel.hidden = false;
    return;
  }
  if (choice.id !== view.pick) return;
  const listed = view.short.includes(choice.id);
  const state = choice.transient ? "failed, not for its configuration" : choice.failed ? "failed" : null;
  panel.replaceChildren(...[
    el("header", {}, el("h3", {}, `Observation ${choice.id}`),
      el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => choose(null) }, "×")),
    el("p", { class: "note" }, new Date(1000 * choice.created).toLocaleString(), state ? ` · ${state}` : ""),
    el("div", { class: "controls" },
      el("button", { type: "button", id: "to-shortlist", onclick: () => shortlist(choice.id, !listed) }, listed ? "Off the shortlist" : "On the shortlist"),
      el("button", { type: "button", class: "quiet", onclick: () => setBaseline(view.base === choice.id ? null : choice.id) },
        view.base === choice.id ? "Baseline no more" : "Use as baseline"),
      failureSwitch(choice)),
    choice.failed ? null : el("table", { class: "values" }, el("tbody", {}, choice.metrics.map(metricRow))),
    el("h4", {}, "Configuration"),
    el("table", { class: "values" }, el("tbody", {}, Object.entries(choice.assignments).map(([name, value]) =>
      el("tr", { class: choice.differs.includes(name) ? "differs" : "" }, el("th", { scope: "row" }, name), el("td", { class: "number" }, typeof value === "number" ? shortly(value) : value))))),
    el("h4", {}, "Why it was tried"), whyOf(choice),
    choice.metadata ? el("p", { class: "note" }, `Metadata: ${choice.metadata}`) : null,
    el("h4", {}, "Take it"), exportOf(choice),
  ].filter(Boolean));
  panel.hidden = false;
}

async function showShortlist() {
  const place = document.getElementById("shortlist");
  place.hidden = !view.short.length;
  if (!view.short.length) return;
  const ids = view.base && !view.short.includes(view.base) ? [view.base, ...view.short] : view.short;
  let choices;
  try {
    ({ choices } = await askChoices(ids));
  } catch {
    // One of them was deleted meanwhile.
    Object.assign(view, { short: [], base: null });
    keepView();
    return showShortlist();
  }
  const metrics = choices[0].metrics.map((metric) => metric.key);
  place.querySelector("thead tr").replaceChildren(el("th", { scope: "col" }, "Observation"),
    ...metrics.map((key) => el("th", { scope: "col", class: "number" }, key || "value")),
    el("th", { scope: "col" }, "Configuration"), el("th", { scope: "col" }, el("span", { class: "unseen" }, "Do")));
  place.querySelector("tbody").replaceChildren(...choices.map((choice) => el("tr", {},
    el("td", {}, el("button", { type: "button", class: "link", onclick: () => choose(choice.id) }, `#${choice.id}`), choice.id === view.base ? " baseline" : ""),
    choice.metrics.map((metric) => el("td", { class: "number" }, shortly(metric.value), changeOf(metric))),
    el("td", { class: "assignments" }, Object.entries(choice.assignments).map(([name, value], k) =>
      el("span", { class: choice.differs.includes(name) ? "differs" : "" }, `${k ? ", " : ""}${name} ${typeof value === "number" ? shortly(value) : value}`))),
    el("td", { class: "doing" },
      el("button", { type: "button", class: "quiet", onclick: () => setBaseline(choice.id === view.base ? null : choice.id) }, choice.id === view.base ? "No baseline" : "Baseline"), " ",
      el("button", { type: "button", class: "quiet", "aria-label": `Take ${choice.id} off the shortlist`, onclick: () => shortlist(choice.id, false) }, "Remove")))));
}

function markAll() {
  for (const element of drawn.keys()) mark(element, shownMarks());
}

/** Look at one observation, in every figure and beside the first. */
function choose(id) {
  view.pick = id;
  keepView();
  markAll();
  showPanel();
  followPick();
}

function shortlist(id, listed) {
  view.short = listed ? [...view.short.filter((each) => each !== id), id].slice(-20) : view.short.filter((each) => each !== id);
  if (!listed && view.base === id) view.base = null;
  keepView();
  markAll();
  showPanel();
  showShortlist();
}

function setBaseline(id) {
  view.base = id;
  keepView();
  showPanel();
  showShortlist();
}
