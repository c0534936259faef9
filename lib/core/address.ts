/**
 * Addresses as people write them: `HOST:PORT`, `[::1]:PORT`.
 *
 * IP addresses are checked by the runtime's URL parser. A library for that, such as ipaddr.js 2.5.0 with 14 KB
 * minified, would replace only that one call.
 *
 * @module
 */

import { FerryError, quote } from "./errors.ts";

/** The default port of a server. */
export const DEFAULT_PORT = 9900;

/** A host and a port. */
export interface Address {
  /** A host name or an IP address, without brackets. */
  hostname: string;
  /** The port, 0 to 65535. Listening on 0 picks a free port. */
  port: number;
}

/**
 * Parses an address. Without a port it gets `defaultPort`, or is not valid if that is null. A port alone means that
 * port on the loopback interface of this machine.
 *
 * @throws {FerryError} `usage`
 */
export function parseAddress(
  text: string,
  { defaultPort = DEFAULT_PORT }: { defaultPort?: number | null } = {},
): Address {
  if (/^\d+$/.test(text)) {
    if (Number(text) > 65535) throw noAddress(text);
    return { hostname: "127.0.0.1", port: Number(text) };
  }
  const [, inBrackets, name, digits] =
    /^(?:\[([^[\]]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const hostname = inBrackets ?? name;
  const port = Number(digits ?? defaultPort ?? NaN);
  if (hostname === undefined || !(port <= 65535)) {
    throw noAddress(text);
  }
  const isHost = inBrackets === undefined ? NAME.test(hostname) : isIpv6(inBrackets);
  if (isHost) return { hostname, port };
  assertAscii(hostname);
  throw noAddress(text);
}

/**
 * Refuses a host name that is not in ASCII. The message says how it is written in ASCII.
 *
 * @throws {FerryError} `usage`
 */
export function assertAscii(hostname: string): void {
  const ascii = inAscii(hostname);
  if (ascii === hostname) return;
  const instead = ascii === undefined ? "" : `: write ${quote(ascii)}`;
  throw new FerryError("usage", `the host ${quote(hostname)} is not in ASCII${instead}`);
}

function noAddress(text: string): FerryError {
  return new FerryError("usage", `${quote(text)} is no address: write HOST:PORT`);
}

/** The syntax of a host name or an IPv4 address. */
const NAME = /^[\w-]+(?:\.[\w-]+)*\.?$/;

/** Whether a string is an IPv6 address, optionally with a zone id (RFC 4007). */
function isIpv6(text: string): boolean {
  const [, address] = /^([0-9a-f:.]*)(?:%[\w.-]+)?$/i.exec(text) ?? [];
  return address !== undefined && URL.canParse(`http://[${address}]`);
}

/**
 * Parses the address of a server to connect to: like {@linkcode parseAddress}, but refuses the port 0, to which nothing
 * can connect.
 *
 * @throws {FerryError} `usage`
 */
export function parseServerAddress(
  text: string,
  options: { defaultPort?: number | null } = {},
): Address {
  const address = parseAddress(text, options);
  if (address.port !== 0) return address;
  throw new FerryError("usage", `${quote(text)} has the port 0, at which nothing can be reached`);
}

/** A host name in its ASCII form for the DNS (RFC 5891); undefined if it has none. */
function inAscii(hostname: string): string | undefined {
  if (/^\p{ASCII}*$/u.test(hostname)) return hostname;
  return URL.canParse(`http://${hostname}`) ? new URL(`http://${hostname}`).hostname : undefined;
}

/** Formats an address so that {@linkcode parseAddress} can read it. */
export function formatAddress({ hostname, port }: Address): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether only programs on this machine can reach an address. */
export function isLoopback({ hostname }: Address): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Where a server listens. */
export interface Listening extends Address {
  /** The kind of listener. */
  kind: ListenerKind;
}

/** The kinds of listeners that there are. */
export type ListenerKind =
  | "tcp"
  | "tls"
  | "http"
  | "https"
  | "classic-exec"
  | "tcp-echo"
  | "udp-echo"
  | "metrics";
