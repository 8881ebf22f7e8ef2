/** Adding documents: files dropped or picked, several at once, each with its progress; or pasted text. */

import { getJson } from "./api.js";
import { field, h } from "./dom.js";
import { bytes, counted, parseMetadata, seconds } from "./format.js";
import { inWords, outcome } from "./states.js";
import { upload } from "./upload.js";

const AT_ONCE = 2; // uploads; the server writes one document of a collection at a time anyway

/** @param {{collection: import("./api.js").Collection, onAdded: () => void, signal: AbortSignal}} options */
export function addSection(options) {
  return h("section", {}, h("h2", {}, "Add documents"), h("div", { class: "adding" }, filesForm(options), pasteForm(options)));
}

function metadataField() {
  return h("textarea", { rows: 2, spellcheck: "false", placeholder: "year: 2024\ntags: [manual, pump]" });
}

function filesForm({ collection, onAdded, signal }) {
  const metadata = metadataField();
  const said = outcome();
  const queue = h("ul", { class: "uploads" });
  const picker = h("input", { type: "file", multiple: true, class: "unseen", "aria-label": "Choose files", onchange: () => { take(picker.files); picker.value = ""; } });
  const zone = h("label", { class: "zone" }, picker, h("strong", {}, "Drop files here"), h("span", {}, "or choose some"));
  /** @type {(() => Promise<void>)[]} */
  const waiting = [];
  let running = 0;
  let added = 0;

  const work = async () => {
    while (waiting.length && running < AT_ONCE) {
      running += 1;
      waiting.shift()().finally(() => {
        running -= 1;
        if (waiting.length) work();
        else if (!running && added && !signal.aborted) {
          onAdded(); // once, when all are through
          added = 0;
        }
      });
    }
  };

  function take(files) {
    let facts;
    try {
      facts = parseMetadata(metadata.value);
    } catch (error) {
      said.say(error.message, "bad");
      metadata.focus();
      return;
    }
    said.say(`${counted(files.length, "file")} taken`);
    for (const file of files) {
      const row = uploadRow({ file, collection: collection.name, metadata: facts, onDone: () => (added += 1), again: (job) => { waiting.push(job); work(); }, signal });
      queue.append(row.node);
      waiting.push(row.job);
    }
    work();
  }

  for (const name of ["dragenter", "dragover"]) zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser would leave this page and show the file
    take(event.dataTransfer.files);
  });
  return h("div", {}, zone, field("Metadata of these files", metadata, "One “key: value” a line; optional"), said, queue);
}

/** A file in the queue: its line, and the job that uploads it. */
function uploadRow({ file, collection, metadata, onDone, again, signal }) {
  const bar = h("progress", { max: 1, "aria-label": `Progress of ${file.name}` });
  const state = h("span", { class: "what", role: "status" }, "Waiting");
  const button = h("button", { type: "button", class: "quiet" });
  const node = h("li", {}, h("span", { class: "file" }, file.name, h("small", {}, bytes(file.size))), bar, state, button);
  let cancelled = false;
  let running = null;
  let sent = false; // all of it, so that the server may go on without us

  const say = (kind, text, action, onclick) => {
    node.className = kind;
    state.textContent = text;
    bar.hidden = kind !== "";
    button.hidden = !action;
    button.textContent = action ?? "";
    button.setAttribute("aria-label", `${action} ${file.name}`);
    button.onclick = onclick;
  };
  const cancel = () => {
    cancelled = true;
    running?.abort();
    say("off", sent ? "Cancelled; the server had it all and may have added it" : "Cancelled", "Again", retry);
  };
  const retry = () => {
    cancelled = sent = false;
    say("", "Waiting", "Cancel", cancel);
    again(job);
  };
  const onProgress = (share) => {
    sent = share === 1;
    if (!sent) bar.value = share;
    else bar.removeAttribute("value"); // sent; how far the indexing is nobody says
    state.textContent = !sent ? `Sending ${Math.round(100 * share)} %` : "Reading and indexing…";
  };
  async function job() {
    if (cancelled) return;
    running = new AbortController();
    const stop = AbortSignal.any([running.signal, signal]);
    try {
      const done = await upload({ file, collection, metadata, onProgress, signal: stop });
      onDone();
      say("done", `${done.replaced ? "Replaced" : "Added"}: ${counted(done.chunks, "chunk")} in ${seconds(done.seconds)}`);
    } catch (error) {
      if (!cancelled) say("failed", inWords(error), "Again", retry);
    }
  }
  say("", "Waiting", "Cancel", cancel);
  return { node, job };
}

function pasteForm({ collection, onAdded }) {
  const text = h("textarea", { rows: 6, required: true });
  const title = h("input", { type: "text", autocomplete: "off" });
  const metadata = metadataField();
  const said = outcome();
  const button = h("button", { type: "submit" }, "Add text");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.say("Reading and indexing…");
    try {
      const body = { collection: collection.name, text: text.value, metadata: parseMetadata(metadata.value), ...(title.value.trim() ? { title: title.value.trim() } : {}) };
      const done = await getJson("/v1/process/document", { body });
      said.say(`Added as ${done.document_id}: ${counted(done.chunks, "chunk")} in ${seconds(done.seconds)}`, "good");
      text.value = title.value = "";
      onAdded();
    } catch (error) {
      said.say(inWords(error), "bad");
    }
    button.disabled = false;
  };
  return h("details", { class: "paste" }, h("summary", {}, "Paste text instead"),
    h("form", { onsubmit: submit }, field("Text", text), field("Title", title, "Optional"), field("Metadata", metadata, "One “key: value” a line; optional"), h("div", { class: "actions" }, button), said));
}
