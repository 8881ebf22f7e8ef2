/**
 * The little Markdown that models write → DOM nodes: paragraphs, lists, headings, code, bold. Links and images stay the
 * characters they are. Not a full Markdown: what is not known here is shown as it was written.
 */

import { h } from "./dom.js";

/**
 * @param {string} text
 * @param {(number: number) => Node | null} [cite] what stands for `[n]`; null: the text itself
 * @returns {Node[]}
 */
export function render(text, cite = () => null) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    const [block, next] = readBlock(lines, at, cite);
    if (block) blocks.push(block);
    at = next;
  }
  return blocks;
}

const ITEM = /^\s{0,3}(?:([-*+])|(\d{1,4})[.)])\s+(.*)$/;
const FENCE = /^\s{0,3}(```|~~~)/;
const HEADING = /^#{1,6}\s+(.*?)#*\s*$/;

/** @returns {[Node | null, number]} the block that begins at line `at`, and the line after it */
function readBlock(lines, at, cite) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  if (FENCE.test(line)) return readCode(lines, at);
  const heading = HEADING.exec(line);
  if (heading) return [h("p", { class: "heading" }, inline(heading[1], cite)), at + 1];
  if (ITEM.test(line)) return readList(lines, at, cite);
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && ![FENCE, ITEM, HEADING].some((start) => start.test(lines[end]))) end += 1;
  return [h("p", {}, lines.slice(at, end).flatMap((part, n) => (n ? [h("br"), ...inline(part, cite)] : inline(part, cite)))), end];
}

/** @returns {[Node, number]} */
function readCode(lines, at) {
  const fence = FENCE.exec(lines[at])[1];
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(fence)) end += 1; // an open fence runs to the end: it streams
  return [h("pre", { tabindex: 0 }, h("code", {}, lines.slice(at + 1, end).join("\n"))), end + 1];
}

/** @returns {[Node, number]} */
function readList(lines, at, cite) {
  const ordered = Boolean(ITEM.exec(lines[at])[2]);
  const items = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const item = ITEM.exec(lines[end]);
    if (item && Boolean(item[2]) === ordered) items.push([item[3]]);
    else if (!item && /^\s{2,}\S/.test(lines[end])) items.at(-1).push(lines[end].trim());
    else break;
  }
  const start = ordered ? Number(ITEM.exec(lines[at])[2]) : 1;
  const nodes = items.map((parts) => h("li", {}, inline(parts.join(" "), cite)));
  return [h(ordered ? "ol" : "ul", { start: start === 1 ? null : start }, nodes), end];
}

const INLINE = /(`[^`\n]+`|\*\*(?=\S)[^*\n]*[^*\s]\*\*|\[\d{1,3}\])/;

/**
 * Bold, code and citations inside a line.
 * @param {string} text
 * @param {(number: number) => Node | null} [cite]
 * @returns {(Node | string)[]}
 */
export function inline(text, cite = () => null) {
  return text.split(INLINE).filter(Boolean).map((part) => {
    if (!INLINE.test(part)) return part;
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return h("strong", {}, inline(part.slice(2, -2), cite));
    return cite(Number(part.slice(1, -1))) ?? part;
  });
}
