/**
 * Requests with large bodies. The runtime's `fetch` keeps several copies of a body until its answer, which takes some
 * hundred MiB for the parts of one upload; this way a body is sent from where it is, piece by piece.
 *
 * @module
 */

import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";

/** How many bytes are handed over at once. */
const PIECE_BYTES = 256 * 1024;

/** The most bytes of an answer: it is short, whether the request succeeded or not. */
const MOST_ANSWER_BYTES = 1024 * 1024;

/** A request with a large body. */
export interface LargeRequest {
  /** The HTTP method. */
  method: string;
  /** Headers. The length of the body is added. */
  headers: Headers;
  /** What is sent. It has to stay unchanged until the answer. */
  body: Uint8Array;
  /** Gives the request up. */
  signal: AbortSignal;
}

/**
 * Makes a request over a connection of its own.
 *
 * @returns the answer as a whole
 * @throws {TypeError} as `fetch` does, caused by what happened to the connection
 */
export async function sendLarge(
  url: string,
  { method, headers, body, signal }: LargeRequest,
): Promise<Response> {
  const { request } = await (url.startsWith("https:") ? import("node:https") : import("node:http"));
  signal.throwIfAborted();
  const length = { "content-length": `${body.length}` };
  const options = { method, headers: { ...Object.fromEntries(headers), ...length }, agent: false };
  const sent = request(url, options satisfies RequestOptions);
  const ended = new Promise<void>((resolve) => sent.once("close", resolve));
  const giveUp = () => void sent.destroy();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const answer = answerTo(sent);
    const writing = write(sent, body);
    // An answer may come before the end of the body, and without it the body may not end.
    return await Promise.race([answer, writing.then(() => answer)]);
  } catch (error) {
    throw error instanceof TypeError ? error : new TypeError("request failed", { cause: error });
  } finally {
    signal.removeEventListener("abort", giveUp);
    sent.destroy();
    await ended;
  }
}

/** Sends a body as fast as it is taken. It does not fail: the answer does. */
async function write(request: ClientRequest, body: Uint8Array): Promise<void> {
  for (let at = 0; at < body.length && !request.destroyed; at += PIECE_BYTES) {
    if (request.write(body.subarray(at, at + PIECE_BYTES))) continue;
    await new Promise<void>((resolve) => {
      const goOn = () => {
        request.off("drain", goOn).off("close", goOn);
        resolve();
      };
      request.on("drain", goOn).on("close", goOn);
    });
  }
  if (!request.destroyed) request.end();
}

/** The answer to a request, with all of its body. */
function answerTo(request: ClientRequest): Promise<Response> {
  return new Promise((resolve, reject) => {
    const cut = () => reject(new TypeError("connection closed before message completed"));
    request.on("error", reject);
    request.once("close", cut);
    request.once("response", (message: IncomingMessage) => {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let received = 0;
      message.on("data", (piece: Uint8Array<ArrayBuffer>) => {
        received += piece.length;
        pieces.push(piece.slice());
        if (received > MOST_ANSWER_BYTES) request.destroy();
      });
      message.once("error", reject);
      message.once("end", () => message.complete ? resolve(responseOf(message, pieces)) : cut());
    });
  });
}

function responseOf(message: IncomingMessage, pieces: Uint8Array<ArrayBuffer>[]): Response {
  const { statusCode: status = 0, headersDistinct } = message;
  const headers = Object.entries(headersDistinct)
    .flatMap(([name, values = []]) => values.map((value): [string, string] => [name, value]));
  const body = [204, 304].includes(status) ? null : new Blob(pieces);
  return new Response(body, { status, headers });
}
