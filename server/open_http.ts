/**
 * The listener for HTTP of a server, and its options.
 *
 * @module
 */

import { assertAscii, formatAddress } from "../lib/core/address.ts";
import { FerryError, quote } from "../lib/core/errors.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import type { Authority } from "./auth/authority.ts";
import { keepExpiring } from "./files/upload_expiry.ts";
import type { UploadLocks } from "./files/upload_locks.ts";
import type { ConnectionLimits } from "./net/connection_limits.ts";
import type { ListenAddress } from "./net/listener.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import { logFailure } from "./observe/failures.ts";
import type { Traffic } from "./observe/traffic.ts";
import type { HttpListener } from "./protocols/http/http.ts";
import { recordsOf } from "./records_of_storage.ts";
import type { SharedLinks } from "./shares/shares.ts";
import type { Storage } from "./storage/storage.ts";

/** The default of {@linkcode HttpServeOptions.partialTtl}. */
const PARTIAL_TTL_MS = 7 * 24 * 60 * 60 * 1000;

/** Options of a server about HTTP. */
export interface HttpServeOptions {
  /**
   * `HOST:PORT` of a listener for HTTP, or for HTTPS if `tls` is given, with the same rule as `listen`. Default: none.
   */
  http?: string | undefined;
  /**
   * The names by which clients know that listener, such as `files.example.org`. Where something is granted to anybody
   * and connections are not encrypted, requests are refused that call it by another name than one of these, `localhost`,
   * or an address. Default: the hosts of `http` and `httpUrl`, which are always among them.
   */
  httpHosts?: readonly string[] | undefined;
  /**
   * The origins of web pages elsewhere whose scripts may make requests over HTTP, such as `https://app.example.org`.
   * Default: none.
   */
  httpOrigins?: readonly string[] | undefined;
  /**
   * The URL by which clients know that listener, if they reach it by way of a proxy: `https://files.example.org`. Share
   * links begin with it; with `https`, the cookies of sessions are for encrypted connections alone. Default: none; that of the request that makes a link, or else of the listener.
   */
  httpUrl?: string | undefined;
  /** How long uploads over HTTP that were cut are announced to be kept, in milliseconds. Default: 604800000, 7 days. */
  partialTtl?: number | undefined;
}

/** Options of {@linkcode openHttp} that are not about HTTP alone. */
interface CommonOptions extends HttpServeOptions {
  storage: Storage;
  tls?: KeyPair | undefined;
  handshakeTimeout?: number | undefined;
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
 * Checks that nothing is said of a listener for HTTP where there is none: whoever says it expects one.
 *
 * @throws {FerryError} `usage`
 */
export function assertNothingOfHttp({ httpHosts, httpOrigins, httpUrl }: HttpServeOptions): void {
  if (httpUrl === undefined && !httpHosts?.length && !httpOrigins?.length) return;
  const reason = "its URL, its names and the origins that may use it are given";
  throw new FerryError("usage", `--http has to say where to listen for HTTP: ${reason}`);
}

/**
 * Listens for HTTP.
 *
 * @throws {FerryError} `usage` for a name or an origin that is none, and a certificate that is not valid; `io`, `denied`,
 * `unreachable` if the address cannot be listened on
 */
export async function openHttp(
  address: ListenAddress,
  options: CommonOptions,
  { runtime, locks, authority, limits, traffic, idleTimeout, minRate }: Shared,
): Promise<OpenedHttp> {
  const { storage, tls, httpHosts = [], httpOrigins = [], handshakeTimeout = 10_000 } = options;
  const origins = httpOrigins.map(parseOrigin);
  const url = options.httpUrl === undefined ? undefined : parseUrl(options.httpUrl);
  const names = [address.hostname, ...url ? [url.hostname] : [], ...httpHosts];
  const hosts = new Set(names.map(parseHost));
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
    partialTtl: options.partialTtl ?? PARTIAL_TTL_MS,
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
    { storage, records, locks, ttl: service.partialTtl, clock: runtime.clock },
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

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url;
  throw new FerryError(
    "usage",
    `${quote(text)} is no URL of this server: one looks like https://files.example.org`,
  );
}

function parseOrigin(text: string): string {
  const url = URL.parse(text);
  const isOrigin = url !== null && url.origin !== "null" && url.href === `${url.origin}/`;
  if (isOrigin) return url.origin;
  throw new FerryError(
    "usage",
    `${quote(text)} is no origin of web pages: one looks like https://app.example.org`,
  );
}

function parseHost(text: string): string {
  assertAscii(text);
  if (/^[\w.:[\]-]+$/.test(text)) return text.toLowerCase().replace(/\.$/, "");
  throw new FerryError("usage", `${quote(text)} is no name of a host`);
}
