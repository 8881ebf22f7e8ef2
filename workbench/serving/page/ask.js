/** The Ask page: one question, up to four arms side by side. It is kept while other pages are looked at. */

import { getJson } from "./api.js";
import { Arm } from "./arm.js";
import { announce, field, h, replace } from "./dom.js";
import { empty, load } from "./states.js";

const MOST = 4;

/** @type {AskPage | null} what was asked stays while other pages are shown; another key begins anew */
let kept = null;
addEventListener("workbench:unauthorised", () => {
  kept?.stopAll();
  kept = null;
});

/** @param {Element} place @param {{query: URLSearchParams, signal: AbortSignal}} options */
export function showAsk(place, { query, signal }) {
  const page = kept ?? new AskPage(query);
  if (kept && query.has("q")) kept.question.value = query.get("q");
  replace(place, h("h1", { tabindex: -1 }, "Ask"), page.node);
  const choices = h("div", {});
  place.append(choices);
  load(choices, {
    what: "models",
    get: () => Promise.all([getJson("/v1/models", { signal }), getJson("/v1/collections", { signal })]),
    show: ([models, collections]) => {
      kept = page;
      page.offer(models.data.filter((model) => model.kind), collections.data);
      return models.data.some((model) => model.kind) ? null : empty("No model to ask", "The server's config names a base model; is it loaded?");
    },
    signal,
  });
}

