/** How numbers are written, as in the report: scores as points, a true minus, a dash for what was not measured. */

export const MISSING = "–";

/** @param {number | null | undefined} value seconds */
export function seconds(value) {
  if (value === null || value === undefined) return MISSING;
  if (value >= 120) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${value.toFixed(value >= 10 ? 1 : value >= 0.1 || value === 0 ? 2 : 3)} s`;
}

/** @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? MISSING : Math.round(value).toLocaleString("en");
}

/** "1 document", "2 documents". @param {number} n @param {string} noun */
export function counted(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return MISSING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const place = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 2 ** (10 * place)).toFixed(place && value / 2 ** (10 * place) < 100 ? 1 : 0)} ${units[place]}`;
}

/** Points for shares, nats for log-probabilities. @param {string} metric @param {number | null | undefined} value */
export function score(metric, value) {
  if (value === null || value === undefined) return MISSING;
  const text = metric === "gold_logprob" ? value.toFixed(2) : (100 * value).toFixed(1);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** "[low, high]"; empty where the data cannot tell. @param {string} metric @param {{low?: number | null, high?: number | null}} figure */
export function interval(metric, figure) {
  if (typeof figure?.low !== "number" || typeof figure?.high !== "number") return "";
  return `[${score(metric, figure.low)}, ${score(metric, figure.high)}]`;
}

/** @param {number | string | null | undefined} value seconds since 1970, or ISO 8601 */
export function moment(value) {
  if (value === null || value === undefined) return MISSING;
  const date = typeof value === "number" ? new Date(1000 * value) : new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** What a metric is called. @param {string} metric */
export function metricName(metric) {
  const names = { exact_match: "EM", f1: "F1", gold_logprob: "gold log-prob", over_refusal: "over-refusal" };
  return names[metric] ?? metric.replaceAll("_", " ");
}

/** Metadata in a line. @param {Record<string, any> | undefined} metadata */
export function metadataLine(metadata) {
  return Object.entries(metadata ?? {}).map(([key, value]) => `${key}: ${Array.isArray(value) ? value.join(", ") : value}`).join(" · ");
}

/**
 * "key: value" lines → metadata: numbers and truth values typed, `[a, b]` a list, all else text.
 * @param {string} text
 * @returns {Record<string, any>}
 * @throws {Error} a line without a colon, named
 */
export function parseMetadata(text) {
  /** @type {Record<string, any>} */
  const metadata = {};
  text.split("\n").forEach((line, at) => {
    if (!line.trim()) return;
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`Line ${at + 1} of the metadata is “${line.trim()}”; write it as “key: value”.`);
    metadata[line.slice(0, colon).trim()] = typed(line.slice(colon + 1).trim());
  });
  return metadata;
}

function typed(value) {
  if (value.startsWith("[") && value.endsWith("]")) return value.slice(1, -1).split(",").map((part) => part.trim()).filter(Boolean);
  if (/^-?\d+(\.\d+)?$/.test(value) && Number.isSafeInteger(Math.trunc(Number(value)))) return Number(value);
  return value === "true" ? true : value === "false" ? false : value;
}
