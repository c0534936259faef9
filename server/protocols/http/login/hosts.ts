/**
 * The names that the server is known by. A web page elsewhere can have its own name lead to the address of this server
 * (DNS rebinding), and then is of the same origin for a browser: all that tells is the `Host` that the browser sends.
 *
 * @module
 */

import { isIP } from "node:net";
import { FerryError, quote } from "../../../../lib/core/errors.ts";
import { HttpFailure } from "../exchange/problem.ts";

/**
 * Refuses a name that a foreign page may have given to the server. Addresses and `localhost` are no such names.
 *
 * @param host the `Host` of the request; undefined if it has none, as no request of a browser
 * @param names the names that the server is known by, in lower case
 * @throws {HttpFailure} 421
 */
export function assertKnownHost(host: string | undefined, names: ReadonlySet<string>): void {
  if (host === undefined) return;
  const name = nameIn(host);
  if (name !== undefined && (names.has(name) || isOwn(name))) return;
  const failure = new FerryError(
    "denied",
    `the server is not known as ${quote(name ?? host)}: ferryd --http-host says how it is called`,
  );
  throw new HttpFailure(421, failure);
}

function isOwn(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || isIP(name) !== 0;
}

/** The name or address in a `Host`, in lower case, without a port, brackets, and the dot at the end. */
function nameIn(host: string): string | undefined {
  const [, inBrackets, name] = /^(?:\[([^[\]]+)\]|([^\s:[\]]+))(?::\d*)?$/.exec(host) ?? [];
  return (inBrackets ?? name)?.toLowerCase().replace(/\.$/, "");
}
