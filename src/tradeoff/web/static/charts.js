// Draws figures of plotly.js in the colours of the page, and keeps marks of its own on top of them.
"use strict";

// The figures come in the colours of a light ground; each has a name in app.css, where dark is told.
const COLOURS = {
  "#0072b2": "--series-1", "#d55e00": "--series-2", "#009e73": "--series-3", "#b4518a": "--series-4",
  "#9a7400": "--series-5", "#848e99": "--strong-line", "#56606b": "--muted", "#ffffff": "--surface",
};
const drawn = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function recoloured(part, colours) {
  if (typeof part === "string") return colours[part] ?? part;
  if (Array.isArray(part)) return part.length && typeof part[0] === "number" ? part : part.map((each) => recoloured(each, colours));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, recoloured(each, colours)]));
}

function dressed(figure) {
  const colours = Object.fromEntries(Object.entries(COLOURS).map(([hex, name]) => [hex, colour(name)]));
  const { data, layout } = recoloured(figure, colours);
  layout.font = { color: colour("--text"), size: 13, family: getComputedStyle(document.body).fontFamily };
  layout.hoverlabel = { bgcolor: colour("--surface"), bordercolor: colour("--strong-line"), font: { color: colour("--text") } };
  layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--text") };
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name) || axis.visible === false) continue;
    axis.gridcolor ??= colour("--line");
    axis.linecolor = colour("--strong-line");
  }
  return { data, layout };
}

/** The marks of some observations, in every pair of axes where they are drawn; `places` knows others. */
function marks(data, ids, look, places) {
  const wanted = new Set(ids);
  const missing = new Set(places ? ids : []);
  const byAxes = new Map();
  for (const trace of data) {
    if (!trace.customdata || trace.meta?.own) continue;
    const key = `${trace.xaxis ?? "x"}|${trace.yaxis ?? "y"}`;
    const found = byAxes.get(key) ?? { x: [], y: [], isLine: false };
    byAxes.set(key, found);
    found.isLine ||= trace.mode === "lines";
    trace.customdata.forEach((id, k) => {
      if (wanted.has(id)) { found.x.push(trace.x[k]); found.y.push(trace.y[k]); missing.delete(id); }
    });
  }
  for (const [x, y] of [...missing].map((id) => places(id)).filter(Boolean)) {
    byAxes.get("x|y")?.x.push(x);
    byAxes.get("x|y")?.y.push(y);
  }
  return [...byAxes].map(([key, { x, y, isLine }]) => {
    const [xaxis, yaxis] = key.split("|");
    const stroke = colour(look.colour);
    return {
      type: "scatter", mode: isLine ? "lines" : "markers", x, y, xaxis, yaxis, meta: { own: look.name },
      showlegend: false, hoverinfo: "skip", line: { color: stroke, width: 3 },
      marker: { symbol: "circle-open", size: look.size, color: stroke, line: { width: look.width, color: stroke } },
    };
  });
}

const LOOKS = {
  short: { name: "short", colour: "--series-4", size: 15, width: 2 },
  picked: { name: "picked", colour: "--text", size: 19, width: 3 },
  fresh: { name: "fresh", colour: "--open", size: 24, width: 3 },
};

function own(data, shown, places) {
  return Object.entries(LOOKS).flatMap(([name, look]) => marks(data, shown[name] ?? [], look, places));
}

/** Draw a figure, or draw it anew; whoever zoomed in stays there. */
async function draw(element, figure, { shown = {}, edits = {}, chosen = null, places = null } = {}) {
  const { data, layout } = dressed(figure);
  if (chosen) {
    for (const trace of data) {
      if (trace.customdata && trace.mode === "markers") {
        trace.selectedpoints = trace.customdata.flatMap((id, k) => (chosen.has(id) ? [k] : []));
        trace.unselected = { marker: { opacity: 0.08 } };
      }
    }
  }
  // A figure that has no room yet is drawn anew when it gets some.
  const wide = element.parentElement.clientWidth || innerWidth;
  layout.width = Math.max(wide, layout.meta?.min_width ?? 0);
  layout.height ??= element.classList.contains("square") ? Math.max(layout.width * 0.8, 420) : Math.min(Math.max(wide * 0.55, 380), 640);
  if (wide < 600) {
    narrow(layout);
    for (const trace of data) if (trace.colorbar) Object.assign(trace.colorbar, { thickness: 10, title: { text: "" } });
  }
  drawn.set(element, { figure, wide, options: { shown, edits, chosen, places } });
  const config = {
    displaylogo: false, edits,
    modeBarButtonsToRemove: ["toImage", "lasso2d", "autoScale2d", "sendChartToCloud", "hoverClosestCartesian", "hoverCompareCartesian"],
  };
  await Plotly.react(element, [...data, ...own(data, shown, places)], layout, config);
  // Somebody may have chosen something meanwhile.
  const now = drawn.get(element)?.options.shown;
  if (now && now !== shown) await mark(element, now);
  return element;
}

/** Room is scarce on a telephone: short margins, the legend below the figure. */
function narrow(layout) {
  layout.font = { ...layout.font, size: 11 };
  layout.margin = { ...layout.margin, l: 48, r: 8, t: 28, b: layout.showlegend === false ? 56 : 130 };
  if (layout.showlegend === false) return;
  layout.legend = { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 10 } };
  layout.height = (layout.height ?? 380) + 100;
}

/** Put other marks on a figure that is drawn. */
async function mark(element, shown) {
  const known = drawn.get(element);
  if (!known) return;
  known.options.shown = shown;
  if (!element.data) return; // it is being drawn
  const indexes = element.data.flatMap((trace, k) => (trace.meta?.own ? [k] : []));
  const wanted = own(element.data.filter((trace) => !trace.meta?.own), shown, known.options.places);
  if (indexes.length !== wanted.length) return;
  if (indexes.length) await Plotly.restyle(element, { x: wanted.map((each) => each.x), y: wanted.map((each) => each.y) }, indexes);
}

/** Take a figure away. */
function clear(element) {
  drawn.delete(element);
  Plotly.purge(element);
}

/** A picture of a figure, on the ground of the page. */
async function savePicture(element, name) {
  const { data, layout } = element;
  const url = await Plotly.toImage(
    { data, layout: { ...layout, paper_bgcolor: colour("--surface") } },
    { format: "png", scale: 2, width: layout.width, height: element._fullLayout.height },
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.png`;
  link.click();
}

function redrawAll() {
  for (const [element, { figure, options }] of drawn) draw(element, figure, options);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);

// What stands beside a figure takes room from it, as a narrower window does. Heights change by themselves.
const rooms = new ResizeObserver((entries) => {
  for (const { target, contentRect: { width } } of entries) {
    const known = drawn.get(target.firstElementChild);
    if (known && width && Math.abs(known.wide - width) > 2) draw(target.firstElementChild, known.figure, known.options);
  }
});
for (const place of document.querySelectorAll(".plot-scroll")) rooms.observe(place);
