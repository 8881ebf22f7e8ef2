/** Server-sent events and one streamed answer. Source of the format: https://html.spec.whatwg.org/multipage/server-sent-events.html */

import { ApiError, send, unreachable } from "./api.js";

/**
 * The data of each event of `body`. Lines may end in LF, CR LF or CR, and events may be cut anywhere by the network.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<string>}
 */
export async function* readEvents(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += value ?? "";
      // A CR at the very end may be the first half of CR LF: it waits for what follows.
      const held = !done && rest.endsWith("\r") ? 1 : 0;
      const lines = rest.slice(0, rest.length - held).split(/\r\n|\n|\r/);
      rest = lines.pop() + rest.slice(rest.length - held);
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        else if (line === "" && data.length) {
          yield data.join("\n");
          data = [];
        }
      }
      if (done) return; // what no empty line closed is not an event
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever stops reading also stops the server
  }
}

/**
 * @typedef {{id: string, text: string, sources: import("./api.js").Source[], route: {arm: string, why: string} | null,
 *   usage: {prompt_tokens: number, completion_tokens: number} | null, timing: Record<string, number> | null,
 *   finish: string | null, firstSeconds: number | null, seconds: number}} StreamedAnswer seconds as seen from here
 */

/**
 * Ask, and hand each piece on as it comes.
 * @param {Record<string, any>} body of `/v1/chat/completions`
 * @param {{signal: AbortSignal, onText: (answer: StreamedAnswer) => void}} options
 * @returns {Promise<StreamedAnswer>}
 * @throws {ApiError} refused, failed midway, or ended before it was complete
 */
export async function ask(body, { signal, onText }) {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const response = await send("/v1/chat/completions", { body: { ...body, stream: true, stream_options: { include_usage: true } }, signal });
  /** @type {StreamedAnswer} */
  const answer = { id: "", text: "", sources: [], route: null, usage: null, timing: null, finish: null, firstSeconds: null, seconds: 0 };
  try {
    for await (const data of readEvents(response.body)) {
      answer.seconds = since();
      if (data === "[DONE]") return answer;
      if (take(answer, JSON.parse(data))) {
        answer.firstSeconds ??= answer.seconds;
        onText(answer);
      }
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    if (error instanceof SyntaxError) throw new ApiError("The server sent a piece of the answer that is not JSON.", response.status);
    throw unreachable();
  }
  throw new ApiError("The answer broke off: the server closed the connection before it was complete.", 0);
}

/** Add one chunk to the answer; true if it brought text. */
function take(answer, chunk) {
  if (chunk.error) throw new ApiError(chunk.error.message ?? "The answer failed midway.", 500);
  answer.id ||= chunk.id ?? "";
  answer.sources = chunk.sources ?? answer.sources;
  answer.route = chunk.route ?? answer.route;
  answer.usage = chunk.usage ?? answer.usage;
  answer.timing = chunk.timing ?? answer.timing;
  const choice = chunk.choices?.[0];
  answer.finish = choice?.finish_reason ?? answer.finish;
  const text = choice?.delta?.content ?? "";
  answer.text += text;
  return text !== "";
}
