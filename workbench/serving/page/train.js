/** The Train page: the adapters of the experiment, one training at a time, its loss as it falls. */

import { getJson } from "./api.js";
import { announce, h, replace } from "./dom.js";
import { count, seconds } from "./format.js";
import { lossFigure } from "./losses.js";
import { adminsOnly } from "./runs.js";
import { may, whoAmI } from "./session.js";
import { empty, failure, inWords, load, outcome } from "./states.js";

const POLL = { running: 2, idle: 15 }; // seconds; and only while the page is looked at

/** @param {Element} place @param {{signal: AbortSignal}} options */
export function showTrain(place, { signal }) {
  const body = h("div", {});
  replace(place, h("h1", { tabindex: -1 }, "Train"), h("p", { class: "lead" }, "Adapters of this server's experiment, trained by its own recipe."), body);
  load(body, {
    what: "adapters",
    get: async () => (may(await whoAmI(), "admin") ? Promise.all([getJson("/v1/models", { signal }), getJson("/v1/training", { signal })]) : null),
    show: (found) => {
      if (found === null) return adminsOnly("Trainings take the machine");
      const adapters = found[0].data.filter((model) => model.kind === "adapter");
      if (!adapters.length) return empty("No adapter in this experiment", "An arm with an adapter in the server's config names one; see the arms section of its YAML.");
      return trainingView({ adapters, first: found[1], signal });
    },
    signal,
  });
}

function trainingView({ adapters, first, signal }) {
  const list = h("ul", { class: "adapters" });
  const progress = h("section", { class: "training" });
  const said = outcome();
  const trouble = h("div", {});
  let state = first;
  let timer = 0;

  const nameOf = (model) => model.adapter ?? model.id;

  async function act(method, body) {
    said.say("");
    try {
      show(await getJson("/v1/training", { method, body, signal }));
    } catch (error) {
      if (!signal.aborted) said.say(inWords(error), "bad");
    }
    plan();
  }

  function show(next) {
    if (next.state !== state.state) announce(`Training ${next.adapter ?? ""}: ${next.state}`);
    const ended = state.state === "running" && next.state !== "running";
    state = next;
    drawList();
    redraw(progress, next.state === "idle" ? null : progressOf(next, () => act("DELETE")));
    if (ended) refreshAdapters();
  }

  async function refreshAdapters() {
    try {
      const found = await getJson("/v1/models", { signal });
      adapters = found.data.filter((model) => model.kind === "adapter");
      drawList();
    } catch {
      // The list stays as it was; the next visit loads it anew.
    }
  }

  function drawList() {
    const focused = document.activeElement?.getAttribute("data-adapter");
    replace(list, adapters.map((model) => {
      const running = state.state === "running";
      const mine = state.adapter === nameOf(model);
      const goesOn = mine && state.state === "stopped";
      return h("li", {}, h("span", { class: "name" }, nameOf(model)),
        h("span", { class: `tag ${model.ready ? "good" : ""}` }, running && mine ? "training" : model.ready ? "trained" : "not trained"),
        h("button", { type: "button", "data-adapter": nameOf(model), disabled: running, "aria-label": `${goesOn ? "Go on with" : "Train"} ${nameOf(model)}`, onclick: () => act("POST", { adapter: nameOf(model) }) }, goesOn ? "Go on" : model.ready ? "Train again" : "Train"));
    }));
    if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.adapter === focused)?.focus();
  }

  async function poll() {
    if (signal.aborted) return;
    try {
      show(await getJson("/v1/training", { signal }));
      replace(trouble);
    } catch (error) {
      if (!signal.aborted) replace(trouble, failure(error, poll));
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (signal.aborted) return;
    if (document.hidden) document.addEventListener("visibilitychange", poll, { once: true, signal });
    else timer = setTimeout(poll, 1000 * (state.state === "running" ? POLL.running : POLL.idle));
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  show(first);
  plan();
  return [list, said, trouble, progress];
}

/** Replace what `place` shows; a table that was open stays open, and the Stop button keeps the focus. */
function redraw(place, children) {
  const open = place.querySelector("details")?.open;
  const onStop = document.activeElement?.className === "stop" && place.contains(document.activeElement);
  replace(place, children);
  const details = place.querySelector("details");
  if (open && details) details.open = true;
  if (onStop) place.querySelector(".stop")?.focus();
}

const WORDS = { running: "Training", stopped: "Stopped; what was done is kept, and goes on with the next start", done: "Trained", failed: "Failed" };

function progressOf(state, stop) {
  const stopping = state.state === "running" && state.message === "stopping";
  const share = state.steps ? state.step / state.steps : 0;
  const left = state.state === "running" && state.step > 0 ? ((state.steps - state.step) * state.seconds) / state.step : null;
  return [
    h("h2", {}, state.adapter ?? "Training"),
    h("p", { class: `status ${state.state}` }, stopping ? "Stopping: it writes a checkpoint first" : WORDS[state.state] ?? state.state),
    state.message && !stopping ? h("p", { class: state.state === "failed" ? "warning" : "note" }, state.message) : null,
    h("progress", { max: 1, value: share, "aria-label": "Steps done" }),
    h("dl", { class: "figures" },
      [["step", `${count(state.step)} of ${count(state.steps)}`], ["time", seconds(state.seconds)], left === null ? null : ["about left", seconds(left)],
        ["loss", state.loss?.at(-1)?.loss?.toFixed(3) ?? "–"], ["held out", state.held_out?.at(-1)?.loss?.toFixed(3) ?? "–"]].filter(Boolean).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)))),
    state.state === "running" ? h("div", { class: "actions" }, h("button", { type: "button", class: "stop", disabled: stopping, onclick: stop }, "Stop")) : null,
    lossFigure("Loss", { loss: state.loss ?? [], heldOut: state.held_out ?? [], steps: state.steps ?? 0 }),
  ];
}
