/**
 * Connecting to a server and agreeing on a protocol version with it.
 *
 * @module
 */

import { formatAddress, parseServerAddress } from "../../lib/core/address.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import { assertNumbers, TIMEOUT } from "../../lib/core/number_options.ts";
import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";
import { parsePin } from "../../lib/security/certificate_pin.ts";
import { parseToken, type Token } from "../../lib/security/token.ts";
import { DEFAULT_LEVEL, MAX_LEVEL } from "../../lib/wire/pieces.ts";
import { Client } from "./client.ts";
import { Connection, type OpenOptions } from "../net/connection.ts";
import type { NamedReply } from "../net/named_reply.ts";
import { RateLimit } from "../net/rate_limit.ts";
import { type Retry, retrying } from "../net/retry.ts";
import { TlsClient } from "../net/tls.ts";

/** The servers that are trusted, for encrypted connections. */
export interface TlsOptions {
  /**
   * Certificates in PEM that are trusted in addition to Deno's own: of authorities, or of servers with a self-signed
   * certificate.
   */
  ca?: readonly string[] | undefined;
  /**
   * Fingerprints: `sha256:` and 64 hexadecimal digits. The server must have one of these certificates, whatever its
   * name is. Other certificates are refused, even those that an authority has signed.
   */
  pins?: readonly string[] | undefined;
}

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Encrypts the connection with TLS; `true` trusts the authorities that Deno trusts. */
  tls?: boolean | TlsOptions | undefined;
  /**
   * The token that `ferryd token new` printed. Both sides prove that they know it; it is never sent. A server that does
   * not ask for a token is refused.
   */
  token?: string | undefined;
  /** Milliseconds for connecting, TLS and authentication together. Default: 8000. */
  connectTimeout?: number | undefined;
  /**
   * Milliseconds without a byte or a keep-alive from the server after which the connection is closed.
   * Default: 60000.
   */
  timeout?: number | undefined;
  /** Aborts connecting. */
  signal?: AbortSignal | undefined;
  /**
   * How often a request, or connecting, is retried after a temporary failure: of the network, of a server that is being
   * restarted, of bytes that were damaged. The count starts again when bytes have been transferred. Default: 5.
   */
  retries?: number | undefined;
  /**
   * Compresses what crosses the line, in both directions, where the server does so: `true`, or the level from 1 to 19,
   * of which the server may choose a lower one. What does not shrink is sent as it is. Default: false.
   */
  compress?: boolean | number | undefined;
  /** The most bytes per second, both directions together. Default: no limit. */
  limitRate?: number | undefined;
  /** Called before each retry. */
  onRetry?: ((retry: Retry) => void) | undefined;
  /**
   * Called with each reply of a server that names requests: with the request id, under which the server's log has it.
   */
  onReply?: ((reply: NamedReply) => void) | undefined;
  /**
   * Memory, threads and the clock, which clients, servers and storages may share. Default: a runtime of its own.
   */
  runtime?: Runtime | undefined;
}

/**
 * Connects to a server and agrees on a protocol version with it.
 *
 * @param server `HOST:PORT`
 *
 * @example Uploading and downloading
 * ```ts
 * import { connect, FsStorage, serve } from "@ferry/ferry";
 *
 * const directory = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${directory}/notes.txt`, "hello\n");
 * await using storage = FsStorage.open(directory);
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 *
 * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
 * const { checksum } = await client.put(`${directory}/notes.txt`, { as: "backup/notes.txt" });
 * await client.get("backup/notes.txt", { out: `${directory}/restored.txt` });
 * console.log(checksum);
 * ```
 *
 * @throws {FerryError} `usage` for an invalid address, token, pin or number; `unreachable`, `timeout`, `closed`;
 * `auth_required` where the server requires a token; `denied` for a token that it does not accept, and for a server
 * that is not trusted; `bad_version`; `bad_header` where the other side is not a ferry server
 */
export async function connect(server: string, options: ConnectOptions = {}): Promise<Client> {
  const { limitRate, runtime = createRuntime() } = options;
  const { clock } = runtime;
  const limit = limitRate === undefined ? undefined : new RateLimit(limitRate, { clock });
  return await connectWithin(limit, server, { ...options, runtime });
}

/**
 * Connects as {@linkcode connect} does, within a limit that several clients may share.
 *
 * @param options also `mayBeNobody`, as of `GreetOptions`
 */
export async function connectWithin(
  limit: RateLimit | undefined,
  server: string,
  options: Omit<ConnectOptions, "limitRate"> & Pick<OpenOptions, "mayBeNobody">,
): Promise<Client> {
  const address = parseServerAddress(server);
  const { connectTimeout = 8000, timeout = 60_000, retries = 5, onRetry, signal } = options;
  const { runtime = createRuntime() } = options;
  const action = `connect to ${formatAddress(address)}`;
  let tls: TlsClient | undefined;
  let token: Token | undefined;
  let level: number | undefined;
  try {
    assertNumbers({ connectTimeout, timeout }, TIMEOUT);
    assertNumbers({ retries });
    level = levelOf(options.compress);
    tls = tlsClient(options.tls);
    token = options.token === undefined ? undefined : parseToken(options.token);
  } catch (error) {
    throw toFerryError(error).during(action);
  }
  const dial = (signal: AbortSignal | undefined) =>
    Connection.open(address, {
      connectTimeout,
      timeout,
      limit,
      tls,
      token,
      level,
      mayBeNobody: options.mayBeNobody,
      onReply: options.onReply,
      signal,
      runtime,
    });
  const policy = { retries, onRetry };
  const connection = await retrying({ action, run: () => dial(signal), signal }, policy);
  return new Client(connection, { dial, ...policy });
}

function levelOf(compress: boolean | number = false): number | undefined {
  if (compress === false) return undefined;
  const level = compress === true ? DEFAULT_LEVEL : compress;
  assertNumbers({ compress: level }, { least: 1, most: MAX_LEVEL });
  return level;
}

/**
 * Encrypts connections as the options say; undefined if they are not encrypted.
 *
 * @throws {FerryError} `usage` for a pin that is none
 */
export function tlsClient(options: boolean | TlsOptions | undefined): TlsClient | undefined {
  if (!options) return undefined;
  const { ca, pins } = options === true ? {} : options;
  return new TlsClient({ ca, pins: pins?.map(parsePin) });
}
