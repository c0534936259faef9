/**
 * Sends content that is not at hand as a whole.
 *
 * @module
 */

import type { ByteSource } from "../../../../lib/core/bytes.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Permit } from "../../../auth/permit.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** Responds with the bytes of a source. */
export async function stream(
  exchange: Exchange,
  status: number,
  fields: Readonly<Record<string, string | number>>,
  content: ByteSource | AsyncIterable<Uint8Array>,
  { size, permit }: { size?: number; permit?: Permit } = {},
): Promise<void> {
  const { response } = exchange;
  const length = size === undefined ? {} : { "content-length": size };
  if (exchange.method === "HEAD") {
    return void response.writeHead(status, { ...length, ...fields }).end();
  }
  using _watch = permit?.onEnd(() => exchange.abort());
  let sent = 0;
  for await (const chunk of "read" in content ? chunksOf(content) : content) {
    if (sent === 0) response.writeHead(status, { ...length, ...fields });
    sent += chunk.length;
    if (size !== undefined && sent === size && "read" in content) await content.assertUnchanged?.();
    if (!response.write(chunk.slice())) {
      const ready = Promise.withResolvers<void>();
      response.once("drain", ready.resolve);
      response.once("close", ready.resolve);
      await ready.promise;
      if (response.destroyed) throw new FerryError("closed", "the connection was closed");
    }
  }
  if (sent === 0) response.writeHead(status, { ...length, ...fields });
  if (size !== undefined && sent !== size) return exchange.abort();
  response.end();
}

async function* chunksOf(source: ByteSource): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(256 * 1024);
  for (let count; (count = await source.read(buffer)) !== null;) yield buffer.subarray(0, count);
}
