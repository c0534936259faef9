/**
 * Connecting to a server: TCP, and TLS over it where that is asked for, within one deadline.
 *
 * @module
 */

import type { Address } from "../../lib/core/address.ts";
import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { TlsClient } from "./tls.ts";

/** Options of {@linkcode dial}. */
export interface DialOptions {
  /** Milliseconds for all of it. */
  timeout: number;
  /** Encrypts the connection. Default: it is not encrypted. */
  tls?: TlsClient | undefined;
  /** Aborts connecting. */
  signal?: AbortSignal | undefined;
}

/**
 * Connects to a server.
 *
 * @throws {FerryError} `timeout`; `denied` for a server that is not trusted, `bad_header` for one that does not
 * speak TLS; what the runtime throws
 */
export function dial(
  address: Address,
  options: Omit<DialOptions, "tls">,
): Promise<Deno.TcpConn>;
export function dial(
  address: Address,
  options: DialOptions,
): Promise<Deno.TcpConn | Deno.TlsConn>;
export async function dial(
  address: Address,
  { timeout, tls, signal }: DialOptions,
): Promise<Deno.TcpConn | Deno.TlsConn> {
  signal?.throwIfAborted();
  const giveUp = new AbortController();
  const late = new FerryError("timeout", `no answer for ${timeout / 1000} s`);
  const timer = setTimeout(() => giveUp.abort(late), timeout);
  const abort = () => giveUp.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const gaveUp = Promise.withResolvers<never>();
  giveUp.signal.addEventListener("abort", () => gaveUp.reject(giveUp.signal.reason));
  const reaching = reach(address, tls, giveUp.signal);
  try {
    return await Promise.race([reaching, gaveUp.promise]);
  } catch (error) {
    // The connection may still be made later: it is closed then, unless what gave it up has done that.
    reaching.then(closeQuietly, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function reach(
  address: Address,
  tls: TlsClient | undefined,
  signal: AbortSignal,
): Promise<Deno.TcpConn | Deno.TlsConn> {
  const pinned = await tls?.prepare(address, signal);
  signal.throwIfAborted();
  const conn = await Deno.connect(address);
  // This comes before TLS, since a TLS connection in Deno has no such option.
  conn.setNoDelay(true);
  return tls ? await tls.secure(conn, address, { pinned, signal }) : conn;
}
