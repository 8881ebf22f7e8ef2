/** Dialogs: the browser's own, which keep the focus inside, close on Escape, and give the focus back. */

import { field, h, nextId } from "./dom.js";

/**
 * Open a dialog; it leaves the document when it closes.
 * @param {string} title
 * @param {import("./dom.js").Child} content
 * @param {{kind?: string}} [options] kind "side": a panel at the right edge
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, { kind = "" } = {}) {
  const id = nextId("dialog");
  const close = h("button", { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => dialog.close() }, "×");
  const dialog = /** @type {any} */ (h("dialog", { class: kind, "aria-labelledby": id },
    h("header", {}, h("h2", { id, tabindex: -1 }, title), close), content));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && kind === "side") dialog.close(); // beside the panel, which fills the rest
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask before something is lost.
 * @param {{title: string, text: string, action: string, word?: string}} options `word`: has to be typed before `action` works
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action, word }) {
  return new Promise((resolve) => {
    let sure = false;
    const button = h("button", { type: "submit", class: "danger", disabled: Boolean(word) }, action);
    const typed = word === undefined ? null : h("input", { type: "text", autocomplete: "off", spellcheck: "false", autofocus: true, oninput: () => (button.disabled = typed.value !== word) });
    const submit = (event) => {
      event.preventDefault(); // form-action 'none': no form of this page is ever sent by the browser
      sure = true;
      dialog.close();
    };
    const cancel = h("button", { type: "button", onclick: () => dialog.close(), autofocus: !word }, "Cancel");
    const form = h("form", { onsubmit: submit }, h("p", {}, text), typed ? field(`Type ${word} to confirm`, typed) : null,
      h("div", { class: "actions" }, button, cancel));
    const dialog = openDialog(title, form);
    dialog.addEventListener("close", () => resolve(sure));
  });
}

/**
 * Ask for the API key. It goes nowhere but into the headers of requests to this server.
 * @param {string} why
 * @returns {Promise<string | null>} null: none was entered
 */
export function askForKey(why) {
  return new Promise((resolve) => {
    let key = null;
    const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: true, autofocus: true, placeholder: "wbk_…" });
    const submit = (event) => {
      event.preventDefault();
      key = input.value.trim() || null;
      dialog.close();
    };
    const hint = "Kept in this tab until it is closed. Whoever runs the server makes keys with: workbench keys create";
    const form = h("form", { onsubmit: submit }, h("p", {}, why), field("Key", input, hint),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Sign in")));
    const dialog = openDialog("A key, please", form);
    dialog.addEventListener("close", () => resolve(key));
  });
}
