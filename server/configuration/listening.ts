/**
 * Where a server listens, and who may reach it there.
 *
 * @module
 */

import {
  type Address,
  assertAscii,
  DEFAULT_PORT,
  formatAddress,
  isLoopback,
  parseAddress,
} from "../../lib/core/address.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { assertNumbers, TIMEOUT } from "../../lib/core/number_options.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import type { Scope } from "../../lib/core/scope.ts";
import type { ListenAddress } from "../net/listener.ts";
import type { HttpServeOptions, ServerSettings } from "./settings.ts";

/** Where a server listens for HTTP, and by which names it is known there. */
export interface HttpTerms {
  readonly address: ListenAddress;
  /** The origins of pages elsewhere whose scripts may make requests. */
  readonly origins: readonly string[];
  /** The hosts that requests may name. */
  readonly hosts: ReadonlySet<string>;
  /** The address by which clients reach it, if a proxy is in front. */
  readonly url: URL | undefined;
}

/** What can be wrong with settings, each found without the others: functions that throw `usage`. */
export const SETTINGS_CHECKS: readonly ((settings: ServerSettings) => unknown)[] = [
  assertLimits,
  ferryAddress,
  httpTerms,
  lineExecAddress,
  tcpEchoAddress,
  udpEchoAddress,
  metricsAddress,
  assertApart,
];

/**
 * Checks the settings of a server, before it listens anywhere.
 *
 * @throws {FerryError} `usage`
 */
export function assertSettings(settings: ServerSettings): void {
  for (const check of SETTINGS_CHECKS) check(settings);
}

function assertLimits(settings: ServerSettings): void {
  const { idleTimeout, handshakeTimeout } = settings;
  assertNumbers({ idleTimeout, handshakeTimeout }, TIMEOUT);
  const { maxConnections, maxConnectionsPerSource, maxCompressed, minRate, echoRate } = settings;
  assertNumbers({ maxConnections, maxConnectionsPerSource, maxCompressed, minRate, echoRate });
}

/**
 * Where to listen for the protocol of ferry.
 *
 * @throws {FerryError} `usage`
 */
export function ferryAddress(settings: ServerSettings): ListenAddress {
  const { listen = "127.0.0.1", reusePort } = settings;
  const address = listenAddress(listen, { reusePort, defaultPort: DEFAULT_PORT });
  assertOpenedTo(address, settings);
  return address;
}

/**
 * How to listen for HTTP; undefined if it is not listened for.
 *
 * @throws {FerryError} `usage`
 */
export function httpTerms(settings: ServerSettings): HttpTerms | undefined {
  const { http, httpHosts = [], httpOrigins = [], httpUrl } = settings;
  if (http === undefined) return void assertNothingOfHttp(settings);
  const address = listenAddress(http, settings);
  assertOpenedTo(address, settings);
  const origins = httpOrigins.map(parseOrigin);
  const url = httpUrl === undefined ? undefined : parseUrl(httpUrl);
  const names = [address.hostname, ...url ? [url.hostname] : [], ...httpHosts];
  return { address, origins, hosts: new Set(names.map(parseHost)), url };
}

/**
 * Where to listen for classic exec; undefined if it is not listened for.
 *
 * @throws {FerryError} `usage`
 */
export function lineExecAddress(settings: ServerSettings): ListenAddress | undefined {
  const { classicExec, exec } = settings;
  if (classicExec === undefined) return undefined;
  const address = listenAddress(classicExec, settings);
  assertOpenedTo(address, { ...settings, tokens: undefined }, "exec");
  if (exec?.shell) return address;
  throw new FerryError("usage", "the lines go to the shell, and that takes --allow-shell", {
    action: `listen for classic exec on ${formatAddress(address)}`,
  });
}

/**
 * Where to echo over TCP; undefined if that is not asked for.
 *
 * @throws {FerryError} `usage`
 */
export function tcpEchoAddress(settings: ServerSettings): ListenAddress | undefined {
  return settings.tcpEcho === undefined
    ? undefined
    : openEcho(listenAddress(settings.tcpEcho, settings), settings);
}

/**
 * Where to echo over UDP; undefined if that is not asked for.
 *
 * @throws {FerryError} `usage`
 */
export function udpEchoAddress(settings: ServerSettings): Address | undefined {
  return settings.udpEcho === undefined
    ? undefined
    : openEcho(parseAddress(settings.udpEcho, { defaultPort: null }), settings);
}

/**
 * Where to answer monitoring systems; undefined if that is not asked for. It is no address that several processes share:
 * each has metrics of its own.
 *
 * @throws {FerryError} `usage`
 */
export function metricsAddress({ metrics }: ServerSettings): Address | undefined {
  return metrics === undefined ? undefined : parseAddress(metrics, { defaultPort: null });
}

function openEcho<At extends Address>(address: At, settings: ServerSettings): At {
  assertOpenedTo(address, { ...settings, tokens: undefined }, "echo");
  return address;
}

/** Refuses one address for several listeners over TCP. */
function assertApart(
  { listen = "127.0.0.1", http, classicExec, tcpEcho, metrics }: ServerSettings,
): void {
  const given = { listen, http, "classic-exec": classicExec, "tcp-echo": tcpEcho, metrics };
  const taken = new Map<string, string>();
  for (const [option, text] of Object.entries(given)) {
    if (text === undefined) continue;
    const defaultPort = option === "listen" ? DEFAULT_PORT : null;
    const address = parseAddress(text, { defaultPort });
    if (address.port === 0) continue;
    const key = formatAddress(address);
    const other = taken.get(key);
    if (other !== undefined) {
      throw new FerryError(
        "usage",
        `--${other} and --${option} are both ${key}: each needs its own`,
      );
    }
    taken.set(key, option);
  }
}

/**
 * Parses an address to listen on.
 *
 * @param options.reusePort see {@linkcode ListenAddress.reusePort}
 * @param options.defaultPort the port of an address without one. Default: null, such an address is not valid
 * @throws {FerryError} `usage`
 */
function listenAddress(
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
function assertOpenedTo(
  address: Address,
  { anonymous, tokens }: Pick<ServerSettings, "anonymous" | "tokens">,
  scope?: Scope,
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

/**
 * Checks that nothing is said of a listener for HTTP where there is none: whoever says it expects one.
 *
 * @throws {FerryError} `usage`
 */
function assertNothingOfHttp({ httpHosts, httpOrigins, httpUrl }: HttpServeOptions): void {
  if (httpUrl === undefined && !httpHosts?.length && !httpOrigins?.length) return;
  const reason = "its URL, its names and the origins that may use it are given";
  throw new FerryError("usage", `--http has to say where to listen for HTTP: ${reason}`);
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
