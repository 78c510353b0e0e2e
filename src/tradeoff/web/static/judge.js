// Which observations are efficient, for thresholds that are only tried, and for the past; and which of
// many are drawn.
"use strict";

/**
 * What each of the first `upto` observations is: the same words as the server's.
 * points: {ids, states, values: {metric: [...]}}; metrics: [{key, sign, strategy}].
 */
function judge(points, metrics, thresholds, upto) {
  const judged = metrics.filter((metric) => metric.strategy !== "store");
  const optimized = judged.filter((metric) => metric.strategy === "optimize");
  const states = points.states.slice(0, upto);
  const permitted = [];
  states.forEach((state, k) => {
    if (state === "failed" || state === "transient") return;
    const meets = judged.every(({ key, sign }) => {
      const value = points.values[key][k];
      const least = thresholds[key];
      return value !== null && (least === null || least === undefined || sign * value >= sign * least);
    });
    states[k] = meets ? "dominated" : "infeasible";
    if (meets) permitted.push(k);
  });
  for (const k of efficient(permitted, optimized, points.values)) states[k] = "efficient";
  return states;
}

function efficient(rows, metrics, values) {
  if (!metrics.length) return rows;
  const outcome = (k) => metrics.map(({ key, sign }) => sign * values[key][k]);
  const all = rows.map((k) => [k, outcome(k)]);
  // Best first: an outcome can only be beaten by one before it.
  all.sort((a, b) => {
    for (let i = 0; i < metrics.length; i += 1) if (a[1][i] !== b[1][i]) return b[1][i] - a[1][i];
    return a[0] - b[0];
  });
  if (metrics.length === 1) return all.slice(0, 1).map(([k]) => k);
  const front = [];
  for (const [k, here] of all) {
    const beaten = front.some(([, there]) => there.every((v, i) => v >= here[i]) && there.some((v, i) => v > here[i]));
    if (!beaten) front.push([k, here]);
  }
  return front.map(([k]) => k);
}

const CELLS = [256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8];

/** Which of many rows to draw so that the figure looks the same; as `charts/thinning.py` does it. */
function thinned(rows, xs, ys, most, keep = () => false) {
  if (rows.length <= most) return rows;
  const [right, up] = [shares(rows, xs), shares(rows, ys)];
  let first = new Map();
  for (const count of CELLS) {
    first = new Map();
    rows.forEach((row, k) => {
      const cell = Math.floor(right[k] * count) * (count + 1) + Math.floor(up[k] * count);
      if (!first.has(cell)) first.set(cell, row);
    });
    if (first.size <= most / 2) break;
  }
  const chosen = new Set([...first.values()].slice(0, Math.floor(most / 2)));
  const rest = rows.filter((row) => !chosen.has(row));
  const more = most - chosen.size;
  for (let k = 0; k < more; k += 1) chosen.add(rest[Math.floor((k * (rest.length - 1)) / Math.max(more - 1, 1))]);
  return rows.filter((row) => chosen.has(row) || keep(row));
}

function shares(rows, values) {
  let [low, high] = [Infinity, -Infinity];
  for (const row of rows) { low = Math.min(low, values(row)); high = Math.max(high, values(row)); }
  return rows.map((row) => (high > low ? (values(row) - low) / (high - low) : 0));
}
