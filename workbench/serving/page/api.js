/**
 * Talking to the server: requests, their errors in words, the key. The key lives in sessionStorage alone: it is gone
 * with the tab, and never in a URL.
 *
 * @typedef {{number: number, collection: string, document_id: string, start: number, end: number, page: number | null,
 *   headings: string[], score: number, cited?: boolean, text: string}} Source offsets in code points, end exclusive
 * @typedef {{id: string, kind: "base" | "adapter" | "arm", strategy?: string, adapter?: string | null, ready?: boolean,
 *   collection?: string | null}} Model
 * @typedef {{name: string, documents: number, chunks: number, embedder: string, role: string, origin: string}} Collection
 */

const KEY = "workbench-key";

/** An answer that is not a success; `status` 0: there was none. */
export class ApiError extends Error {
  /** @param {string} message @param {number} status @param {number | null} [retryAfter] seconds */
  constructor(message, status, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(KEY);
}

/** @param {string | null} key null: forget it */
export function storeKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/** The headers every request carries. @returns {Record<string, string>} */
export function headers() {
  const key = storedKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Send a request; return the response if it is a success.
 * @param {string} path
 * @param {{method?: string, body?: any, signal?: AbortSignal}} [options] `body` is sent as JSON
 * @returns {Promise<Response>}
 * @throws {ApiError} any other answer, or none; an abort is the browser's own AbortError
 */
export async function send(path, { method, body, signal } = {}) {
  const key = storedKey();
  const own = body === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: { ...headers(), ...own },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable();
  }
  if (!response.ok) throw await readError(response, key);
  return response;
}

/** The same, its JSON read. @param {string} path @param {{method?: string, body?: any, signal?: AbortSignal}} [options] @returns {Promise<any>} */
export async function getJson(path, options) {
  const response = await send(path, options);
  try {
    return await response.json();
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new ApiError(`The server's answer to ${path} is not JSON; is something between this page and the server?`, response.status);
  }
}

/** No answer came. It tells the page, which waits for the server to come back. @returns {ApiError} */
export function unreachable() {
  dispatchEvent(new CustomEvent("workbench:offline"));
  return new ApiError("The server cannot be reached. Is “workbench serve” still running?", 0);
}

/** @param {Response} response @param {string | null} key */
async function readError(response, key) {
  const text = await response.text().catch(() => "");
  return makeError(response.status, text, response.headers.get("Retry-After"), key);
}

/** @param {number} status @param {string} text the answer's body @param {string | null} retryAfter the header @param {string | null} key it was asked with @returns {ApiError} */
export function makeError(status, text, retryAfter, key) {
  // A refusal of a key that was replaced meanwhile says nothing about the new one.
  if (status === 401 && key === storedKey()) dispatchEvent(new CustomEvent("workbench:unauthorised"));
  const wait = retryAfter && Number.isFinite(Number(retryAfter)) ? Number(retryAfter) : null;
  return new ApiError(messageOf(text) ?? inWords(status), status, status === 429 || status === 503 ? wait : null);
}

function messageOf(text) {
  try {
    const message = JSON.parse(text)?.error?.message;
    return typeof message === "string" && message ? message : null;
  } catch {
    return null; // not ours: a proxy's page, or nothing
  }
}

function inWords(status) {
  const words = { 401: "This server asks for a key.", 403: "Your key does not allow this.", 404: "There is nothing of this name.",
    413: "This is larger than the server takes.", 429: "The server has as much to do as it takes on.", 504: "The answer took too long and was given up." };
  return words[status] ?? `The server answered with an error (${status}); its log says more.`;
}

/** Is this the browser's word for “we stopped it ourselves”? @param {unknown} error */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/** A path with its parts encoded: `path("v1", "collections", name)`. Ids of documents hold slashes. @param {...string} parts */
export function path(...parts) {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}
