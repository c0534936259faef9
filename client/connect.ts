/**
 * Reaching a server and agreeing on a version with it.
 *
 * @module
 */

import { type Address, formatAddress, parseAddress } from "../lib/address.ts";
import { FerryError, toFerryError } from "../lib/errors.ts";
import { type HelloReply, parseReply, PROTOCOL_VERSION } from "../lib/header.ts";
import { Wire } from "../lib/wire.ts";
import { Client, closeOnAbort } from "./client.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions {
  /** Milliseconds for reaching the server and being greeted; 10000 unless told otherwise. */
  connectTimeout?: number | undefined;
  /** Milliseconds after which a server that moves no byte is given up; 60000 unless told otherwise. */
  timeout?: number | undefined;
  /** Gives up connecting. */
  signal?: AbortSignal | undefined;
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
 * const { md5 } = await client.put(`${directory}/notes.txt`, { as: "backup/notes.txt" });
 * await client.get("backup/notes.txt", { out: `${directory}/restored.txt` });
 * console.log(md5);
 * ```
 *
 * @throws {FerryError} `usage` for the address; `unreachable`, `timeout`, `closed`; `bad_version`, and
 * `bad_header` where the other side is not a ferry server
 */
export async function connect(server: string, options: ConnectOptions = {}): Promise<Client> {
  const address = parseAddress(server);
  const { connectTimeout = 10_000, timeout = 60_000, signal } = options;
  const action = `connect to ${formatAddress(address)}`;
  let greeted = false;
  const started = performance.now();
  try {
    const conn = await dial(address, connectTimeout, signal);
    conn.setNoDelay(true);
    const left = () => Math.max(1, connectTimeout - (performance.now() - started));
    const wire = new Wire(conn, { idleTimeout: () => greeted ? timeout : left() });
    try {
      const hello = await greet(wire, signal);
      greeted = true;
      return new Client(wire, hello);
    } catch (error) {
      wire.close();
      throw error;
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw toFerryError(error).during(action);
  }
}

async function dial(
  address: Address,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Deno.TcpConn> {
  signal?.throwIfAborted();
  const gaveUp = Promise.withResolvers<never>();
  const connecting = Deno.connect(address);
  const late = new FerryError("timeout", `no answer for ${timeout / 1000} s`);
  const timer = setTimeout(() => gaveUp.reject(late), timeout);
  const abort = () => gaveUp.reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([connecting, gaveUp.promise]);
  } catch (error) {
    // It may still come about: then nobody wants it any more.
    connecting.then((conn) => conn.close(), () => {});
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function greet(wire: Wire, signal: AbortSignal | undefined): Promise<HelloReply> {
  using _abort = closeOnAbort(wire, signal);
  await wire.writeFrame({ op: "hello", versions: [PROTOCOL_VERSION] });
  await wire.flush();
  const frame = await wire.readFrame();
  if (!frame) throw new FerryError("closed", "the server ended the connection");
  return parseReply("hello", frame.header);
}
