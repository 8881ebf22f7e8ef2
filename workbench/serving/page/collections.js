/** The Collections page: all of them with their counts, a new one, and, for administrators, the keys. */

import { getJson, path } from "./api.js";
import { showCollection } from "./collection.js";
import { field, h, replace, table } from "./dom.js";
import { count } from "./format.js";
import { keysSection } from "./keys.js";
import { may, whoAmI } from "./session.js";
import { empty, inWords, load, outcome } from "./states.js";

/** @param {Element} place @param {{parts: string[], query: URLSearchParams, signal: AbortSignal}} options */
export function showCollections(place, options) {
  if (options.parts.length) {
    showCollection(place, { ...options, name: options.parts[0] });
    return;
  }
  const list = h("div", {});
  const below = h("div", {});
  replace(place, h("h1", { tabindex: -1 }, "Collections"), h("p", { class: "lead" }, "Documents that answers are drawn from."), list, below);
  load(list, {
    what: "collections",
    get: () => Promise.all([getJson("/v1/collections", { signal: options.signal }), whoAmI()]),
    show: ([collections, me]) => {
      // Whoever administers one collection that is not there yet may make it; the server knows which, so it is asked.
      const maker = Object.values(me.roles).includes("admin");
      replace(below, maker ? newCollection() : null, may(me, "admin") ? keysSection({ collections: collections.data, signal: options.signal }) : null);
      return collections.data.length ? listOf(collections.data) : empty("No collection yet", maker ? "Make one below, then drop files into it." : "Your key may read none; ask whoever gave it to you.");
    },
    signal: options.signal,
  });
}

/** @param {import("./api.js").Collection[]} collections */
function listOf(collections) {
  const rows = collections.map((one) => h("tr", {},
    h("th", { scope: "row", class: "text" }, h("a", { href: `#${path("collections", one.name)}` }, one.name)),
    h("td", {}, count(one.documents)), h("td", {}, count(one.chunks)), h("td", { class: "text muted" }, one.embedder),
    h("td", { class: "text" }, one.origin === "run" ? h("span", { class: "tag", title: "Indexed by the experiment; only workbench changes it" }, "read-only, of the run") : h("span", { class: "tag" }, one.role))));
  return table("Collections", ["Name", "Documents", "Chunks", { text: "Embedder" }, { text: "You may" }], rows, "list");
}

function newCollection() {
  const name = h("input", { type: "text", required: true, maxlength: 64, autocomplete: "off", spellcheck: "false", placeholder: "manuals" });
  const said = outcome();
  const button = h("button", { type: "submit" }, "Create");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.say("Creating…");
    try {
      const made = await getJson("/v1/collections", { body: { name: name.value.trim() } });
      location.hash = path("collections", made.name);
    } catch (error) {
      said.say(inWords(error), "bad");
      button.disabled = false;
    }
  };
  return h("section", {}, h("h2", {}, "New collection"), h("form", { class: "inline", onsubmit: submit }, field("Name", name), button), said);
}
