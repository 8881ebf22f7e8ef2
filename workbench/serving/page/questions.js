/** A run question by question: what each arm answered, side by side, with what it read. */

import { getJson, path } from "./api.js";
import { h, replace } from "./dom.js";
import { counted, score, seconds } from "./format.js";
import { render } from "./markdown.js";
import { empty, load } from "./states.js";

const PAGE = 20; // questions

/** @param {Element} place @param {{name: string, offset: number, signal: AbortSignal}} options */
export function showQuestions(place, { name, offset, signal }) {
  const body = h("div", {});
  replace(place, h("p", { class: "trail" }, h("a", { href: "#/runs" }, "Runs"), " › ", h("a", { href: `#${path("runs", name)}` }, name)), h("h1", { tabindex: -1 }, "Question by question"), body);
  load(body, {
    what: "questions",
    get: () => getJson(`${path("v1", "runs", name, "questions")}?limit=${PAGE}&offset=${offset}`, { signal }),
    show: (found) => (found.data.length ? [h("p", { class: "lead" }, `Bars: ${Object.keys(found.data[0].arms ?? {}).join(", ")}; full from an F1 of 80, half from 30, hollow where nothing is scored.`),
      h("div", { class: "questions" }, found.data.map(entry)), pager(name, offset, found.total)] : empty("No questions here", "The run may not have answered any yet.")),
    signal,
  });
}

function pager(name, offset, total) {
  const link = (to, text) => h("a", { class: "button", href: `#${path("runs", name, "questions", String(to))}` }, text);
  return h("nav", { class: "pager", "aria-label": "Pages of questions" }, offset > 0 ? link(Math.max(0, offset - PAGE), "Previous") : null,
    h("span", {}, `${offset + 1}–${Math.min(total, offset + PAGE)} of ${total}`), offset + PAGE < total ? link(offset + PAGE, "Next") : null);
}

function entry(question) {
  const arms = Object.entries(question.arms ?? {});
  const cards = h("div", { class: "sides" });
  const details = h("details", { class: "question", ontoggle: () => details.open && !cards.children.length && cards.append(...arms.map(side)) },
    h("summary", {}, h("span", { class: "text" }, question.text), h("span", { class: "marks", "aria-label": arms.map(([arm, given]) => `${arm} ${score("f1", given.f1)}`).join(", "), role: "img" }, arms.map(([, given]) => h("i", { class: shade(given.f1) })))),
    h("p", { class: "note" }, question.kind, question.answers?.length ? [" · accepted: ", h("strong", {}, question.answers.join(" / "))] : " · no answer in the documents"),
    cards);
  return details;
}

function shade(f1) {
  if (typeof f1 !== "number") return "none";
  return f1 >= 0.8 ? "right" : f1 >= 0.3 ? "partly" : "wrong";
}

function side([arm, given]) {
  const passages = given.passages ?? [];
  return h("article", {}, h("h2", {}, arm, h("small", {}, `F1 ${score("f1", given.f1)} · ${seconds(given.seconds)}`)),
    h("div", { class: "answer" }, given.answer?.trim() ? render(given.answer) : h("p", { class: "idle" }, given.error ?? "An empty answer.")),
    passages.length ? h("details", {}, h("summary", {}, counted(passages.length, "passage")), h("ol", { class: "passages" }, passages.map(passage))) : h("p", { class: "note" }, "No passages read."));
}

function passage(one) {
  if (typeof one === "string") return h("li", {}, one);
  return h("li", {}, h("cite", {}, `${one.document_id}${typeof one.start === "number" ? ` · ${one.start}–${one.end}` : ""}`), h("p", {}, one.text ?? ""));
}
