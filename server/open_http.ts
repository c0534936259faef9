/**
 * The listener for HTTP of a server, and its options.
 *
 * @module
 */

import { formatAddress } from "../lib/core/address.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import type { Authority } from "./auth/authority.ts";
import type { HttpTerms } from "./configuration/listening.ts";
import type { ServerSettings } from "./configuration/settings.ts";
import { keepExpiring } from "./files/upload_expiry.ts";
import type { UploadLocks } from "./files/upload_locks.ts";
import type { ConnectionLimits } from "./net/connection_limits.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import { logFailure } from "./observe/failures.ts";
import type { Traffic } from "./observe/traffic.ts";
import type { HttpListener } from "./protocols/http/http.ts";
import { recordsOf } from "./records_of_storage.ts";
import type { SharedLinks } from "./shares/shares.ts";
import type { Storage } from "./storage/storage.ts";

/** The default of {@linkcode ServerSettings.partialTtl}. */
const PARTIAL_TTL_MS = 7 * 24 * 60 * 60 * 1000;

/** The options of {@linkcode openHttp}. */
interface HttpOptions extends Pick<ServerSettings, "partialTtl" | "handshakeTimeout"> {
  storage: Storage;
  tls?: KeyPair | undefined;
}

/** What all listeners share. */
interface Shared {
  runtime: Runtime;
  locks: UploadLocks;
  authority: Authority;
  limits: ConnectionLimits;
  traffic: Traffic;
  idleTimeout: number;
  minRate: number;
}

/** What is open for HTTP. */
export interface OpenedHttp {
  readonly listener: HttpListener;
  /** The share links, which lead to it. */
  readonly links: SharedLinks;
}

/**
 * Listens for HTTP.
 *
 * @throws {FerryError} `usage` for a certificate that is not valid; `io`, `denied`,
 * `unreachable` if the address cannot be listened on
 */
export async function openHttp(
  { address, origins, hosts, url }: HttpTerms,
  { storage, tls, handshakeTimeout = 10_000, partialTtl = PARTIAL_TTL_MS }: HttpOptions,
  { runtime, locks, authority, limits, traffic, idleTimeout, minRate }: Shared,
): Promise<OpenedHttp> {
  const records = recordsOf(storage, runtime, "Each login over HTTP and share link");
  // Loaded on demand, since it takes time and few servers need it.
  const { listenHttp } = await import("./protocols/http/http.ts");
  const { Shares } = await import("./shares/shares.ts");
  const shares = new Shares({ records, storage, authority });
  const service = {
    runtime,
    storage,
    records,
    shares,
    locks,
    authority,
    traffic,
    origins,
    hosts,
    url,
    secure: tls !== undefined,
    partialTtl,
  };
  const listener = await listenHttp(address, {
    service,
    tls,
    limits,
    handshakeTimeout,
    idleTimeout,
    minRate,
  });
  const expiring = keepExpiring(
    { storage, records, locks, ttl: partialTtl, clock: runtime.clock },
    (error) => logFailure("Cannot remove old uploads: {reason} ({code})", error),
  );
  const close = (drainTimeout: number) => {
    expiring[Symbol.dispose]();
    return listener.close(drainTimeout);
  };
  const urlOf = (path: string, local: string) => {
    const { kind, hostname, port } = listener.listening;
    const reached = formatAddress({ hostname: isWildcard(hostname) ? local : hostname, port });
    return new URL(path, url ?? `${kind}://${reached}/`).href;
  };
  return { listener: { ...listener, close }, links: { shares, urlOf } };
}

/** Whether a listener takes connections to every address of its machine. */
function isWildcard(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}
