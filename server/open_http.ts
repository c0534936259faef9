/**
 * The listener for HTTP of a server, and its options.
 *
 * @module
 */

import { type Address, assertAscii } from "../lib/core/address.ts";
import { FerryError, quote } from "../lib/core/errors.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import type { Authority } from "./auth/authority.ts";
import type { UploadLocks } from "./files/upload_locks.ts";
import type { ConnectionLimits } from "./net/connection_limits.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import type { Hooks } from "./observe/hooks.ts";
import type { HttpListener } from "./protocols/http/http.ts";
import { recordsOf } from "./records_of_storage.ts";
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
   * or an address. Default: the host of `http`.
   */
  httpHosts?: readonly string[] | undefined;
  /**
   * The origins of web pages elsewhere whose scripts may make requests over HTTP, such as `https://app.example.org`.
   * Default: none.
   */
  httpOrigins?: readonly string[] | undefined;
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
  hooks: Hooks;
  idleTimeout: number;
  minRate: number;
}

/**
 * Listens for HTTP.
 *
 * @throws {FerryError} `usage` for a name or an origin that is none, and a certificate that is not valid; `io`, `denied`,
 * `unreachable` if the address cannot be listened on
 */
export async function openHttp(
  address: Address,
  options: CommonOptions,
  { runtime, locks, authority, limits, hooks, idleTimeout, minRate }: Shared,
): Promise<HttpListener> {
  const { storage, tls, httpHosts = [], httpOrigins = [], handshakeTimeout = 10_000 } = options;
  const origins = httpOrigins.map(parseOrigin);
  const hosts = new Set([address.hostname, ...httpHosts].map(parseHost));
  // Loaded on demand, since it takes time and few servers need it.
  const { listenHttp } = await import("./protocols/http/http.ts");
  const service = {
    runtime,
    storage,
    records: recordsOf(storage, runtime),
    locks,
    authority,
    hooks,
    origins,
    hosts,
    url: undefined,
    secure: tls !== undefined,
    partialTtl: options.partialTtl ?? PARTIAL_TTL_MS,
  };
  return await listenHttp(address, {
    service,
    tls,
    limits,
    handshakeTimeout,
    idleTimeout,
    minRate,
  });
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
  if (/^[\w.:-]+$/.test(text)) return text.toLowerCase().replace(/\.$/, "");
  throw new FerryError("usage", `${quote(text)} is no name of a host`);
}
