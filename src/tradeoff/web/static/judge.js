// Which observations are efficient, for thresholds that are only tried, and for the past.
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
