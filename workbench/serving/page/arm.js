/** One arm on the Ask page: what answers, from which passages, and its answer with its figures and sources. */

import { isAbort } from "./api.js";
import { announce, h, nextId, replace } from "./dom.js";
import { makeFeedback } from "./feedback.js";
import { MISSING, count, counted, seconds } from "./format.js";
import { render } from "./markdown.js";
import { openPassage } from "./passage.js";
import { failure } from "./states.js";
import { ask } from "./stream.js";

/** @typedef {{model: string, collection: string}} Choice collection "": no passages, or the arm's own */

const GROUPS = { base: "Base model", adapter: "Adapters", arm: "Arms of the experiment" };
const STRATEGIES = { closed_book: "answers without passages", rag: "answers from passages", routed: "picks an arm per question" };

export class Arm {
  /** @param {Choice} choice @param {{onRemove: (arm: Arm) => void, onChange: () => void}} listeners */
  constructor(choice, { onRemove, onChange }) {
    this.choice = { ...choice };
    /** @type {AbortController | null} */
    this.running = null;
    this.onChange = onChange;
    const id = nextId("arm");
    this.model = h("select", { "aria-label": "Model or arm", onchange: () => this.#choose({ model: this.model.value }) });
    this.passages = h("select", { "aria-label": "Passages from", onchange: () => this.#choose({ collection: this.passages.value }) });
    this.note = h("p", { class: "note" });
    this.remove = h("button", { type: "button", class: "quiet close", "aria-label": "Remove this arm", onclick: () => onRemove(this) }, "×");
    this.stopper = h("button", { type: "button", class: "stop", hidden: true, onclick: () => this.stop() }, "Stop");
    this.body = h("div", { class: "answer", tabindex: -1 }, h("p", { class: "idle" }, "Its answer will stand here."));
    this.figures = h("dl", { class: "figures" });
    this.below = h("div", { class: "below" });
    this.heading = h("h2", { class: "unseen", id }, "Arm");
    this.node = h("article", { class: "arm-card", "aria-labelledby": id }, this.heading,
      h("header", {}, h("div", { class: "pick" }, this.model, this.passages, this.note), this.remove),
      this.body, h("footer", {}, this.figures, this.stopper), this.below);
  }

  /** What can be chosen now. A choice that is gone falls back to the first that is there. */
  offer(models, collections) {
    this.models = models;
    this.collections = collections;
    if (!models.some((model) => model.id === this.choice.model)) this.choice.model = models[0]?.id ?? "";
    if (!collections.some((one) => one.name === this.choice.collection)) this.choice.collection = "";
    const groups = Object.entries(GROUPS).map(([kind, label]) => [label, models.filter((model) => model.kind === kind)]);
    replace(this.model, groups.filter(([, members]) => members.length).map(([label, members]) => h("optgroup", { label }, members.map((model) =>
      h("option", { value: model.id, disabled: model.ready === false, selected: model.id === this.choice.model }, model.id, model.ready === false ? " (not trained yet)" : "")))));
    replace(this.passages, h("option", { value: "", selected: !this.choice.collection }, "without passages"),
      collections.map((one) => h("option", { value: one.name, selected: one.name === this.choice.collection }, `passages from ${one.name}`)));
    this.#showChoice();
  }

  #choose(change) {
    Object.assign(this.choice, change);
    this.#showChoice();
    this.onChange();
  }

  #showChoice() {
    const model = this.#chosen();
    const own = model?.kind === "arm";
    this.passages.hidden = own;
    this.note.hidden = !own;
    if (own) replace(this.note, [STRATEGIES[model.strategy] ?? model.strategy, model.collection, model.adapter && `adapter ${model.adapter}`].filter(Boolean).join(" · "));
    this.heading.textContent = this.name;
  }

  #chosen() {
    return this.models?.find((model) => model.id === this.choice.model);
  }

  /** What this arm is called in words. */
  get name() {
    const own = this.#chosen()?.kind === "arm";
    return !own && this.choice.collection ? `${this.choice.model} with ${this.choice.collection}` : this.choice.model;
  }

  stop() {
    this.running?.abort();
  }

  /**
   * @param {string} question
   * @param {Record<string, any>} settings `rag`: what only counts with passages; `sampling`: what always does
   */
  async ask(question, settings) {
    this.stop();
    const running = (this.running = new AbortController());
    const name = this.name;
    const body = { model: this.choice.model, messages: [{ role: "user", content: question }], ...settings.sampling };
    if (this.#chosen()?.kind !== "arm") Object.assign(body, this.choice.collection ? { rag: 1, rag_collection: this.choice.collection, ...settings.rag } : { rag: 0 });
    this.#begin();
    let shown = null;
    let drawing = 0;
    const draw = () => {
      drawing = 0;
      if (running === this.running && shown) replace(this.body, render(shown.text));
    };
    const onText = (answer) => {
      shown = answer;
      drawing ||= requestAnimationFrame(draw); // at most once a frame, however fast the pieces come
    };
    const ticking = setInterval(() => this.#showFigures(shown, (performance.now() - began) / 1000), 100);
    const began = performance.now();
    try {
      const answer = await ask(body, { signal: running.signal, onText });
      if (running !== this.running) return;
      this.#finish(answer, name);
    } catch (error) {
      if (running !== this.running) return;
      this.#giveUp(error, shown, () => this.ask(question, settings).finally(this.onChange));
    } finally {
      clearInterval(ticking);
      cancelAnimationFrame(drawing);
      if (running === this.running) this.#end();
    }
  }

  #begin() {
    this.body.setAttribute("aria-busy", "true");
    this.node.classList.add("running");
    this.stopper.hidden = false;
    this.stopper.setAttribute("aria-label", `Stop ${this.name}`);
    if (this.body.contains(document.activeElement)) this.stopper.focus(); // "Try again" is about to go
    replace(this.body, h("p", { class: "idle waiting" }, "Reading…"));
    replace(this.below);
    replace(this.figures);
  }

  #end() {
    this.running = null;
    this.body.removeAttribute("aria-busy");
    this.node.classList.remove("running");
    if (document.activeElement === this.stopper) this.body.focus({ preventScroll: true });
    this.stopper.hidden = true;
    this.onChange();
  }

  #finish(answer, name) {
    const sources = new Map(answer.sources.map((source) => [source.number, source]));
    const cite = (number) => (sources.has(number) ? citation(sources.get(number)) : null);
    replace(this.body, answer.text.trim() ? render(answer.text, cite) : h("p", { class: "idle" }, "An empty answer."));
    if (answer.finish === "length") this.body.append(h("p", { class: "note" }, "Cut off at the most tokens an answer may have."));
    this.#showFigures(answer, answer.seconds);
    replace(this.below,
      answer.route ? h("p", { class: "note" }, "Routed to ", h("strong", {}, answer.route.arm), `: ${answer.route.why}`) : null,
      answer.sources.length ? sourceList(answer.sources) : null,
      answer.id ? makeFeedback(answer.id, name) : null);
    announce(`${name} answered in ${seconds(answer.seconds)}: ${answer.text.slice(0, 600)}`);
  }

