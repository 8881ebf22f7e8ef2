/**
 * Small plots as SVG, drawn at the width they have, so that their letters are as large as the page's. Each stands beside
 * a table with the same figures; colours come from the style sheet by the series' place.
 *
 * @typedef {{name: string, value: number, low?: number | null, high?: number | null, place: number, hollow?: boolean}} Row
 * @typedef {{name: string, x: number, y: number, low?: number | null, high?: number | null, place: number, hollow?: boolean}} Point
 * @typedef {{name: string, points: [number, number][], place: number}} Line
 */

import { h, replace, svg } from "./dom.js";

/**
 * A figure whose drawing follows its width.
 * @param {string} caption
 * @param {string} description what a screen reader says
 * @param {(width: number) => SVGElement} draw
 * @param {import("./dom.js").Child} alternative the same figures as a table
 */
export function figure(caption, description, draw, alternative) {
  const place = h("div", { class: "canvas", role: "img", "aria-label": description });
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(Math.min(entry.contentRect.width, 640));
    if (width > 0 && width !== drawn) replace(place, draw((drawn = width)));
  }).observe(place);
  return h("figure", { class: "plot" }, h("figcaption", {}, caption), place, alternative ? h("details", {}, h("summary", {}, "As a table"), alternative) : null);
}

/** Round steps that cover [low, high]. @returns {number[]} about `n` of them */
export function ticks(low, high, n = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, at) => (first + at) * step);
}

/** Powers of ten, and where those are few 2 and 5 times them, inside [low, high]. @returns {number[]} */
function logTicks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) powers.push(power);
  const within = (factors) => powers.flatMap((power) => factors.map((factor) => factor * 10 ** power)).filter((one) => one >= low && one <= high);
  const tens = within([1]);
  const some = tens.length >= 3 ? tens : within([1, 2, 5]);
  return some.length >= 2 ? some : ticks(low, high, 4);
}

function scale(from, to, [low, high], log) {
  const place = log ? Math.log : (value) => value;
  const span = place(high) - place(low) || 1;
  return (value) => from + ((to - from) * (place(value) - place(low))) / span;
}

/** One line a row: a dot with its interval. @param {Row[]} rows @param {{width: number, domain: [number, number], text: (value: number) => string}} options */
export function intervalPlot(rows, { width, domain, text }) {
  const left = Math.min(0.36 * width, 14 + 7.4 * Math.max(...rows.map((row) => row.name.length)));
  const height = 30 * rows.length + 30;
  const x = scale(left, width - 14, domain, false);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const tick of ticks(...domain, width < 420 ? 4 : 6)) {
    drawing.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: height - 22 }), label(x(tick), height - 6, text(tick), "middle", "tick"));
  }
  rows.forEach((row, at) => {
    const y = 19 + 30 * at;
    const most = Math.floor((left - 14) / 7);
    drawing.append(svg("g", { class: `series s${row.place}${row.hollow ? " hollow" : ""}` },
      label(0, y + 4, row.name.length > most ? `${row.name.slice(0, most - 1)}…` : row.name, "start", "name"),
      typeof row.low === "number" && typeof row.high === "number" ? svg("line", { class: "bar", x1: x(Math.max(row.low, domain[0])), x2: x(Math.min(row.high, domain[1])), y1: y, y2: y }) : null,
      svg("circle", { cx: x(row.value), cy: y, r: 5 })));
  });
  return drawing;
}

