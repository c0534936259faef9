/**
 * tus 1.0.0 (https://tus.io/protocols/resumable-upload): uploads that resume. A POST to `/.tus/`, or to `/.tus/DIR/`
 * for names in that directory, creates an upload; `/.tus/ID` is the upload.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";
import { UploadExpired, UploadInUse, WrongOffset } from "../../../files/addressed_upload.ts";
import type { Exchange, Handler } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { CHECKSUM_ALGORITHMS, WrongBytes } from "./checked_bytes.ts";
import { create } from "./create.ts";
import { VERSION } from "./fields.ts";
import { append, discard, show } from "./upload.ts";

const EXTENSIONS = [
  "creation",
  "creation-with-upload",
  "creation-defer-length",
  "expiration",
  "checksum",
  "termination",
  "concatenation",
];

/** Answers a request to `/.tus/` or below it. */
export const tus: Handler = async (exchange) => {
  const { response, target } = exchange;
  const method = methodOf(exchange);
  if (method === "OPTIONS") return announce(exchange);
  // Set here, so that errors have it as well.
  response.setHeader("tus-resumable", VERSION);
  if (exchange.header("tus-resumable") !== VERSION) {
    const failure = new FerryError(
      "bad_version",
      `the header field Tus-Resumable is not ${VERSION}`,
    );
    throw new HttpFailure(412, failure, { "tus-version": VERSION });
  }
  const [, id = "", ...more] = target.path.split("/");
  const answer = target.isDirectory || id === ""
    ? { POST: create }[method]
    : more.length > 0
    ? undefined
    : { HEAD: show, PATCH: append, DELETE: discard }[method];
  if (!answer) {
    const isUpload = !target.isDirectory && id !== "";
    const failure = new FerryError("usage", `the method ${method} is not for what is there`);
    throw new HttpFailure(405, failure, {
      allow: isUpload ? "DELETE, HEAD, OPTIONS, PATCH" : "OPTIONS, POST",
    });
  }
  try {
    await answer(exchange, id);
  } catch (error) {
    throw withStatus(error);
  }
};

/** The method. Clients that cannot send every one name it in a field of a POST. */
function methodOf(exchange: Exchange): string {
  const { method } = exchange;
  if (method !== "POST") return method;
  return exchange.header("x-http-method-override")?.toUpperCase() ?? method;
}

/** Tells what the server can do. */
function announce(exchange: Exchange): void {
  exchange.send(204, {
    "tus-version": VERSION,
    "tus-extension": EXTENSIONS.join(","),
    "tus-checksum-algorithm": CHECKSUM_ALGORITHMS.join(","),
  });
}

/** The error with the status that tus has for it. */
function withStatus(error: unknown): unknown {
  if (error instanceof WrongOffset) {
    return new HttpFailure(409, error, { "upload-offset": String(error.offset) });
  }
  if (error instanceof UploadInUse) return new HttpFailure(423, error);
  if (error instanceof UploadExpired) return new HttpFailure(410, error);
  if (error instanceof WrongBytes) return new HttpFailure(460, error);
  return error;
}
