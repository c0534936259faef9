/**
 * A client of the classic protocol, in which a server runs lines of text in its shell.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";
import { sameChecksum } from "../../lib/core/checksum.ts";
import {
  type Announced,
  type Framing,
  MAX_LINE_BYTES,
  readAnnouncement,
} from "../../lib/line_exec/framing.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { ByteConnection } from "../../lib/wire/connection.ts";
import { dial } from "../net/dial.ts";

/** How much output is read at a time, in bytes. */
const PIECE_BYTES = 64 * 1024;

/** Options of {@linkcode LineExecClient}. */
export interface LineExecClientOptions {
  /** How the server announces its output. */
  framing: Framing;
  /** Milliseconds for connecting. */
  connectTimeout: number;
  /** Milliseconds of silence after which the server is given up, also while a command runs without output. */
  timeout: number;
  /** Aborts the line that is running. */
  signal: AbortSignal;
  /** Memory, digests and the clock. Default: its own. */
  runtime?: Runtime | undefined;
}

/** The result of a line. */
export interface LineExecResult {
  /** The size of the output in bytes. */
  size: number;
  /** Whether the server announced the md5 of the output, and it matched. */
  verified: boolean;
  /** Whether the output is known to be complete. Without an announced length, only the end of the connection shows it. */
  whole: boolean;
}

/**
 * Runs lines on a server, one after the other. Where the server announces no length, each line has a connection of its
 * own, since only the end of the connection marks the end of the output.
 */
export class LineExecClient implements Disposable {
  readonly #address: Address;
  readonly #options: LineExecClientOptions;
  #connection: ByteConnection | undefined;

  /** A client that connects with the first line. */
  constructor(address: Address, options: LineExecClientOptions) {
    this.#address = address;
    this.#options = options;
  }

  /**
   * Runs a line and writes its output to a sink, standard output before standard error.
   *
   * @throws {FerryError} `too_large` for a line that is too long; `unreachable`, `timeout`, `closed`; `bad_header` where
   * the server speaks another protocol; `checksum_mismatch`; what the sink throws
   */
  async run(line: Uint8Array, sink: ByteSink): Promise<LineExecResult> {
    const { framing, signal } = this.#options;
    if (line.length === 0) throw new FerryError("usage", "an empty line cannot be sent");
    if (line.length > MAX_LINE_BYTES) {
      throw new FerryError("too_large", `the line is longer than ${MAX_LINE_BYTES} bytes`);
    }
    let done = false;
    const connection = this.#connection ??= await this.#connect();
    const abort = () => connection.close(new FerryError("closed", "given up"));
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      await connection.write(line);
      await connection.flush();
      if (framing === "raw") return await receiveToEnd(connection, sink);
      const announced = await readAnnouncement(framing, (count) => readExactly(connection, count));
      const result = await receiveAnnounced(connection, announced, sink);
      done = true;
      return result;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFerryError(error).during(`run a line on ${formatAddress(this.#address)}`);
    } finally {
      signal.removeEventListener("abort", abort);
      if (!done) this[Symbol.dispose]();
    }
  }

  async #connect(): Promise<ByteConnection> {
    const { connectTimeout, timeout, signal, runtime = createRuntime() } = this.#options;
    try {
      const conn = await dial(this.#address, { timeout: connectTimeout, signal });
      conn.setNoDelay(true);
      return new ByteConnection(conn, { runtime, idleTimeout: timeout });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFerryError(error).during(`connect to ${formatAddress(this.#address)}`);
    }
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

async function readExactly(connection: ByteConnection, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const read = await connection.read(bytes.subarray(filled));
    if (read === null) throw new FerryError("closed", "the server ended the connection");
    filled += read;
  }
  return bytes;
}

async function receiveAnnounced(
  connection: ByteConnection,
  { size, md5 }: Announced,
  sink: ByteSink,
): Promise<LineExecResult> {
  const digest = await connection.runtime.digests.create("md5");
  const piece = new Uint8Array(Math.min(size, PIECE_BYTES));
  for (let left = size; left > 0;) {
    const count = await connection.read(left < piece.length ? piece.subarray(0, left) : piece);
    if (count === null) {
      const reason = `the connection ended behind ${size - left} of ${size} bytes`;
      throw new FerryError("closed", reason);
    }
    left -= count;
    const bytes = piece.subarray(0, count);
    digest.update(bytes);
    await sink.write(bytes);
  }
  if (md5 === null) return { size, verified: false, whole: true };
  if (sameChecksum(digest.checksum(), md5)) return { size, verified: true, whole: true };
  throw new FerryError("checksum_mismatch", "the output did not arrive as it was sent");
}

/**
 * Receives output without an announced length. Half-closes the connection, so that the server ends it after the output.
 */
async function receiveToEnd(connection: ByteConnection, sink: ByteSink): Promise<LineExecResult> {
  connection.endWrites(new FerryError("closed", "there are no more lines"));
  const piece = new Uint8Array(PIECE_BYTES);
  let size = 0;
  for (;;) {
    let count: number | null;
    try {
      count = await connection.read(piece);
    } catch (error) {
      // Some servers do not end the connection. After the timeout, the output is taken for complete.
      const silent = toFerryError(error).code === "timeout" && size > 0;
      if (!silent) throw error;
      return { size, verified: false, whole: false };
    }
    if (count === null) return { size, verified: false, whole: true };
    size += count;
    await sink.write(piece.subarray(0, count));
  }
}
