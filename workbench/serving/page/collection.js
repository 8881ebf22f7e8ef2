/** One collection: search it, add to it, look through its documents, drop it. */

import { getJson, path } from "./api.js";
import { addSection } from "./adding.js";
import { confirm } from "./dialog.js";
import { documentsSection } from "./documents.js";
import { field, h, replace } from "./dom.js";
import { count, counted, seconds } from "./format.js";
import { cut, length, matches } from "./offsets.js";
import { openPassage } from "./passage.js";
import { mayChange } from "./session.js";
import { empty, inWords, load, outcome } from "./states.js";

/** @param {Element} place @param {{name: string, query: URLSearchParams, signal: AbortSignal}} options */
export function showCollection(place, { name, query, signal }) {
  const facts = h("p", { class: "lead" });
  const body = h("div", {});
  replace(place, h("p", { class: "trail" }, h("a", { href: "#/collections" }, "Collections")), h("h1", { tabindex: -1 }, name), facts, body);
  const get = () => getJson(path("v1", "collections", name), { signal });
  const describe = (found) => replace(facts, `${counted(found.documents, "document")} · ${counted(found.chunks, "chunk")} · ${found.embedder}`,
    mayChange(found) ? null : h("span", { class: "tag" }, found.origin === "run" ? "read-only, of the run" : "read-only"));
  const refresh = () => get().then(describe, () => {}); // the counts alone: what failed says so where it was done
  load(body, {
    what: "the collection",
    get,
    show: (found) => {
      describe(found);
      const documents = documentsSection({ collection: found, onChange: refresh, signal });
      const added = () => {
        refresh();
        documents.refresh();
      };
      return [
        searchSection({ collection: found, query, signal }),
        mayChange(found) ? addSection({ collection: found, onAdded: added, signal }) : null,
        documents.node,
        mayChange(found, "admin") ? dropSection(found) : null,
      ];
    },
    signal,
  });
}

function searchSection({ collection, query, signal }) {
  const words = h("input", { type: "search", required: true, value: query.get("q") ?? "", placeholder: "Words or a question", autocomplete: "off" });
  const filter = h("input", { type: "text", placeholder: "year >= 2020", spellcheck: "false", autocomplete: "off" });
  const depth = h("input", { type: "number", min: 1, max: 50, step: 1, value: "5", required: true });
  const results = h("div", { class: "results", "aria-live": "polite" });
  const search = () => load(results, {
    what: "passages",
    get: () => getJson(path("v1", "collections", collection.name, "search"), { body: { query: words.value.trim(), depth: Number(depth.value), ...(filter.value.trim() ? { filter: filter.value.trim() } : {}) }, signal }),
    show: (found) => [h("p", { class: "note" }, `${counted(found.data.length, "passage")} in ${seconds(found.seconds)}`),
      found.data.length ? h("ol", { class: "hits" }, found.data.map((source) => hit(source, words.value))) : empty("Nothing found", "Other words may find it, or a filter excludes it.")],
    signal,
  });
  const submit = (event) => {
    event.preventDefault();
    history.replaceState(null, "", `#${path("collections", collection.name)}?${new URLSearchParams({ q: words.value.trim() })}`);
    search();
  };
  if (query.get("q")) search();
  return h("section", {}, h("h2", {}, "Search"), h("form", { class: "inline search", onsubmit: submit, role: "search" },
    field("Search for", words), field("Only where", filter), field("Passages", depth), h("button", { type: "submit", class: "primary" }, "Search")), results);
}

const SHOWN = 700; // code points of a passage in the list of hits

/** @param {import("./api.js").Source} source @param {string} query */
function hit(source, query) {
  const [text] = cut(source.text, SHOWN, SHOWN);
  const marked = matches(text, query).map((part) => (part.match ? h("mark", {}, part.text) : part.text));
  return h("li", {}, h("div", { class: "where" },
    h("button", { type: "button", class: "link", onclick: () => openPassage(source) }, source.document_id),
    source.headings?.length ? h("small", {}, source.headings.join(" › ")) : null,
    h("span", { class: "score", title: "score" }, source.score.toFixed(3))),
    h("p", { class: "passage" }, marked, length(source.text) > SHOWN ? " …" : null));
}

function dropSection(collection) {
  const said = outcome();
  const drop = async () => {
    const text = `All ${count(collection.documents)} documents of “${collection.name}” and their index are deleted. This cannot be undone.`;
    if (!(await confirm({ title: "Drop this collection?", text, action: "Drop it", word: collection.name }))) return;
    said.say("Dropping…");
    try {
      await getJson(path("v1", "collections", collection.name), { method: "DELETE" });
      location.hash = "/collections";
    } catch (error) {
      said.say(inWords(error), "bad");
    }
  };
  return h("section", { class: "drop" }, h("h2", {}, "Drop"), h("p", { class: "note" }, "Deletes the collection and everything in it."),
    h("button", { type: "button", class: "danger", onclick: drop }, "Drop this collection…"), said);
}
