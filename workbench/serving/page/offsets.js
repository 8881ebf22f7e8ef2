/**
 * Spans of text. The server counts in Unicode code points (Python's characters), JavaScript in UTF-16 code units: an
 * emoji is one there and two here. Every offset from the server goes through here before it touches a string.
 */

/**
 * The UTF-16 index of code point number `point`; the text's length where it has fewer.
 * @param {string} text
 * @param {number} point
 * @param {number} [from] UTF-16 index that code point number `passed` begins at
 * @param {number} [passed]
 */
export function unitIndex(text, point, from = 0, passed = 0) {
  let unit = from;
  for (let n = passed; n < point && unit < text.length; n += 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  return unit;
}

/** Cut `text` at code points: before, inside, after. @param {string} text @param {number} start @param {number} end exclusive @returns {[string, string, string]} */
export function cut(text, start, end) {
  const first = unitIndex(text, start);
  const last = unitIndex(text, Math.max(start, end), first, start);
  return [text.slice(0, first), text.slice(first, last), text.slice(last)];
}

/** How many code points `text` has. @param {string} text */
export function length(text) {
  let n = 0;
  for (let unit = 0; unit < text.length; n += 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  return n;
}

/**
 * Cut `text` where words of `query` stand, case apart: plain and matching stretches in turn.
 * @param {string} text
 * @param {string} query
 * @returns {{text: string, match: boolean}[]}
 */
export function matches(text, query) {
  const words = [...new Set(query.match(/[\p{L}\p{N}]{2,}/gu) ?? [])].sort((a, b) => b.length - a.length);
  if (!words.length) return [{ text, match: false }];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.join("|")})(?![\\p{L}\\p{N}])`, "giu");
  const parts = [];
  let done = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > done) parts.push({ text: text.slice(done, found.index), match: false });
    parts.push({ text: found[0], match: true });
    done = found.index + found[0].length;
  }
  if (done < text.length) parts.push({ text: text.slice(done), match: false });
  return parts;
}
