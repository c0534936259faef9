/**
 * Serves line exec: each line that arrives is run by the shell, and its whole output is sent back. docs/protocol/ has
 * the specification.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { Clock, Timer } from "../../../lib/core/clock.ts";
import {
  encodeAnnouncement,
  type Framing,
  MAX_LENGTH,
  MAX_LINE_BYTES,
} from "../../../lib/line_exec/framing.ts";
import { FerryError, quote, toFerryError, wasCut } from "../../../lib/core/errors.ts";
import { Md5 } from "../../../lib/digest/md5.ts";
import { IDLE_BUFFER } from "../../../lib/wire/input_buffer.ts";
import { ByteConnection } from "../../../lib/wire/connection.ts";
import {
  type ConnectionHandler,
  type ListenAddress,
  type Listener,
  listenTcp,
} from "../../net/listener.ts";
import type { ConnectionLimits } from "../../net/connection_limits.ts";
import type { AllowedCommands } from "../../exec/allowed_commands.ts";
import { logFailure } from "../../observe/failures.ts";
import type { ClientConnection, Traffic } from "../../observe/traffic.ts";
import type { RunningCommand } from "../../exec/running_command.ts";
import { Spool } from "../../exec/spool.ts";

const logger = getLogger(["ferry", "server"]);

/**
 * A line of at least `bytes` may have been sent with one call and arrive in several segments. The server waits `pause`
 * milliseconds for the rest of it.
 */
const LONG_LINE = { bytes: IDLE_BUFFER, pause: 50 };

/** The maximum output in a framing with a length of four bytes, including a remark of the server. */
const MAX_OUTPUT_BYTES = MAX_LENGTH - 1024;

/**
 * A client that uses raw framing may read the answer with a single call. So up to `bytes` of it are held back until the
 * command has ended, but for at most `hold` milliseconds.
 */
const SHORT_ANSWER = { bytes: 1024, hold: 1500 };

/**
 * How long a client that has half-closed its connection may still wait for an answer, in milliseconds, if the framing
 * marks the end of the answer.
 */
const HALF_CLOSED_MS = 5000;

/** Options of {@linkcode listenLineExec}. */
export interface LineExecOptions {
  /** Provides buffers, digests and the clock. */
  runtime: Runtime;
  /** The commands, with the shell that runs the lines. */
  commands: AllowedCommands;
  /** Decides which connections are admitted. */
  limits: ConnectionLimits;
  /** Takes note of connections, and of what goes on in them. */
  traffic: Traffic;
  /** The framing: what is sent before the output. */
  framing: Framing;
  /** A client that transfers no byte for this long is disconnected, in milliseconds. */
  idleTimeout: number;
}

/**
 * Listens for clients of line exec.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export function listenLineExec(address: ListenAddress, options: LineExecOptions): Listener {
  const { limits, traffic, runtime: { clock } } = options;
  return listenTcp("classic-exec", address, {
    limits,
    traffic,
    clock,
    begin(conn) {
      conn.setNoDelay(true);
      return new LineExecHandler(conn, options);
    },
  });
}

/** Serves one connection: line after line. */
class LineExecHandler implements ConnectionHandler {
  readonly #connection: ByteConnection;
  readonly #client: ClientConnection;
  readonly #options: LineExecOptions;
  /** How many lines have arrived. */
  #lines = 0;
  #idle = false;
  #draining = false;

