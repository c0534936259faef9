/**
 * A client of classic exec.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import { SHARED_RUNTIME } from "../../lib/runtime/runtime.ts";
import { sameChecksum } from "../../lib/core/checksum.ts";
import {
  type Announced,
  type Framing,
  MAX_LINE_BYTES,
  readAnnouncement,
} from "../../lib/line_exec/framing.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { Connection } from "../../lib/wire/connection.ts";
import { dial } from "../net/dial.ts";

/** The piece in which output is handed on. */
const PIECE_BYTES = 64 * 1024;

/** Options of {@linkcode ClassicClient}. */
export interface ClassicClientOptions {
  /** What stands in front of the output. */
  framing: Framing;
  /** Milliseconds for reaching the server. */
  connectTimeout: number;
  /** Milliseconds after which a server that moves no byte is given up; a command may be silent for so long. */
  timeout: number;
  /** Gives up. */
  signal: AbortSignal;
}

/** What came back for a line. */
export interface ClassicResult {
  /** How many bytes of output. */
  size: number;
  /** Whether their md5 was told, and is what was told. */
  verified: boolean;
  /** Whether it is known that this is all: without a length, only the end of the connection tells. */
  whole: boolean;
}

/**
 * Asks a server of classic exec, one line after the other: on one connection, but where nothing tells the
 * length of an answer on one for each line, since only its end tells the end of the answer.
 */
export class ClassicClient implements Disposable {
  readonly #address: Address;
  readonly #options: ClassicClientOptions;
  #connection: Connection | undefined;

  /** A client that connects when it is asked for something. */
  constructor(address: Address, options: ClassicClientOptions) {
    this.#address = address;
    this.#options = options;
  }

  /**
   * Has a line run and gives its output to a sink, standard output before standard error.
   *
   * @throws {FerryError} `too_large` for a line that is too long; `unreachable`, `timeout`, `closed`;
   * `bad_header` where the server speaks something else; `checksum_mismatch`; what the sink fails with
   */
  async run(line: Uint8Array, sink: ByteSink): Promise<ClassicResult> {
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

  async #connect(): Promise<Connection> {
    const { connectTimeout, timeout, signal } = this.#options;
    try {
      const conn = await dial(this.#address, { timeout: connectTimeout, signal });
      conn.setNoDelay(true);
      return new Connection(conn, { idleTimeout: timeout });
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

async function readExactly(connection: Connection, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const read = await connection.read(bytes.subarray(filled));
    if (read === null) throw new FerryError("closed", "the server ended the connection");
    filled += read;
  }
  return bytes;
}

async function receiveAnnounced(
  connection: Connection,
  { size, md5 }: Announced,
  sink: ByteSink,
): Promise<ClassicResult> {
  const digest = await SHARED_RUNTIME.digests.create("md5");
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

/** Receives what has no length: tells the server that no more lines will come, so that it ends. */
async function receiveToEnd(connection: Connection, sink: ByteSink): Promise<ClassicResult> {
  connection.endWrites(new FerryError("closed", "there are no more lines"));
  const piece = new Uint8Array(PIECE_BYTES);
  let size = 0;
  for (;;) {
    let count: number | null;
    try {
      count = await connection.read(piece);
    } catch (error) {
      // Some do not end: what they had to say has come long ago.
      const silent = toFerryError(error).code === "timeout" && size > 0;
      if (!silent) throw error;
      return { size, verified: false, whole: false };
    }
    if (count === null) return { size, verified: false, whole: true };
    size += count;
    await sink.write(piece.subarray(0, count));
  }
}
