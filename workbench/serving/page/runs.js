/** The Runs page: the experiments under this server's folder, each with its verdict's sentence. */

import { getJson, path } from "./api.js";
import { h, replace } from "./dom.js";
import { counted, moment } from "./format.js";
import { inline } from "./markdown.js";
import { showQuestions } from "./questions.js";
import { showRun } from "./run.js";
import { may, whoAmI } from "./session.js";
import { empty, load } from "./states.js";

/** @param {Element} place @param {{parts: string[], signal: AbortSignal}} options */
export function showRuns(place, { parts, signal }) {
  const [name, below, offset] = parts;
  if (name && below === "questions") showQuestions(place, { name, offset: Math.max(0, Number.parseInt(offset ?? "0", 10) || 0), signal });
  else if (name) showRun(place, { name, signal });
  else showList(place, signal);
}

function showList(place, signal) {
  const list = h("div", {});
  replace(place, h("h1", { tabindex: -1 }, "Runs"), h("p", { class: "lead" }, "What was measured, and what it says."), list);
  load(list, {
    what: "runs",
    get: async () => (may(await whoAmI(), "admin") ? getJson("/v1/runs", { signal }) : null),
    show: (found) => {
      if (found === null) return adminsOnly("Runs show every question and answer of the experiment");
      if (!found.data.length) return empty("No run yet", "Measure one: ", h("code", {}, "workbench run configs/quickstart.yaml"));
      return h("ul", { class: "runs" }, found.data.map(entry));
    },
    signal,
  });
}

function entry(run) {
  const arms = Array.isArray(run.arms) ? run.arms.length : run.arms;
  return h("li", {}, h("h2", {}, h("a", { href: `#${path("runs", run.name)}` }, run.name)),
    run.sentence ? h("p", { class: "sentence" }, inline(run.sentence)) : h("p", { class: "sentence muted" }, "Not finished: no verdict yet."),
    h("p", { class: "note" }, [moment(run.modified), arms ? counted(arms, "arm") : "", run.questions ? counted(run.questions, "question") : ""].filter(Boolean).join(" · ")));
}

/** @param {string} why */
export function adminsOnly(why) {
  return empty("For administrators", `${why}, so they need a key that is admin of all collections.`);
}
