/**
 * What the header of a request has to be like before anything is done.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { FerryError } from "../../../lib/core/errors.ts";
import { HttpFailure } from "./exchange/problem.ts";

/**
 * Makes `headersDistinct` what `node:http` says it is, for fields of any name. With Deno it fails for a field that is called
 * `constructor`, and lacks the fields behind that one afterwards.
 */
export function distinguishFields(request: IncomingMessage): void {
  const { rawHeaders } = request;
  const fields: Record<string, string[]> = Object.create(null);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    (fields[rawHeaders[at]!.toLowerCase()] ??= []).push(rawHeaders[at + 1]!);
  }
  Object.defineProperty(request, "headersDistinct", { value: fields });
}

/**
 * Refuses a request that another program on its way could understand in another way.
 *
 * @throws {FerryError} `bad_header`
 * @throws {HttpFailure} 501 for a body in a transfer coding other than chunks
 */
export function assertWellFormed({ headersDistinct, httpVersion }: IncomingMessage): void {
  const { host = [], "transfer-encoding": codings } = headersDistinct;
  if (host.length > 1 || host.length === 0 && httpVersion !== "1.0") {
    throw new FerryError("bad_header", "a request has to have one header field Host");
  }
  if (codings === undefined) return;
  if (httpVersion === "1.0") {
    throw new FerryError("bad_header", "HTTP/1.0 has no transfer codings");
  }
  if (codings.length !== 1 || codings[0]!.toLowerCase() !== "chunked") {
    const failure = new FerryError(
      "bad_header",
      "the only transfer coding that is taken is chunked",
    );
    throw new HttpFailure(501, failure);
  }
}
