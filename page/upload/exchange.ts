/// <reference lib="dom" />
/**
 * Requests whose bodies are parts of files. `fetch` tells nothing about how far a body was sent, and so XMLHttpRequest
 * sends them.
 *
 * @module
 */

import { UploadFailure } from "./failure.ts";

/** A request. */
export interface UploadRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob;
  readonly signal?: AbortSignal;
  /** Called with the number of bytes of the body that were sent. */
  onSent?(bytes: number): void;
}

/** A response that reports success. */
export interface UploadResponse {
  readonly status: number;
  /** A field of its header. */
  header(name: string): string | null;
  /** Its body. */
  readonly text: string;
}

/** Sends a request. Fails with an {@linkcode UploadFailure}, or with the reason of the signal. */
export type Send = (request: UploadRequest) => Promise<UploadResponse>;

/** Without progress for so many milliseconds, a request is given up: its connection is probably dead. */
const STALLED_MS = 30_000;

/** How long the server may take for its response after it has everything, in milliseconds. */
const RESPONSE_MS = 300_000;

/** Sends a request by XMLHttpRequest. */
export const sendByXhr: Send = ({ method, url, headers = {}, body, signal, onSent }) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const xhr = new XMLHttpRequest();
    let alive = Date.now();
    let limit = body ? STALLED_MS : RESPONSE_MS;
    const stop = () => {
      clearInterval(timer);
      signal?.removeEventListener("abort", aborted);
    };
    const aborted = () => {
      stop();
      xhr.abort();
      reject(signal!.reason);
    };
    const fail = async () => {
      stop();
      xhr.abort();
      reject(await whyUnsent(body));
    };
    // While a machine sleeps no timer runs: afterwards the time since the last sign of life is long.
    const timer = setInterval(() => Date.now() - alive > limit && void fail(), 1000);
    signal?.addEventListener("abort", aborted);
    xhr.upload.onprogress = ({ loaded }) => {
      alive = Date.now();
      if (loaded === body?.size) limit = RESPONSE_MS;
      onSent?.(loaded);
    };
    xhr.onerror = fail;
    xhr.onload = () => {
      stop();
      const { status, responseText: text } = xhr;
      const response = { status, text, header: (name: string) => xhr.getResponseHeader(name) };
      if (status >= 200 && status < 300) resolve(response);
      else reject(failureOf(response));
    };
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.send(body ?? null);
  });

/**
 * Why there is no response to a request. Browsers report a file that cannot be read any more, or that was changed after
 * it was chosen, as they report a network that is away: so its last byte is read.
 */
export async function whyUnsent(body: Blob | undefined): Promise<UploadFailure> {
  try {
    await body?.slice(-1).arrayBuffer();
    return new UploadFailure("offline");
  } catch (error) {
    return new UploadFailure("unreadable", { title: String(error) });
  }
}

/** The codes of failures whose responses have no body, as those to HEAD. */
const CODES: Readonly<Record<number, string>> = {
  401: "auth_required",
  403: "denied",
  404: "not_found",
  413: "too_large",
  507: "no_space",
};

/** The failure that a response reports. */
export function failureOf({ status, text, header }: UploadResponse): UploadFailure {
  const seconds = header("retry-after");
  const retryAfter = seconds === null ? undefined : Number(seconds) * 1000 || undefined;
  const { code = CODES[status] ?? "internal", detail = "" } = problemIn(text);
  return new UploadFailure(code, { status, title: detail, retryAfter });
}

/** The JSON problem in a body; what stands between here and the server may send anything else. */
function problemIn(text: string): { code?: string; detail?: string } {
  try {
    const problem = JSON.parse(text);
    return typeof problem?.code === "string" ? problem : {};
  } catch {
    return {};
  }
}