/** Quality against cost: dots with their intervals, named. @param {Point[]} points @param {{width: number, xLabel: string, yLabel: string, xText: (value: number) => string, yText: (value: number) => string}} options */
export function scatterPlot(points, { width, xLabel, yLabel, xText, yText }) {
  const [height, left, bottom, top] = [300, 44, 44, 24];
  const xs = points.map((point) => point.x);
  const ys = points.flatMap((point) => [point.low ?? point.y, point.high ?? point.y]);
  const xDomain = /** @type {[number, number]} */ ([Math.min(...xs) / 1.35, Math.max(...xs) * 1.9]);
  const yDomain = padded(Math.min(...ys), Math.max(...ys));
  const x = scale(left, width - 10, xDomain, true);
  const y = scale(height - bottom, top, yDomain, false);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, label(0, 11, yLabel, "start", "axis"), label(width - 10, height - 4, xLabel, "end", "axis"));
  axes(drawing, { x, y, xTicks: logTicks(...xDomain), yTicks: ticks(...yDomain), xText, yText, left, bottom: height - bottom, right: width - 10 });
  const room = freeRoom(points.map((point) => [x(point.x) - 7, x(point.x) + 7, y(point.y) + 4]), { top: top + 8, bottom: height - bottom - 4 });
  for (const point of [...points].sort((a, b) => b.x - a.x)) {
    const before = x(point.x) > 0.72 * width;
    const long = 7 * point.name.length;
    const at = room(before ? x(point.x) - 10 - long : x(point.x) + 10, before ? x(point.x) - 10 : x(point.x) + 10 + long, y(point.y) + 4);
    drawing.append(svg("g", { class: `series s${point.place}${point.hollow ? " hollow" : ""}` },
      typeof point.low === "number" && typeof point.high === "number" ? svg("line", { class: "bar thin", x1: x(point.x), x2: x(point.x), y1: y(point.low), y2: y(point.high) }) : null,
      svg("circle", { cx: x(point.x), cy: y(point.y), r: 5 }),
      label(before ? x(point.x) - 10 : x(point.x) + 10, at, point.name, before ? "end" : "start", "name")));
  }
  return drawing;
}

/** Places for names beside dots: the nearest height at which a name lies on nothing. @param {number[][]} taken [left, right, height] */
function freeRoom(taken, { top, bottom }) {
  return (left, right, wanted) => {
    const steps = Array.from({ length: 40 }, (_, n) => wanted + 13 * Math.ceil(n / 2) * (n % 2 ? -1 : 1));
    const free = (at) => at >= top && at <= bottom && !taken.some(([from, to, height]) => left < to && right > from && Math.abs(height - at) < 13);
    const at = steps.find(free) ?? wanted;
    taken.push([left, right, at]);
    return at;
  };
}

/** Loss over steps. @param {Line[]} lines @param {{width: number, xLabel: string, yLabel: string, xMost?: number}} options */
export function linePlot(lines, { width, xLabel, yLabel, xMost = 0 }) {
  const [height, left, bottom, top] = [260, 44, 44, 24];
  const all = lines.flatMap((line) => line.points);
  const xDomain = /** @type {[number, number]} */ ([0, Math.max(xMost, 1, ...all.map(([x]) => x))]);
  const ys = all.map(([, y]) => y);
  const yDomain = padded(Math.min(...ys), Math.max(...ys));
  const x = scale(left, width - 12, xDomain, false);
  const y = scale(height - bottom, top, yDomain, false);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, label(0, 11, yLabel, "start", "axis"), label(width - 12, height - 4, xLabel, "end", "axis"));
  const whole = ticks(...xDomain, width < 420 ? 4 : 8).filter(Number.isInteger);
  axes(drawing, { x, y, xTicks: whole, yTicks: ticks(...yDomain), xText: String, yText: (value) => value.toFixed(yDomain[1] - yDomain[0] < 0.5 ? 3 : 2), left, bottom: height - bottom, right: width - 12 });
  for (const line of lines) {
    const dots = line.points.length <= 40 ? line.points.map(([px, py]) => svg("circle", { cx: x(px), cy: y(py), r: 2.5 })) : [];
    drawing.append(svg("g", { class: `series s${line.place}` }, svg("polyline", { class: "line", points: line.points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(" ") }), dots));
  }
  return drawing;
}

/** The names of lines, in their colours. @param {{name: string, place: number}[]} entries */
export function legend(entries) {
  return h("ul", { class: "legend" }, entries.map((entry) => h("li", {}, h("i", { class: `swatch s${entry.place}` }), entry.name)));
}

function axes(drawing, { x, y, xTicks, yTicks, xText, yText, left, bottom, right }) {
  for (const tick of yTicks) drawing.append(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }), label(left - 8, y(tick) + 4, yText(tick), "end", "tick"));
  for (const tick of xTicks) drawing.append(label(x(tick), bottom + 18, xText(tick), "middle", "tick"));
}

function padded(low, high) {
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return /** @type {[number, number]} */ ([low - room, high + room]);
}

function label(x, y, text, anchor, kind) {
  return svg("text", { x, y, "text-anchor": anchor, class: kind }, text);
}
