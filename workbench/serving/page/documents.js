/** The documents of a collection, a page at a time, to look at and to delete. */

import { getJson, path } from "./api.js";
import { confirm } from "./dialog.js";
import { h, table } from "./dom.js";
import { count, metadataLine } from "./format.js";
import { openPassage } from "./passage.js";
import { mayChange } from "./session.js";
import { empty, inWords, load, outcome } from "./states.js";

const PAGE = 50; // documents

/** @param {{collection: import("./api.js").Collection, onChange: () => void, signal: AbortSignal}} options */
export function documentsSection({ collection, onChange, signal }) {
  const list = h("div", {});
  const said = outcome();
  /** @type {string[]} cursors of the pages before this one; the first page has none */
  let before = [];
  let cursor = "";

  const refresh = () => load(list, {
    what: "documents",
    get: () => getJson(`${path("v1", "collections", collection.name, "documents")}?${new URLSearchParams({ limit: String(PAGE), ...(cursor ? { after: cursor } : {}) })}`, { signal }),
    show: (found) => {
      if (!found.data.length && !before.length) return empty("No documents yet", mayChange(collection) ? "Drop files above, or paste text." : null);
      return [table("Documents", ["Document", { text: "Metadata" }, "Characters", "Chunks", ""], found.data.map(row), "list"), pager(found.next)];
    },
    signal,
  });

  const go = (where) => {
    cursor = where;
    refresh().then(() => list.querySelector("table")?.scrollIntoView({ block: "nearest" }));
  };

  function pager(next) {
    if (!next && !before.length) return null;
    const previous = h("button", { type: "button", disabled: !before.length, onclick: () => go(before.pop()) }, "Previous");
    const following = h("button", { type: "button", disabled: !next, onclick: () => { before = [...before, cursor]; go(next); } }, "Next");
    return h("nav", { class: "pager", "aria-label": "Pages of documents" }, previous, h("span", {}, `Page ${before.length + 1}`), following);
  }

  function row(one) {
    const open = () => openPassage({ collection: collection.name, document_id: one.id });
    const drop = h("button", { type: "button", class: "quiet", "aria-label": `Delete ${one.id}`, onclick: () => remove(one) }, "Delete");
    return h("tr", {},
      h("th", { scope: "row", class: "text name" }, h("button", { type: "button", class: "link", onclick: open }, one.id), one.title && one.title !== one.id ? h("small", {}, one.title) : null),
      h("td", { class: "text muted name" }, metadataLine(one.metadata)), h("td", {}, count(one.characters)), h("td", {}, count(one.chunks)),
      h("td", {}, mayChange(collection) ? drop : null));
  }

  async function remove(one) {
    const text = `“${one.id}” and its ${count(one.chunks)} chunks leave the collection; answers will not draw on it any more.`;
    if (!(await confirm({ title: "Delete this document?", text, action: "Delete" }))) return;
    try {
      await getJson(path("v1", "collections", collection.name, "documents", one.id), { method: "DELETE" });
      said.say(`Deleted ${one.id}.`, "good");
      onChange();
      refresh();
    } catch (error) {
      said.say(inWords(error), "bad");
    }
  }

  refresh();
  const heading = h("h2", {}, "Documents");
  return { node: h("section", {}, heading, said, list), refresh: () => { before = []; cursor = ""; refresh(); } };
}