  #giveUp(error, shown, retry) {
    if (isAbort(error)) {
      if (!shown) replace(this.body);
      else replace(this.body, render(shown.text));
      this.body.append(h("p", { class: "idle" }, "Stopped."));
      announce(`${this.name} stopped`);
    } else {
      replace(this.body, shown ? render(shown.text) : null, failure(error, retry));
    }
  }

  #showFigures(answer, total) {
    const tokens = answer?.usage?.completion_tokens ?? null;
    const writing = answer?.firstSeconds !== null && answer ? total - answer.firstSeconds : 0;
    const retrieval = answer?.timing?.retrieval_seconds;
    const figures = [
      ["first token", seconds(answer?.firstSeconds)],
      ["total", seconds(total)],
      retrieval ? ["retrieval", seconds(retrieval)] : null,
      ["tokens", tokens === null ? MISSING : `${count(answer.usage.prompt_tokens)} + ${count(tokens)}`, "read + written"],
      tokens > 1 && writing > 0 ? ["tokens/s", ((tokens - 1) / writing).toFixed(1)] : null,
    ];
    replace(this.figures, figures.filter(Boolean).map(([label, text, title]) => h("div", { title }, h("dt", {}, label), h("dd", {}, text))));
  }
}

function citation(source) {
  return h("button", { type: "button", class: "cite", "aria-label": `[${source.number}] ${source.document_id}, open the passage`, onclick: () => openPassage(source) }, `[${source.number}]`);
}

/** @param {import("./api.js").Source[]} sources */
function sourceList(sources) {
  const items = sources.map((source) => h("li", { class: source.cited ? "cited" : "" },
    h("button", { type: "button", class: "source", onclick: () => openPassage(source) },
      h("span", { class: "number" }, `[${source.number}]`),
      h("span", { class: "where" }, source.document_id, source.headings?.length ? h("small", {}, source.headings.join(" › ")) : null),
      h("span", { class: "score", title: "score" }, typeof source.score === "number" ? source.score.toFixed(2) : ""))));
  const cited = sources.filter((source) => source.cited).length;
  return h("section", { class: "sources" }, h("h3", {}, `${counted(sources.length, "passage")} read, ${cited} cited`), h("ol", {}, items));
}