class AskPage {
  /** @param {URLSearchParams} query `q`: the question; `arm`, several times: `model|collection` */
  constructor(query) {
    /** @type {Arm[]} */
    this.arms = [];
    this.early = false;
    this.wanted = query.getAll("arm").slice(0, MOST).map(readChoice);
    this.question = h("textarea", { id: "question", rows: 2, maxlength: 20000, placeholder: "What would you like to know?", "aria-label": "Question", "aria-describedby": "question-hint",
      value: query.get("q") ?? "", onkeydown: (event) => this.#onKey(event) });
    this.asker = h("button", { type: "submit", class: "primary" }, "Ask");
    this.stopper = h("button", { type: "button", hidden: true, onclick: () => this.stopAll() }, "Stop all");
    this.settings = makeSettings();
    this.adder = h("button", { type: "button", class: "add", onclick: () => this.#add({ model: "", collection: "" }, true) }, "+ Compare with another arm");
    this.columns = h("div", { class: "columns" });
    const form = h("form", { class: "composer", onsubmit: (event) => this.#submit(event) }, this.question,
      h("div", { class: "bar" },
        h("p", { class: "hint", id: "question-hint" }, h("kbd", {}, "Enter"), " asks · ", h("kbd", {}, "Shift Enter"), " new line · ", h("kbd", {}, "Esc"), " stops"),
        this.stopper, this.asker), this.settings.node);
    this.node = h("div", { class: "ask", onkeydown: (event) => event.key === "Escape" && this.#isBusy() && !document.querySelector("dialog[open]") && this.stopAll() },
      form, this.columns, this.adder);
  }

  offer(models, collections) {
    this.models = models;
    this.collections = collections;
    if (!this.arms.length && models.length) for (const choice of this.wanted.length ? this.wanted : firstChoices(models, collections)) this.#add(choice);
    for (const arm of this.arms) arm.offer(models, collections);
    this.#refresh();
    if (this.early) this.asker.click();
  }

  #add(choice, focus = false) {
    const arm = new Arm(choice, { onRemove: (one) => this.#remove(one), onChange: () => this.#refresh() });
    this.arms.push(arm);
    this.columns.append(arm.node);
    arm.offer(this.models, this.collections);
    this.#refresh();
    if (focus) arm.model.focus();
  }

  #remove(arm) {
    arm.stop();
    this.arms = this.arms.filter((one) => one !== arm);
    arm.node.remove();
    this.#refresh();
    this.arms.at(-1)?.model.focus();
  }

  #isBusy() {
    return this.arms.some((arm) => arm.running);
  }

  #refresh() {
    if (!this.#isBusy() && document.activeElement === this.stopper) this.question.focus();
    this.stopper.hidden = !this.#isBusy();
    this.adder.hidden = !this.models?.length || this.arms.length >= MOST;
    for (const arm of this.arms) arm.remove.hidden = this.arms.length === 1;
    this.columns.dataset.count = String(this.arms.length);
  }

  #onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // composing: Enter picks a word
    event.preventDefault();
    this.asker.click();
  }

  #submit(event) {
    event.preventDefault();
    const question = this.question.value.trim();
    this.early = !this.models && question !== ""; // typed faster than the models came: asked as soon as they are here
    if (!question || !this.arms.length) {
      this.question.focus();
      return;
    }
    const settings = this.settings.read();
    if (!settings) return;
    const query = new URLSearchParams([["q", question], ...this.arms.map((arm) => ["arm", writeChoice(arm.choice)])]);
    history.replaceState(null, "", `#/ask?${query}`); // a link to this comparison; what stands behind # is not sent
    announce(`Asking ${this.arms.map((arm) => arm.name).join(", ")}`);
    for (const arm of this.arms) arm.ask(question, settings);
    this.#refresh();
  }

  stopAll() {
    for (const arm of this.arms) arm.stop();
    this.question.focus();
  }
}

function readChoice(text) {
  try {
    const [model, collection = ""] = text.split("|").map(decodeURIComponent);
    return { model, collection };
  } catch {
    return { model: text, collection: "" }; // a link typed by hand; an unknown model falls back to the first
  }
}

function writeChoice({ model, collection }) {
  return [model, collection].filter(Boolean).map(encodeURIComponent).join("|");
}

/** The base by itself, and beside it the first thing that reads passages. */
function firstChoices(models, collections) {
  const base = models.find((model) => model.kind === "base") ?? models[0];
  const arm = models.find((model) => model.kind === "arm" && model.strategy === "rag" && model.ready !== false);
  const full = collections.find((one) => one.documents > 0);
  const second = arm ? { model: arm.id, collection: "" } : full ? { model: base.id, collection: full.name } : null;
  return [{ model: base.id, collection: "" }, second].filter(Boolean);
}

/** What else can be set; nothing set is nothing sent, so the server's defaults hold. */
function makeSettings() {
  const number = (limits) => h("input", { type: "number", inputmode: "decimal", placeholder: "default", ...limits });
  const depth = number({ min: 1, max: 50, step: 1 });
  const threshold = number({ step: "any" });
  const tokens = number({ min: 1, step: 1 });
  const temperature = number({ min: 0, max: 2, step: "any", placeholder: "0" });
  const filter = h("input", { type: "text", placeholder: "year >= 2020", spellcheck: "false", autocomplete: "off" });
  const details = h("details", { class: "settings" }, h("summary", {}, "Settings"), h("div", { class: "fields" },
    field("Passages in the prompt", depth), field("Least score", threshold, "below it: refused, not generated"),
    field("Only documents where", filter), field("Most tokens", tokens), field("Temperature", temperature, "0 is the same answer each time")),
    h("p", { class: "note" }, "An arm of the experiment brings its own passages; the first three do not change it."));
  const read = () => {
    const wrong = [depth, threshold, tokens, temperature].find((input) => !input.checkValidity());
    if (wrong) {
      details.open = true;
      wrong.reportValidity();
      return null;
    }
    const set = (entries) => Object.fromEntries(entries.filter(([, input]) => input.value.trim() !== "").map(([name, input]) =>
      [name, input.type === "number" ? Number(input.value) : input.value.trim()]));
    return { rag: set([["rag_depth", depth], ["rag_threshold", threshold], ["rag_filter", filter]]), sampling: set([["max_tokens", tokens], ["temperature", temperature]]) };
  };
  return { node: details, read };
}
