/** One file to the server with progress. XMLHttpRequest, because fetch cannot tell how much of a body has been sent. */

import { headers, makeError, storedKey, unreachable } from "./api.js";

/**
 * @param {{file: File, collection: string, metadata: Record<string, any>, onProgress: (share: number) => void, signal: AbortSignal}} options
 *   `onProgress`: share in [0, 1] of the body sent; 1 while the server indexes
 * @returns {Promise<{document_id: string, chunks: number, characters: number, replaced: boolean, seconds: number}>}
 */
export function upload({ file, collection, metadata, onProgress, signal }) {
  const form = new FormData();
  form.append("collection", collection);
  form.append("metadata", JSON.stringify(metadata));
  form.append("file", file, file.name);
  const request = new XMLHttpRequest();
  const key = storedKey();
  return new Promise((resolve, reject) => {
    const stop = () => {
      request.abort();
      reject(new DOMException("cancelled", "AbortError"));
    };
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener("abort", stop, { once: true });
    request.open("POST", "/v1/process/document");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("load", () => {
      signal.removeEventListener("abort", stop);
      const failed = () => reject(makeError(request.status, request.responseText, request.getResponseHeader("Retry-After"), key));
      if (request.status < 200 || request.status > 299) {
        failed();
        return;
      }
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        failed();
      }
    });
    request.send(form);
  });
}
