/**
 * What listeners of `node:net` have in common.
 *
 * @module
 */

import type { Server } from "node:net";
import { FerryError } from "../../lib/core/errors.ts";
import { guarded } from "../observe/failures.ts";

/** The maximum number of connections that wait in the system to be accepted. */
export const BACKLOG = 511;

/** The internal handle of a listener, which has no public type in Node. */
interface ListenHandle {
  listen(backlog: number): number;
}

/** The interval at which the listener is told to listen again, in milliseconds. */
const LISTEN_AGAIN_MS = 1000;

/**
 * Keeps a listener accepting until the returned value is disposed of. After running out of file descriptors, a listener
 * of Deno's `node:net` never accepts anything again, and reports no error. Listening again with the same handle helps,
 * and does no harm otherwise.
 */
export function keepListening(server: Server): Disposable {
  const { _handle: handle } = server as Server & { _handle?: ListenHandle };
  if (!handle?.listen) {
    throw new FerryError("internal", "the runtime's listener cannot listen again");
  }
  const timer = setInterval(() => {
    guarded("listen again", () => handle.listen(BACKLOG));
  }, LISTEN_AGAIN_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
