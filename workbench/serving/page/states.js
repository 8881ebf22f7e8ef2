/** What stands where content is not (yet): loading, nothing there, an error with what to do next. */

import { isAbort } from "./api.js";
import { h, replace } from "./dom.js";

/** @param {string} what "collections" */
export function loading(what) {
  return h("p", { class: "state loading", role: "status" }, `Loading ${what}…`);
}

/** @param {string} title @param {...import("./dom.js").Child} hint */
export function empty(title, ...hint) {
  return h("div", { class: "state empty" }, h("p", { class: "title" }, title), hint.length ? h("p", {}, hint) : null);
}

/**
 * An error in words with a button to try again; where the server said when, the button counts down and only then works.
 * @param {any} error
 * @param {() => void} [retry]
 */
export function failure(error, retry) {
  const message = error instanceof Error ? error.message : String(error);
  const node = h("div", { class: "state failure", role: "alert" }, h("p", { class: "title" }, message));
  if (error.status === 401) {
    node.append(h("button", { type: "button", onclick: () => dispatchEvent(new CustomEvent("workbench:unauthorised")) }, "Enter a key"));
  } else if (retry) {
    const again = h("button", { type: "button", onclick: retry }, "Try again");
    node.append(again);
    if (error.retryAfter) countDown(again, Math.ceil(error.retryAfter));
  }
  return node;
}

function countDown(button, left) {
  button.disabled = left > 0;
  button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
  if (left > 0) setTimeout(() => countDown(button, left - 1), 1000);
}

/**
 * Fill `place` with what `get` brings: a loading line (after a moment, so that quick answers do not flicker), then the
 * content, or the error. Nothing is shown any more once `signal` is aborted.
 * @template T
 * @param {Element} place
 * @param {{what: string, get: () => Promise<T>, show: (value: T) => import("./dom.js").Child, signal: AbortSignal}} options
 * @returns {Promise<T | null>} null: it failed, or was left
 */
export async function load(place, { what, get, show, signal }) {
  const slow = setTimeout(() => !signal.aborted && swap(place, loading(what)), 150);
  place.setAttribute("aria-busy", "true");
  try {
    const value = await get();
    if (signal.aborted) return null;
    clearTimeout(slow); // before showing: `show` may be what it would overwrite
    swap(place, show(value));
    return value;
  } catch (error) {
    clearTimeout(slow);
    if (signal.aborted || isAbort(error)) return null;
    swap(place, failure(error, () => load(place, { what, get, show, signal })));
    return null;
  } finally {
    clearTimeout(slow);
    place.removeAttribute("aria-busy");
  }
}

/** Replace what `place` holds; a focus that was inside stays inside, or the keyboard would begin at the top again. */
function swap(place, content) {
  const inside = place.contains(document.activeElement);
  replace(place, content);
  if (!inside) return;
  const next = place.querySelector("[tabindex='0'], a[href], button:not(:disabled), input, select, textarea");
  if (!next) place.setAttribute("tabindex", "-1");
  (next ?? place).focus({ preventScroll: true });
}

/** The outcome of an action, beside its button: said to screen readers too. @returns {HTMLElement & Record<string, any>} */
export function outcome() {
  const node = h("p", { class: "outcome", role: "status" });
  node.say = (text, kind = "") => {
    node.className = `outcome ${kind}`;
    node.textContent = text;
  };
  return node;
}

/** An error in a line, with when to try again. @param {any} error */
export function inWords(error) {
  const wait = error.retryAfter ? ` Try again in ${Math.ceil(error.retryAfter)} s.` : "";
  return `${error.message}${wait}`;
}
