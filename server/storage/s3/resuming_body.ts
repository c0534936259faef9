/**
 * The content of an object, which is asked for again where an answer breaks off.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import type { Retrying } from "./s3_requests.ts";
import type { TimedBody } from "./timed_body.ts";

/** Options of {@linkcode resumingBody}. */
export interface ResumingBodyOptions {
  /** The first answer. */
  body: TimedBody;
  /** How many bytes are wanted. */
  count: number;
  /** Starts to count retries, anew after each progress. */
  retrying: () => Retrying;
  /** Asks for the rest of the same object, from that many bytes after the first one. */
  reopen: (after: number) => Promise<TimedBody>;
}

/** A stream of `count` bytes. It fails if they cannot be had. */
export function resumingBody(
  { body, count, retrying, reopen }: ResumingBodyOptions,
): ReadableStream<Uint8Array> {
  let current: TimedBody | undefined = body;
  let received = 0;
  let retries = retrying();

  async function next(): Promise<Uint8Array | undefined> {
    for (;;) {
      try {
        current ??= await reopen(received);
        const bytes = await current.read();
        if (bytes === undefined) throw endedEarly();
        if (bytes.length === 0) continue;
        retries = retrying();
        return bytes;
      } catch (error) {
        await current?.cancel();
        current = undefined;
        await retries.wait(error);
      }
    }
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (received < count) {
        const bytes = await next();
        received += bytes!.length;
        // A store that sends more than it was asked for is cut off.
        const over = received - count;
        controller.enqueue(over > 0 ? bytes!.subarray(0, bytes!.length - over) : bytes!);
      }
      if (received < count) return;
      controller.close();
      await current?.cancel();
    },
    async cancel() {
      await current?.cancel();
    },
  }, { highWaterMark: 0 });
}

function endedEarly(): FerryError {
  return new FerryError("unreachable", "the object store ended an answer too early");
}
