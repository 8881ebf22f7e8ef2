/** One document in a panel at the side: its text, the passage marked and scrolled to. */

import { getJson, path } from "./api.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { counted, metadataLine } from "./format.js";
import { cut, length } from "./offsets.js";
import { load } from "./states.js";

/**
 * @param {{collection: string, document_id: string, start?: number, end?: number, text?: string, headings?: string[]}} passage
 *   offsets in code points; without them the document is shown from its beginning
 * @returns {HTMLDialogElement}
 */
export function openPassage(passage) {
  const leaving = new AbortController();
  const body = h("div", { class: "document" });
  const dialog = openDialog(passage.document_id, body, { kind: "side" });
  dialog.addEventListener("close", () => leaving.abort());
  const url = path("v1", "collections", passage.collection, "documents", passage.document_id);
  load(body, {
    what: "the document",
    get: () => getJson(url, { signal: leaving.signal }),
    show: (found) => showDocument(found, passage),
    signal: leaving.signal,
  }).then((found) => {
    if (found) body.querySelector("mark")?.scrollIntoView({ block: "center" });
    else if (passage.text && !leaving.signal.aborted) body.append(h("p", { class: "note" }, "The passage as it was read:"), h("blockquote", {}, passage.text));
  });
  return dialog;
}

/** @param {{title: string, text: string, metadata: Record<string, any>}} found */
function showDocument(found, passage) {
  const facts = metadataLine(found.metadata);
  const text = h("div", { class: "text", tabindex: 0, role: "region", "aria-label": "Text of the document" });
  const head = [
    found.title && found.title !== passage.document_id ? h("p", { class: "title" }, found.title) : null,
    h("p", { class: "note" }, `${passage.collection} · ${counted(length(found.text), "character")}${facts ? ` · ${facts}` : ""}`),
  ];
  if (passage.start === undefined || passage.end === undefined) {
    text.append(found.text);
    return [head, text];
  }
  const [before, inside, after] = cut(found.text, passage.start, passage.end);
  text.append(before, h("mark", {}, inside), after);
  // What was read and what stands there now differ: the document was replaced after the answer.
  const changed = passage.text !== undefined && passage.text !== inside;
  const warning = changed ? h("p", { class: "warning" }, "The document has changed since this passage was read; the mark may be in the wrong place.") : null;
  const where = `Passage: characters ${passage.start.toLocaleString("en")} to ${passage.end.toLocaleString("en")}`;
  return [head, h("p", { class: "note" }, (passage.headings ?? []).length ? `${where}, under ${passage.headings.join(" › ")}` : where), warning, text];
}
