/**
 * Addresses as people write them: `HOST:PORT`, `[::1]:PORT`.
 *
 * @module
 */

import { FerryError } from "./errors.ts";

/** The port of a server that was given none. */
export const DEFAULT_PORT = 9900;

/** A host and a port. */
export interface Address {
  /** A name or an IP address, without brackets. */
  hostname: string;
  /** 0 to 65535; to listen on 0 picks a free one. */
  port: number;
}

/**
 * Reads an address. Without a port it has `defaultPort`, or is none where that is null.
 *
 * @throws {FerryError} `usage`
 */
export function parseAddress(
  text: string,
  { defaultPort = DEFAULT_PORT }: { defaultPort?: number | null } = {},
): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? defaultPort ?? NaN);
  if (hostname === undefined || !(port <= 65535)) {
    throw new FerryError("usage", `${JSON.stringify(text)} is no address: write HOST:PORT`);
  }
  return { hostname, port };
}

/** An address as {@linkcode parseAddress} reads it. */
export function formatAddress({ hostname, port }: Address): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether only programs on this machine can reach an address. */
export function isLoopback({ hostname }: Address): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
