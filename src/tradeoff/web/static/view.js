// What somebody looks at, kept in the address so that it can be sent: axes, the chosen observation,
// the shortlist, its baseline, what was brushed, and the parameter that is looked along.
"use strict";

const view = (() => {
  const query = new URLSearchParams(location.search);
  const number = (text) => (/^[1-9]\d{0,14}$/.test(text ?? "") ? Number(text) : null);
  const ranges = () => {
    try {
      const given = JSON.parse(query.get("ranges") ?? "[]");
      return given.filter((each) => Array.isArray(each) && each.length === 3);
    } catch {
      return [];
    }
  };
  return {
    x: query.get("x"), y: query.get("y"), log: new Set(query.getAll("log")),
    pick: number(query.get("pick")), base: number(query.get("base")),
    short: (query.get("short") ?? "").split(",").map(number).filter(Boolean).slice(0, 20),
    ranges: ranges(), slice: query.get("slice"),
  };
})();

/** Write the view into the address. */
function keepView() {
  const query = new URLSearchParams();
  for (const name of ["x", "y", "pick", "base", "slice"]) if (view[name]) query.set(name, view[name]);
  for (const name of view.log) query.append("log", name);
  if (view.short.length) query.set("short", view.short.join(","));
  if (view.ranges.length) query.set("ranges", JSON.stringify(view.ranges));
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : "") + location.hash);
}

/** The observations that are looked at, and drawn among however many. */
function lookedAt() {
  return [...new Set([view.pick, view.base, ...view.short].filter(Boolean))];
}

/** Which marks the view puts on every figure. */
function shownMarks() {
  return { picked: view.pick ? [view.pick] : [], short: view.short };
}

/** An element with text or other elements in it; never markup. */
function el(name, attributes = {}, ...parts) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...parts.flat().filter((part) => part !== null && part !== undefined));
  return made;
}

/** A number as people read it. */
function shortly(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(5)));
}
