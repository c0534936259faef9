/**
 * Classic exec: each line that comes goes to the shell, and its output goes back in one piece. PROTOCOL.md
 * specifies it.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../../lib/runtime/runtime.ts";
import { getLogger } from "@logtape/logtape";
import { type Address, formatAddress } from "../../../lib/core/address.ts";
import {
  encodeAnnouncement,
  type Framing,
  MAX_LENGTH,
  MAX_LINE_BYTES,
} from "../../../lib/line_exec/framing.ts";
import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { Md5 } from "../../../lib/digest/md5.ts";
import { IDLE_BUFFER, Wire } from "../../../lib/wire/wire.ts";
import { acceptTcp, type Listener, type Served } from "../../net/listener.ts";
import type { Admission } from "../../net/connection_limits.ts";
import type { Commands } from "../../exec/allowed_commands.ts";
import { logFailure } from "../../observe/failures.ts";
import type { RunningCommand } from "../../exec/running_command.ts";
import { Spool } from "../../exec/spool.ts";

const logger = getLogger(["ferry", "server"]);

/**
 * A line that is at least so long may have been sent in one go and come, or been read, in several. The pause is
 * how long more of it is waited for, in milliseconds.
 */
const LONG_LINE = { bytes: IDLE_BUFFER, pause: 50 };

/** The most that fits behind a length of four bytes, a remark of the server's included. */
const MAX_OUTPUT_BYTES = MAX_LENGTH - 1024;

/**
 * What a client of raw framing may read with a single call, and takes for the whole answer: so much is held back
 * until the command has ended, but for no longer than so many milliseconds.
 */
const SHORT_ANSWER = { bytes: 1024, hold: 1500 };

/**
 * How long a client whose direction has ended may still wait for an answer, in milliseconds, where it need
 * not end it to find the end of the answer.
 */
const PARTING_MS = 5000;

/** Options of {@linkcode listenClassic}. */
export interface ClassicOptions {
  /** What runs the lines; it has a shell. */
  commands: Commands;
  /** Decides which connections are taken. */
  admission: Admission;
  /** What stands in front of the output. */
  framing: Framing;
  /** Milliseconds after which a client that moves no byte is disconnected. */
  idleTimeout: number;
}

/**
 * Listens for clients of classic exec.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` where the address cannot be listened on
 */
export function listenClassic(address: Address, options: ClassicOptions): Listener {
  const { admission } = options;
  return acceptTcp("classic-exec", address, {
    admission,
    begin(conn) {
      conn.setNoDelay(true);
      return new ClassicSession(conn, formatAddress(conn.remoteAddr), options);
    },
  });
}

/** Serves one connection: line after line. */
class ClassicSession implements Served {
  readonly #wire: Wire;
  readonly #peer: string;
  readonly #options: ClassicOptions;
  #idle = false;
  #draining = false;

  constructor(conn: Deno.TcpConn, peer: string, options: ClassicOptions) {
    this.#wire = new Wire(conn, { idleTimeout: options.idleTimeout });
    this.#peer = peer;
    this.#options = options;
  }

  async run(): Promise<void> {
    const peer = this.#peer;
    logger.debug("{peer} connected to classic exec", { peer });
    try {
      for (let goOn = true; goOn && !this.#draining;) {
        this.#idle = true;
        const line = await this.#nextLine();
        this.#idle = false;
        goOn = line !== null && await this.#answer(line);
      }
      await this.#wire.closeGracefully();
    } catch (error) {
      logFailure("{peer} left: {message} ({code})", error, { properties: { peer } });
    } finally {
      this.#wire.close();
      logger.debug("{peer} disconnected", { peer });
    }
  }

