/**
 * The names of requests by which a server logs them.
 *
 * @module
 */

import type { Wire } from "../../lib/wire/frames.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";

/** A reply of a server, with the name by which the log of the server has its request. */
export interface NamedReply {
  /** The request id: the id of the connection and the number of the request on it. */
  readonly request: string;
  /** `ok`, or the code of the error. */
  readonly status: string;
  /** The name on the server that the reply is about; undefined if it says none. */
  readonly filename: string | undefined;
}

/**
 * Calls a function with each reply that comes from now on. Does nothing for a server that gives its connections no ids.
 *
 * @param wire the connection, on which the last reply was that to `hello` or to a login
 */
export function tellReplies(
  wire: Wire,
  { session }: HelloReply,
  onReply: (reply: NamedReply) => void,
): void {
  if (session === undefined) return;
  wire.onMessage = ({ status, code, filename }) =>
    onReply({
      request: `${session}.${wire.messagesRead}`,
      status: String(status === "error" ? code : status),
      filename: typeof filename === "string" ? filename : undefined,
    });
}