  constructor(conn: Deno.TcpConn, options: LineExecOptions) {
    this.#connection = new ByteConnection(conn, options);
    this.#client = options.traffic.open({
      listener: "classic-exec",
      peer: conn.remoteAddr,
      close: (reason) => this.close(reason),
    });
    this.#options = options;
  }

  async run(): Promise<void> {
    const { name: peer } = this.#client;
    logger.debug("{peer} connected to classic exec", { peer });
    let failure: FerryError | undefined;
    try {
      for (let goOn = true; goOn && !this.#draining;) {
        this.#idle = true;
        const line = await this.#nextLine();
        this.#idle = false;
        goOn = line !== null && await this.#answer(line);
      }
      await this.#connection.closeGracefully();
    } catch (error) {
      failure = toFerryError(error);
      logFailure("{peer} left: {reason} ({code})", error, { properties: { peer } });
    } finally {
      this.#connection.close();
      this.#client.end(failure);
      logger.debug("{peer} disconnected", { peer });
    }
  }

  drain(): void {
    this.#draining = true;
    if (this.#idle) this.close(new FerryError("closed", "the server is shutting down"));
  }

  close(reason: FerryError): void {
    this.#connection.close(reason);
  }

  /**
   * The next line: the bytes that arrived together, or null at the end of the connection. Reads up to one byte more
   * than the longest line, to detect lines that are too long.
   */
  async #nextLine(): Promise<Uint8Array | null> {
    if (!await this.#connection.comes()) return null;
    const line = new Uint8Array(MAX_LINE_BYTES + 1);
    let size = await this.#connection.read(line) ?? 0;
    while (size >= LONG_LINE.bytes && size < line.length) {
      if (!await this.#connection.comesWithin(LONG_LINE.pause)) break;
      const count = await this.#connection.read(line.subarray(size));
      if (count === null) break;
      size += count;
    }
    return line.subarray(0, size);
  }

  /** Runs a line and sends its output. Returns false if it is unknown where the next line begins. */
  async #answer(bytes: Uint8Array): Promise<boolean> {
    using answer = new Answer(this.#connection, this.#options);
    const operation = this.#client.begin(++this.#lines, { op: "exec" });
    operation.count = () => ({ received: bytes.length, sent: answer.size });
    let name = "";
    try {
      const line = decodeLine(bytes);
      name = line;
      operation.subject = { op: "exec", command: line };
      const outputLimit = this.#options.framing === "length" ? MAX_OUTPUT_BYTES : Infinity;
      const request = { op: "exec", command: line } as const;
      const command = this.#options.commands.start(request, { stdin: false, outputLimit });
      operation.exitCode = await this.#collect(command, answer);
    } catch (reason) {
      const error = toFerryError(reason);
      // The client has disconnected, or cannot be answered.
      if (wasCut(error)) {
        operation.end(error);
        throw error;
      }
      const failure = error.during(`run ${quote(name)}`);
      operation.end(failure);
      await answer.remark(failure.message);
    }
    operation.end();
    await answer.send(name);
    return bytes.length <= MAX_LINE_BYTES;
  }

  /** Sends the output of a command on. Returns its exit status. */
  async #collect(command: RunningCommand, answer: Answer): Promise<number> {
    await using running = command;
    using _hold = this.#connection.hold();
    const { clock } = this.#options.runtime;
    let leaving: Timer | undefined;
    using _watch = this.#connection.watch((failure) => {
      const left = () => running.abort(failure ?? new FerryError("closed", "the client left"));
      // In raw framing, clients half-close the connection to find the end of the answer, so that does not abort the
      // command.
      if (failure) left();
      else if (this.#options.framing !== "raw") leaving = clock.setTimeout(left, HALF_CLOSED_MS);
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
        return value.exit_code;
      }
    } finally {
      clock.clearTimeout(leaving);
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

/** The output of a command in the order that the framings require: standard output, then standard error. */
class Answer implements Disposable {
  readonly #connection: ByteConnection;
  readonly #framing: Framing;
  readonly #clock: Clock;
  readonly #digest: Md5;
  readonly #stdout: Spool;
  readonly #stderr: Spool;
  /** In raw framing: how much of standard output was written, and whether it is sent as it arrives. */
  #written = 0;
  #streams = false;
  #holding: Timer | undefined;

  constructor(connection: ByteConnection, { framing, runtime }: LineExecOptions) {
    this.#connection = connection;
    this.#framing = framing;
    this.#clock = runtime.clock;
    this.#digest = new Md5(runtime.digests.md5Engine);
    this.#stdout = new Spool(runtime.buffers);
    this.#stderr = new Spool(runtime.buffers);
  }

  /** The size of the output so far, in bytes. */
  get size(): number {
    return this.#written + this.#stdout.size + this.#stderr.size;
  }

  /** Adds a chunk of output. */
  async write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    if (stream === "stderr") return await this.#stderr.write(bytes);
    if (this.#framing === "raw") return await this.#pass(bytes);
    this.#digest.update(bytes);
    await this.#stdout.write(bytes);
  }

  /** Sends a chunk of standard output in raw framing, or holds it in the connection's output buffer. */
  async #pass(bytes: Uint8Array): Promise<void> {
    await this.#connection.write(bytes);
    this.#written += bytes.length;
    if (this.#streams || this.#written > SHORT_ANSWER.bytes) return await this.#stream();
    // If it cannot be sent, the next write fails.
    this.#holding ??= this.#clock.setTimeout(
      () => this.#stream().catch(() => {}),
      SHORT_ANSWER.hold,
    );
  }

  /** Sends the output that was held back, and from now on each chunk as it arrives. */
  #stream(): Promise<void> {
    this.#streams = true;
    this.#clock.clearTimeout(this.#holding);
    return this.#connection.flush();
  }

  /** Adds a line of the server to standard error. */
  async remark(text: string): Promise<void> {
    await this.#stderr.write(new TextEncoder().encode(`ferryd: ${text}\n`));
  }

  /** Sends the rest of the answer. */
  async send(name: string): Promise<void> {
    for await (const chunk of this.#stderr.chunks()) this.#digest.update(chunk);
    const size = this.#stdout.size + this.#stderr.size;
    const md5 = this.#digest.hex();
    await this.#connection.write(encodeAnnouncement(this.#framing, { name, size, md5 }));
    for (const spool of [this.#stdout, this.#stderr]) {
      for await (const chunk of spool.chunks()) await this.#connection.write(chunk);
    }
    await this.#connection.flush();
  }

  [Symbol.dispose](): void {
    this.#clock.clearTimeout(this.#holding);
    this.#stdout[Symbol.dispose]();
    this.#stderr[Symbol.dispose]();
  }
}
