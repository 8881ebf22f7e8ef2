/**
 * Building DOM nodes. Text stays text: nothing here or anywhere on this page is ever parsed as HTML, so that a model's
 * answer, a file's name or a document's title cannot become markup.
 */

/** @typedef {Node | string | number | null | undefined | false | any[]} Child lists may nest */

/**
 * Make an element: `h("button", { class: "quiet", onclick: stop }, "Stop")`.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners, `true` is an empty attribute, false and null are left out
 * @param {...Child} children
 * @returns {HTMLElement & Record<string, any>}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. @param {string} tag @param {Record<string, any>} [attributes] @param {...Child} children */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Put `children` in place of what `element` holds. @param {Element} element @param {...Child} children */
export function replace(element, ...children) {
  element.replaceChildren(...flat(children));
}

/** Have screen readers say `text` when they are done with what they are saying. @param {string} text */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = text), 50); // the same text twice is said only if it changes in between
}

/** A labelled control: the label above, a hint below. @param {string} label @param {HTMLElement} control @param {string} [hint] */
export function field(label, control, hint) {
  control.id ||= nextId("field");
  const note = hint ? h("small", { id: nextId("hint") }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

let ids = 0;

/** An id no other element has. @param {string} stem */
export function nextId(stem) {
  ids += 1;
  return `${stem}-${ids}`;
}

/** A select of [value, text] pairs. @param {[string, string][]} choices @param {string} value @param {Record<string, any>} [attributes] */
export function select(choices, value, attributes = {}) {
  return h("select", { ...attributes, value: undefined }, choices.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
}

/** A table that scrolls sideways by itself, by keyboard too. @param {string} label @param {(string | {text: string})[]} head `{text}`: the column holds words @param {Child[]} rows of `tr` @param {string} [kind] */
export function table(label, head, rows, kind = "") {
  const columns = head.map((one) => (typeof one === "string" ? h("th", { scope: "col" }, one) : h("th", { scope: "col", class: "text" }, one.text)));
  return h("div", { class: `scroll ${kind}`, role: "region", "aria-label": label, tabindex: 0 },
    h("table", {}, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, rows)));
}
