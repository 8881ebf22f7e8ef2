/** One run: the verdict first, then arms with their figures, quality and cost as plots, and the way to each question. */

import { getJson, path, send, storedKey } from "./api.js";
import { h, replace, table } from "./dom.js";
import { bytes, count, counted, interval, metricName, score, seconds } from "./format.js";
import { inline } from "./markdown.js";
import { lossFigure } from "./losses.js";
import { figure, intervalPlot, scatterPlot } from "./plot.js";
import { inWords, load, outcome } from "./states.js";

const PARTS = { all: "All questions", seen: "Seen documents", new: "New documents" };

/** @param {Element} place @param {{name: string, signal: AbortSignal}} options */
export function showRun(place, { name, signal }) {
  const body = h("div", {});
  replace(place, h("p", { class: "trail" }, h("a", { href: "#/runs" }, "Runs")), h("h1", { tabindex: -1 }, name), body);
  load(body, { what: "the run", get: () => getJson(path("v1", "runs", name), { signal }), show: (run) => showFound({ ...run, name }), signal });
}

function showFound({ name, summary, decision, training }) {
  const verdict = decision?.recommendation;
  return [
    h("p", { class: "verdict" }, verdict?.sentence ? inline(verdict.sentence) : "There is no verdict yet."),
    cautions(decision),
    h("div", { class: "actions" }, h("a", { class: "button", href: `#${path("runs", name, "questions")}` }, "Question by question"), reportLink(name)),
    reasons(verdict),
    summary?.arms ? armsSection(summary, decision) : null,
    decision?.costs?.length ? costsSection(decision, summary) : null,
    decision?.pairs?.length ? pairsSection(decision) : null,
    training && Object.keys(training).length ? h("section", {}, h("h2", {}, "Training"), h("div", { class: "panels" }, Object.entries(training).map(([adapter, curve]) => lossFigure(`Adapter ${adapter}`, { loss: curve.steps ?? [], heldOut: curve.held_out ?? [] })))) : null,
  ];
}

/** What makes the figures untrustworthy stands each by itself; of the rest one, and the others behind it. */
function cautions(decision) {
  const alarms = decision?.alarms ?? [];
  const refused = alarms.filter((alarm) => alarm.severity === "refuse").map((alarm) => alarm.message);
  const said = new Set([...alarms.map((alarm) => alarm.message), ...(decision?.recommendation?.cautions ?? [])]);
  const [first, ...more] = [...said].filter((text) => !refused.includes(text));
  const rest = more.length ? h("details", {}, h("summary", {}, `and ${counted(more.length, "more caution")}`), h("ul", { class: "told" }, more.map((text) => h("li", {}, inline(text))))) : null;
  return [refused.map((text) => h("p", { class: "warning refuse" }, inline(text))), first ? h("div", { class: "warning" }, h("p", {}, inline(first)), rest) : null];
}

function reasons(verdict) {
  if (!verdict) return null;
  const list = (sentences) => h("ul", { class: "told" }, sentences.map((sentence) => h("li", {}, inline(sentence))));
  const flips = (verdict.flips ?? []).map((flip) => flip.sentence);
  return h("div", { class: "why" },
    verdict.reasons?.length ? h("details", { open: verdict.reasons.length <= 4 }, h("summary", {}, `Why: ${counted(verdict.reasons.length, "reason")}`), list(verdict.reasons)) : null,
    flips.length ? h("details", {}, h("summary", {}, "What would change it"), list(flips)) : null);
}

