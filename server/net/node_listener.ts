/**
 * What listeners of `node:net` have in common.
 *
 * @module
 */

import type { Server } from "node:net";
import { formatAddress, type ListenerKind, type Listening } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { guarded, logFailure } from "../observe/failures.ts";
import type { ListenAddress } from "./listener.ts";

/** The maximum number of connections that wait in the system to be accepted. */
const BACKLOG = 511;

/** The internal handle of a listener, which has no public type in Node. */
interface ListenHandle {
  listen(backlog: number): number;
}

/** The interval at which the listener is told to listen again, in milliseconds. */
const LISTEN_AGAIN_MS = 1000;

/**
 * Makes a server listen.
 *
 * @param onError called when it cannot accept a connection. Default: logs that.
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export async function listenNode(
  server: Server,
  { hostname, port, reusePort }: ListenAddress,
  kind: ListenerKind,
  onError: (error: Error) => void = (error) => {
    logFailure("Cannot accept a connection on {kind}: {reason} ({code})", error, {
      properties: { kind },
      level: "warn",
    });
  },
): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port, host: hostname, reusePort, backlog: BACKLOG }, resolve);
  try {
    await promise;
  } catch (error) {
    throw toFerryError(error).during(`listen on ${formatAddress({ hostname, port })}`);
  }
  server.on("error", onError);
  const bound = server.address() as { address: string; port: number };
  return { kind, hostname: bound.address, port: bound.port };
}

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