  drain(): void {
    this.#draining = true;
    if (this.#idle) this.close(new FerryError("closed", "the server is shutting down"));
  }

  close(reason: FerryError): void {
    this.#wire.close(reason);
  }

  /** What came in one go, or null where nothing more will. One byte more than a line may have is too many. */
  async #nextLine(): Promise<Uint8Array | null> {
    if (!await this.#wire.comes()) return null;
    const line = new Uint8Array(MAX_LINE_BYTES + 1);
    let size = await this.#wire.readBytes(line) ?? 0;
    while (size >= LONG_LINE.bytes && size < line.length) {
      if (!await this.#wire.comesWithin(LONG_LINE.pause)) break;
      const count = await this.#wire.readBytes(line.subarray(size));
      if (count === null) break;
      size += count;
    }
    return line.subarray(0, size);
  }

  /** Runs a line and sends what it wrote; false where it is not known where the next one begins. */
  async #answer(bytes: Uint8Array): Promise<boolean> {
    const peer = this.#peer;
    using answer = new Answer(this.#wire, this.#options.framing);
    let name = "";
    try {
      const line = decodeLine(bytes);
      name = line;
      const outputLimit = this.#options.framing === "length" ? MAX_OUTPUT_BYTES : Infinity;
      const request = { op: "exec", command: line } as const;
      const command = this.#options.commands.start(request, { stdin: false, outputLimit });
      logger.info("{peer}: {action}", { peer, action: `run ${quote(line)}` });
      await this.#collect(command, answer);
    } catch (reason) {
      const error = toFerryError(reason);
      // What the client did, or what keeps it from being answered, is no answer.
      if (error.code === "closed" || error.code === "timeout") throw error;
      const failure = error.during(`run ${quote(name)}`);
      logFailure("{peer}: {message} ({code})", failure, { properties: { peer } });
      await answer.remark(failure.message);
    }
    await answer.send(name);
    return bytes.length <= MAX_LINE_BYTES;
  }

  async #collect(command: RunningCommand, answer: Answer): Promise<void> {
    await using running = command;
    using _hold = this.#wire.hold();
    let parting: ReturnType<typeof setTimeout> | undefined;
    using _watch = this.#wire.watch((failure) => {
      const left = () => running.abort(failure ?? new FerryError("closed", "the client left"));
      // Where nothing tells how long the answer is, a client ends its direction to see where it ends.
      if (failure) left();
      else if (this.#options.framing !== "raw") parting = setTimeout(left, PARTING_MS);
    });
    try {
      const output = running.output();
      for (;;) {
        const { value, done } = await output.next();
        if (!done) {
          await answer.write(value.stream, value.bytes);
          continue;
        }
        if (value.timed_out) await answer.remark("the command was killed: its time was up");
        return;
      }
    } finally {
      clearTimeout(parting);
    }
  }
}

function decodeLine(bytes: Uint8Array): string {
  if (bytes.length > MAX_LINE_BYTES) {
    throw new FerryError("too_large", `the line is longer than ${MAX_LINE_BYTES} bytes`);
  }
  let line: string;
  try {
    line = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FerryError("bad_header", "the line is not UTF-8");
  }
  if (line.includes("\0")) throw new FerryError("bad_header", "the line has the character U+0000");
  return line;
}

/** What a command wrote, in the order in which the client wants it: standard output, then standard error. */
class Answer implements Disposable {
  readonly #wire: Wire;
  readonly #framing: Framing;
  readonly #digest = new Md5(SHARED_RUNTIME.digests.md5Engine);
  readonly #stdout = new Spool();
  readonly #stderr = new Spool();
  /** In raw framing: how much of standard output was written, and whether it leaves as it comes. */
  #written = 0;
  #streams = false;
  #holding: ReturnType<typeof setTimeout> | undefined;

  constructor(wire: Wire, framing: Framing) {
    this.#wire = wire;
    this.#framing = framing;
  }

  /** Takes a piece of output. */
  async write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    if (stream === "stderr") return await this.#stderr.write(bytes);
    if (this.#framing === "raw") return await this.#pass(bytes);
    this.#digest.update(bytes);
    await this.#stdout.write(bytes);
  }

  /** Sends a piece of standard output in raw framing, or holds it in the connection's output buffer. */
  async #pass(bytes: Uint8Array): Promise<void> {
    await this.#wire.writeBytes(bytes);
    this.#written += bytes.length;
    if (this.#streams || this.#written > SHORT_ANSWER.bytes) return await this.#stream();
    // Where it cannot be sent, the next write fails.
    this.#holding ??= setTimeout(() => this.#stream().catch(() => {}), SHORT_ANSWER.hold);
  }

  /** Sends what is held, and from now on each piece as it comes. */
  #stream(): Promise<void> {
    this.#streams = true;
    clearTimeout(this.#holding);
    return this.#wire.flush();
  }

  /** Adds a line of the server's own to standard error. */
  async remark(text: string): Promise<void> {
    await this.#stderr.write(new TextEncoder().encode(`ferryd: ${text}\n`));
  }

  /** Sends all of it. */
  async send(name: string): Promise<void> {
    for await (const piece of this.#stderr.pieces()) this.#digest.update(piece);
    const size = this.#stdout.size + this.#stderr.size;
    const md5 = this.#digest.hex();
    await this.#wire.writeBytes(encodeAnnouncement(this.#framing, { name, size, md5 }));
    for (const spool of [this.#stdout, this.#stderr]) {
      for await (const piece of spool.pieces()) await this.#wire.writeBytes(piece);
    }
    await this.#wire.flush();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#holding);
    this.#stdout[Symbol.dispose]();
    this.#stderr[Symbol.dispose]();
  }
}
