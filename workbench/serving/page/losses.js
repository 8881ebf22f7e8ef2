/** A training's loss as a figure: what it learns from, and what was held out. Shared by the Runs and Train pages. */

import { h, table } from "./dom.js";
import { figure, legend, linePlot } from "./plot.js";

/**
 * @param {string} caption
 * @param {{loss: {step: number, loss: number}[], heldOut: {step: number, loss: number}[], steps?: number}} curve
 */
export function lossFigure(caption, { loss, heldOut, steps = 0 }) {
  const lines = [{ name: "training", place: 1, points: pairs(loss) }, { name: "held out", place: 2, points: pairs(heldOut) }].filter((line) => line.points.length);
  if (!lines.length) return h("figure", { class: "plot" }, h("figcaption", {}, caption), h("p", { class: "muted" }, "No step yet."));
  const last = lines.map((line) => `${line.name} ${line.points.at(-1)[1].toFixed(3)} at step ${line.points.at(-1)[0]}`).join(", ");
  const draw = (width) => linePlot(lines, { width, xLabel: "step →", yLabel: "↑ loss (nats a token)", xMost: steps });
  const made = figure(caption, `Loss: ${last}`, draw, lossTable(`${caption}, step by step`, loss, heldOut));
  made.querySelector("figcaption").append(legend(lines));
  return made;
}

function pairs(curve) {
  return curve.filter((one) => Number.isFinite(one.loss)).map((one) => /** @type {[number, number]} */ ([one.step, one.loss]));
}

function lossTable(label, loss, heldOut) {
  const held = new Map(heldOut.map((one) => [one.step, one.loss]));
  const trained = new Map(loss.map((one) => [one.step, one.loss]));
  const all = [...new Set([...trained.keys(), ...held.keys()])].sort((a, b) => a - b);
  const every = Math.max(1, Math.ceil(all.length / 60)); // long trainings: each n-th step, and all that were held out
  const rows = all.filter((step, at) => at % every === 0 || held.has(step) || at === all.length - 1)
    .map((step) => h("tr", {}, h("th", { scope: "row", class: "text" }, step), h("td", {}, trained.get(step)?.toFixed(4) ?? "–"), h("td", {}, held.get(step)?.toFixed(4) ?? "–")));
  return table(label, ["Step", "Training", "Held out"], rows);
}