/** A link cannot carry a key: without one it opens the report, with one the report is fetched and saved. */
function reportLink(name) {
  const url = path("v1", "runs", name, "report");
  if (storedKey() === null) return h("a", { class: "button", href: url, target: "_blank", rel: "noopener" }, "Full report");
  const said = outcome();
  const save = async () => {
    said.say("Fetching…");
    try {
      const address = URL.createObjectURL(await (await send(url)).blob());
      h("a", { href: address, download: `${name}-report.html` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
      said.say("Saved as a file.", "good");
    } catch (error) {
      said.say(inWords(error), "bad");
    }
  };
  return [h("button", { type: "button", onclick: save }, "Save the full report"), said];
}

function armsSection(summary, decision) {
  const metric = summary.ranked_by;
  const names = Object.keys(summary.settings ?? summary.arms);
  const places = new Map(names.map((arm, at) => [arm, (at % 8) + 1]));
  const body = h("div", { "aria-live": "polite" });
  const parts = Object.keys(PARTS).filter((part) => armsOf(summary, part));
  const show = (part) => {
    const arms = armsOf(summary, part);
    const known = names.filter((arm) => arms[arm]);
    replace(body, scoreTable(summary, decision, arms, known, places, PARTS[part]), h("div", { class: "panels" }, qualityFigure(summary, arms, known, places), costFigure(summary, decision, arms, known, places, metric)));
  };
  const radios = parts.map((part, at) => h("label", {}, h("input", { type: "radio", name: "part", value: part, checked: at === 0, onchange: () => show(part) }), PARTS[part]));
  show("all");
  return h("section", {}, h("h2", {}, "Arms"), parts.length > 1 ? h("fieldset", { class: "parts" }, h("legend", { class: "unseen" }, "Over which questions"), radios) : null, body,
    h("p", { class: "note" }, `Scores are points, 0 to 100, with their ${Math.round(100 * (summary.confidence ?? 0.95))} % interval; ranked by ${metricName(metric)}. Arms in italics are controls and never ranked.`));
}

function armsOf(summary, part) {
  const arms = part === "all" ? summary.arms : summary.splits?.[part]?.arms;
  return arms && Object.keys(arms).length ? arms : null;
}

const isControl = (summary, arm) => Boolean(summary.settings?.[arm]?.control);

function scoreTable(summary, decision, arms, names, places, what) {
  const metrics = [...new Set(names.flatMap((arm) => Object.keys(arms[arm])))];
  const standing = Object.fromEntries((decision?.recommendation?.standings ?? []).map((one) => [one.arm, one]));
  const rows = names.map((arm) => h("tr", { class: isControl(summary, arm) ? "control" : standing[arm]?.place === "recommended" ? "recommended" : null },
    h("th", { scope: "row", class: "text" }, h("i", { class: `swatch s${places.get(arm)}` }), arm),
    metrics.map((metric) => h("td", {}, score(metric, arms[arm][metric]?.mean), h("small", {}, interval(metric, arms[arm][metric] ?? {})))),
    h("td", {}, count(Math.max(0, ...Object.values(arms[arm]).map((figure) => figure?.n ?? 0)))),
    h("td", { class: "text" }, standing[arm] ? h("span", { class: `tag ${standing[arm].place}`, title: standing[arm].reason }, standing[arm].place) : null)));
  return table(`Scores, ${what}`, ["Arm", ...metrics.map(metricName), "n", { text: "Place" }], rows);
}

function qualityFigure(summary, arms, names, places) {
  const metric = summary.ranked_by;
  const rows = names.filter((arm) => arms[arm][metric]).map((arm) => ({ name: arm, value: arms[arm][metric].mean, low: arms[arm][metric].low, high: arms[arm][metric].high, place: places.get(arm), hollow: isControl(summary, arm) }));
  if (!rows.length) return null;
  const ends = rows.flatMap((row) => [row.value, row.low ?? row.value, row.high ?? row.value]);
  const domain = /** @type {[number, number]} */ (metric === "gold_logprob" ? [Math.min(...ends), Math.max(...ends)] : [0, Math.max(0.1, 1.03 * Math.max(...ends))]);
  const words = rows.map((row) => `${row.name} ${score(metric, row.value)} ${interval(metric, row)}`).join("; ");
  const alternative = table(`${metricName(metric)} by arm`, ["Arm", metricName(metric), "Interval"], rows.map((row) => h("tr", {}, h("th", { scope: "row", class: "text" }, row.name), h("td", {}, score(metric, row.value)), h("td", {}, interval(metric, row)))));
  return figure(`Quality: ${metricName(metric)} with intervals`, `Quality by arm: ${words}`, (width) => intervalPlot(rows, { width, domain, text: (value) => score(metric, value) }), alternative);
}

function costFigure(summary, decision, arms, names, places, metric) {
  const costs = Object.fromEntries((decision?.costs ?? []).map((one) => [one.arm, one]));
  const points = names.filter((arm) => costs[arm]?.seconds_p50 > 0 && arms[arm][metric]).map((arm) => ({ name: arm, x: costs[arm].seconds_p50, y: arms[arm][metric].mean, low: arms[arm][metric].low, high: arms[arm][metric].high, place: places.get(arm), hollow: isControl(summary, arm) }));
  if (!points.length) return null;
  const words = points.map((point) => `${point.name} ${score(metric, point.y)} in ${seconds(point.x)}`).join("; ");
  const alternative = table("Quality and cost by arm", ["Arm", "Seconds a question", metricName(metric)], points.map((point) => h("tr", {}, h("th", { scope: "row", class: "text" }, point.name), h("td", {}, seconds(point.x)), h("td", {}, score(metric, point.y)))));
  const draw = (width) => scatterPlot(points, { width, xLabel: "median seconds a question →", yLabel: `↑ ${metricName(metric)}`, xText: (value) => String(Number(value.toPrecision(2))), yText: (value) => score(metric, value) });
  return figure("Quality against cost", `Quality against seconds a question: ${words}`, draw, alternative);
}

function costsSection(decision, summary) {
  const rows = decision.costs.map((one) => h("tr", { class: isControl(summary ?? {}, one.arm) ? "control" : null }, h("th", { scope: "row", class: "text" }, one.arm),
    h("td", {}, seconds(one.seconds_p50)), h("td", {}, seconds(one.seconds_p95)), h("td", {}, count(one.tokens_mean)), h("td", {}, seconds(one.build_seconds)), h("td", {}, seconds(one.update_seconds)), h("td", {}, bytes(one.peak_bytes)), h("td", {}, bytes(one.artefact_bytes))));
  return h("section", {}, h("h2", {}, "Costs"), table("Costs by arm", ["Arm", "Median", "95th percentile", "Tokens", "To build", "To update", "Peak memory", "To ship"], rows));
}

function pairsSection(decision) {
  const pairs = decision.pairs.filter((pair) => pair.part === "all" && pair.metric === decision.metric);
  if (!pairs.length) return null;
  const signed = (value) => (value > 0 ? `+${score(decision.metric, value)}` : score(decision.metric, value));
  const rows = pairs.map((pair) => h("tr", {}, h("th", { scope: "row", class: "text" }, `${pair.a} − ${pair.b}`), h("td", {}, signed(pair.difference.value), h("small", {}, interval(decision.metric, pair.difference))), h("td", {}, pair.p_holm < 0.001 ? "< .001" : pair.p_holm.toFixed(3)), h("td", { class: "text" }, h("span", { class: `tag ${pair.outcome}` }, pair.outcome))));
  return h("section", {}, h("h2", {}, "Who beats whom"), h("p", { class: "note" }, `Differences in ${metricName(decision.metric)} on the same questions; equivalent means within ${score(decision.metric, decision.margin)} points.`), table("Pairs of arms", ["Pair", "Difference", "p (Holm)", { text: "Outcome" }], rows, "narrow"));
}
