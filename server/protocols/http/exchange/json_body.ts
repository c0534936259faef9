/**
 * Bodies of requests that are small JSON values.
 *
 * @module
 */

import * as v from "valibot";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Exchange } from "./exchange.ts";
import { HttpFailure } from "./problem.ts";

/** The maximum size of such a body in bytes. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads the body of a request as JSON.
 *
 * @throws {FerryError} `bad_header` if it is not what the schema describes; `too_large`
 * @throws {HttpFailure} 415 if the request does not say that it is JSON
 */
export async function readJson<Schema extends v.GenericSchema>(
  exchange: Exchange,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  // A form of a foreign page can send any text, but not with this type.
  const type = exchange.header("content-type") ?? "";
  if (!/^application\/json *($|;)/i.test(type)) {
    const failure = new FerryError("usage", "the body has to be application/json");
    throw new HttpFailure(415, failure, { accept: "application/json" });
  }
  const result = v.safeParse(schema, parsed(await readText(exchange)));
  if (result.success) return result.output;
  const [{ message, path = [] }] = result.issues;
  const where = path.map(({ key }) => String(key)).join(".");
  throw new FerryError("bad_header", `the body is not as expected: ${where} ${message}`.trim());
}

async function readText({ body }: Exchange): Promise<Uint8Array> {
  const tooLarge = () => new FerryError("too_large", `the body has more than ${MAX_BYTES} bytes`);
  if (body.size !== null && body.size > MAX_BYTES) throw tooLarge();
  const into = new Uint8Array(body.size ?? MAX_BYTES + 1);
  let filled = 0;
  while (filled < into.length) {
    const count = await body.read(into.subarray(filled));
    if (count === 0) break;
    filled += count;
  }
  if (filled > MAX_BYTES) throw tooLarge();
  return into.subarray(0, filled);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FerryError("bad_header", "the body is no JSON", { cause });
  }
}
