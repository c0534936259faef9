/**
 * Where a server listens, and who may reach it there.
 *
 * @module
 */

import { type Address, formatAddress, isLoopback, parseAddress } from "../lib/core/address.ts";
import { FerryError } from "../lib/core/errors.ts";
import { PLATFORM } from "../lib/core/platform.ts";
import type { Scope } from "../lib/core/scope.ts";
import type { TokenTable } from "./auth/token_table.ts";
import type { ListenAddress } from "./net/listener.ts";

/**
 * Parses an address to listen on.
 *
 * @param options.reusePort see {@linkcode ListenAddress.reusePort}
 * @param options.defaultPort the port of an address without one. Default: null, such an address is not valid
 * @throws {FerryError} `usage`
 */
export function listenAddress(
  text: string,
  { reusePort = false, defaultPort = null }: {
    reusePort?: boolean | undefined;
    defaultPort?: number | null;
  },
): ListenAddress {
  if (reusePort && !PLATFORM.spreadsConnections) {
    throw new FerryError("usage", "only Linux lets several processes listen on one address");
  }
  return { ...parseAddress(text, { defaultPort }), reusePort };
}

/**
 * Refuses an address that other machines can reach, unless it was specified what clients without a token may do. For a
 * listener without logins, that has to include its `scope`.
 *
 * @throws {FerryError} `usage`
 */
export function assertOpenedTo(
  address: Address,
  { anonymous, tokens, scope }: {
    anonymous: readonly Scope[] | undefined;
    tokens?: TokenTable | undefined;
    scope?: Scope;
  },
): void {
  if (isLoopback(address) || tokens) return;
  if (scope === undefined ? anonymous !== undefined : anonymous?.includes(scope)) return;
  const remedy = scope === undefined
    ? "say with --anonymous SCOPES what anybody may do, or give tokens with --token-file"
    : `--anonymous has to name ${scope} among what anybody may do`;
  throw new FerryError("usage", `others than this machine could connect: ${remedy}`, {
    action: `listen on ${formatAddress(address)}`,
  });
}
