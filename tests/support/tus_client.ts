/**
 * Uploads by tus-js-client, as programs make them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { Upload, type UploadOptions } from "tus-js-client";

/** What came of an upload. */
export interface Uploaded {
  /** The URL of the upload. */
  readonly url: string;
  /** The header fields of the last response. */
  readonly last: { header(name: string): string | undefined };
  /** How often the client had to ask how far the upload had come. */
  readonly looks: number;
}

/** The pauses between attempts, in milliseconds: a server that was killed takes long to start on a busy machine. */
const PAUSES_MS: number[] = Array(1200).fill(100);

/** Uploads bytes, and goes on after interruptions. */
export function uploadByTus(
  source: Uint8Array | Readable,
  options: UploadOptions & { onBegun?: (upload: Upload) => void },
): Promise<Uploaded> {
  const { promise, resolve, reject } = Promise.withResolvers<Uploaded>();
  let looks = 0;
  const file = source instanceof Uint8Array
    ? Buffer.from(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength)
    : source;
  // deno-lint-ignore no-explicit-any -- its types know only what browsers have
  const upload = new Upload(file as any, {
    retryDelays: PAUSES_MS,
    ...options,
    onBeforeRequest(request) {
      if (request.getMethod() === "HEAD") looks++;
    },
    onSuccess: ({ lastResponse }) => {
      const header = (name: string) => lastResponse.getHeader(name);
      resolve({ url: upload.url!, last: { header }, looks });
    },
    onError: reject,
  });
  options.onBegun?.(upload);
  upload.start();
  return promise;
}
