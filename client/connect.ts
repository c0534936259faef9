/**
 * Reaching a server and agreeing on a version with it.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../lib/address.ts";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { RateLimit } from "./rate_limit.ts";
import { type Retry, retrying } from "./retry.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Milliseconds for reaching the server and being greeted; 10000 unless told otherwise. */
  connectTimeout?: number | undefined;
  /** Milliseconds after which a server that moves no byte is given up; 60000 unless told otherwise. */
  timeout?: number | undefined;
  /** Gives up connecting. */
  signal?: AbortSignal | undefined;
  /**
   * How often is repeated what failed for a reason that may pass, connecting included: the network, a server
   * that is being restarted, bytes that were damaged. 5 unless told otherwise. It counts anew when bytes have
   * moved.
   */
  retries?: number | undefined;
  /** How many bytes a second may cross, both directions together; any number unless told otherwise. */
  limitRate?: number | undefined;
  /** Told before each repetition. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/**
 * Connects to a server and agrees on a version with it.
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
 * @throws {FerryError} `usage` for the address; `unreachable`, `timeout`, `closed`; `bad_version`, and
 * `bad_header` where the other side is not a ferry server
 */
export async function connect(server: string, options: ConnectOptions = {}): Promise<Client> {
  const { limitRate } = options;
  return await connectWithin(
    limitRate === undefined ? undefined : new RateLimit(limitRate),
    server,
    options,
  );
}

/** Connects as {@linkcode connect} does, within a limit that several clients may share. */
export async function connectWithin(
  limit: RateLimit | undefined,
  server: string,
  options: Omit<ConnectOptions, "limitRate">,
): Promise<Client> {
  const address = parseAddress(server);
  const { connectTimeout = 10_000, timeout = 60_000, retries = 5, onRetry, signal } = options;
  const dial = (signal: AbortSignal | undefined) =>
    Connection.open(address, { connectTimeout, timeout, limit, signal });
  const action = `connect to ${formatAddress(address)}`;
  const policy = { retries, onRetry };
  const connection = await retrying({ action, run: () => dial(signal), signal }, policy);
  return new Client(connection, { dial, ...policy });
}
