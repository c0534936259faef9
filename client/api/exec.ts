/**
 * Running a command on the server.
 *
 * @module
 */

import { check } from "../../lib/wire/schema.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { OutputStream } from "../../lib/wire/operations/exec.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import { encodeHeader, MAX_HEADER_BYTES } from "../../lib/wire/codec.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { VerifyingReader } from "../../lib/transfer/receive.ts";
import { StreamedBody } from "../../lib/transfer/send.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";
import type { Wire } from "../../lib/wire/frames.ts";
import type { Connection } from "../net/connection.ts";
import { MemorySink } from "../transfer/memory_sink.ts";
import type { RequestOptions } from "../transfer/options.ts";
import type { WaitFor } from "../net/connection_pool.ts";

/** A command's name and its arguments, or a line for the server's shell. */
export type Command = readonly string[] | {
  /** The line. */
  shell: string;
};

/** Options of {@linkcode Client.exec}. */
export interface ExecOptions extends RequestOptions {
  /** Milliseconds after which the server kills the command. Default: the limit of the server. */
  timeout?: number | undefined;
  /**
   * The standard input of the command. Each piece is sent at once; what the command does not read before it ends is not
   * sent. Default: empty.
   */
  stdin?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /**
   * Takes standard output as it arrives; the command waits meanwhile. Default: the output is collected in the result.
   */
  stdout?: ByteSink | undefined;
  /** Takes standard error, as `stdout` does standard output. */
  stderr?: ByteSink | undefined;
}

/** Whether the program supplies or takes a stream while the command runs. */
export function isPaced({ stdin, stdout, stderr }: ExecOptions): boolean {
  const source = stdin !== undefined && !(stdin instanceof Uint8Array);
  return source || stdout !== undefined || stderr !== undefined;
}

/** The result of a command. */
export interface ExecResult {
  /** Its exit status; 128 plus the signal number where a signal ended it; 124 where it was killed for its timeout. */
  exitCode: number;
  /** The signal that ended it, such as `SIGKILL`; null where it ended by itself. */
  signal: string | null;
  /** Whether it was killed because it reached its timeout. */
  timedOut: boolean;
  /** The md5 of its output, both streams in the order of arrival. It has been verified. */
  md5: string;
  /** The size of the output in bytes, both streams together. */
  size: number;
  /** Standard output, unless a sink took it. */
  stdout: Uint8Array<ArrayBuffer>;
  /** Standard error, unless a sink took it. */
  stderr: Uint8Array<ArrayBuffer>;
}

/** How many bytes of output are passed to a sink at once. */
const OUTPUT_BYTES = 64 * 1024;

/** The most bytes of one stream that are collected in the result. */
const GATHERED_BYTES = 256 * 1024 * 1024;

/**
 * Runs a command.
 * @throws {FerryError} `denied`, `not_found`, `too_large` where its output is larger than the server or the result
 * allows, `checksum_mismatch`; what the sinks and the source of its input fail with
 */
export async function exec(
  connection: Connection,
  command: Command,
  { waitFor, timeout, ...options }: ExecOptions & { waitFor: WaitFor },
): Promise<ExecResult> {
  if (timeout !== undefined && !(timeout > 0)) {
    throw new FerryError("usage", "a command needs some time: --timeout is more than 0");
  }
  const header = {
    op: "exec",
    ...("shell" in command ? { command: command.shell } : { argv: command }),
    ...(timeout === undefined ? {} : { timeout_ms: Math.min(Math.ceil(timeout), MAX_TIMEOUT_MS) }),
  };
  assertFits(header);
  const gathered = {
    stdout: new MemorySink(GATHERED_BYTES),
    stderr: new MemorySink(GATHERED_BYTES),
  };
  const waiting = (sink: ByteSink | undefined) =>
    sink && {
      write: (bytes: Uint8Array) => waitFor(() => sink.write(bytes), { toItsEnd: true }),
    };
  const streams = {
    stdin: inputOf(options.stdin, waitFor),
    stdout: waiting(options.stdout) ?? gathered.stdout,
    stderr: waiting(options.stderr) ?? gathered.stderr,
  };
  const end = await connection.exec((wire) => converse(wire, header, streams));
  return { ...end, stdout: gathered.stdout.bytes(), stderr: gathered.stderr.bytes() };
}

/** @throws {FerryError} `too_large` */
function assertFits(header: Readonly<Record<string, unknown>>): void {
  try {
    encodeHeader(header, { checksum: true });
  } catch (error) {
    if (!(error instanceof FerryError && error.code === "bad_header")) throw error;
    const reason = `a command and its arguments have room in ${MAX_HEADER_BYTES} bytes only`;
    throw new FerryError("too_large", reason);
  }
}

/** What a command reads and writes. */
interface Streams {
  stdin: AsyncIterable<Uint8Array> | undefined;
  stdout: ByteSink;
  stderr: ByteSink;
}

async function converse(
  wire: Wire,
  header: Readonly<Record<string, unknown>>,
  { stdin, ...sinks }: Streams,
): Promise<Omit<ExecResult, OutputStream>> {
  const input = stdin && new Input(wire, header, stdin);
  let body: IncomingBody | undefined;
  try {
    if (!input) {
      await wire.writeFrame(header);
      await wire.flush();
    }
    const reply = await wire.readFrame();
    if (!reply) throw new FerryError("closed", "the server ended the connection");
    body = reply.body;
    // The command may run that long without reading or writing.
    const { timeout_ms } = parseReply(OPERATIONS.exec.reply, reply.header);
    if (typeof header.timeout_ms === "number" && timeout_ms > header.timeout_ms) {
      throw new FerryError("bad_header", "the server allows more time than it was asked for");
    }
    wire.patience = timeout_ms;
    await receiveOutput(body, sinks);
    const { closing, checksum, count } = body;
    if (!closing) throw new FerryError("bad_header", "the output has no closing header");
    const { exit_code, signal, timed_out } = check(OPERATIONS.exec.closing, closing);
    return {
      exitCode: exit_code,
      signal,
      timedOut: timed_out,
      md5: checksum!,
      size: Number(count),
    };
  } catch (error) {
    throw input?.failure ?? error;
  } finally {
    wire.patience = 0;
    // Closing the connection ends a command whose output is no longer wanted.
    if (!body?.ended) wire.close();
    await input?.end();
  }
}

/** Passes the chunks of output to the sinks, and verifies all of it at the end. */
async function receiveOutput(
  body: IncomingBody,
  sinks: Readonly<Record<OutputStream, ByteSink>>,
): Promise<void> {
  const output = await VerifyingReader.open(body, "the output");
  const buffers = [0, 1].map(() => new Uint8Array(OUTPUT_BYTES));
  let writing: Promise<void> | undefined;
  try {
    for (let turn = 0;; turn ^= 1) {
      const buffer = buffers[turn]!;
      const count = await output.read(buffer);
      if (count === 0) break;
      const sink = sinks[check(OPERATIONS.exec.chunk, body.chunk).stream];
      await writing;
      // The next chunk is read while this one is being written.
      writing = sink.write(buffer.subarray(0, count));
      writing.catch(() => {});
    }
  } finally {
    // The sink owns the buffer until the write is over. Where the sink failed, that is the first failure, so it is
    // thrown.
    await writing;
  }
}

/** How many bytes of an input in memory are sent at once. */
const INPUT_BYTES = 256 * 1024;

/** A request whose body is the command's standard input: it is sent while the reply is being read. */
class Input {
  readonly #wire: Wire;
  readonly #over = new AbortController();
  readonly #sending: Promise<void>;
  /** What the source failed with, if it did; the connection was closed for it. */
  failure: unknown;

  constructor(
    wire: Wire,
    header: Readonly<Record<string, unknown>>,
    source: AsyncIterable<Uint8Array>,
  ) {
    this.#wire = wire;
    this.#sending = this.#send(header, source[Symbol.asyncIterator]());
    // A connection failure shows up when the reply is read, too.
    this.#sending.catch(() => {});
  }

  /** Stops sending, even where the source has not ended: the command no longer reads. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#sending.catch(() => {});
  }

  async #send(
    header: Readonly<Record<string, unknown>>,
    source: AsyncIterator<Uint8Array>,
  ): Promise<void> {
    const body = await StreamedBody.open(this.#wire, header);
    await this.#wire.flush();
    for (let chunk; (chunk = await this.#next(source));) {
      await body.write(chunk);
      await this.#wire.flush();
    }
    await body.close();
    await this.#wire.flush();
  }

  /** The next piece; undefined at the end of the source, or where the command no longer reads. */
  async #next(source: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
    const { signal } = this.#over;
    const over = Promise.withResolvers<undefined>();
    const stop = () => over.resolve(undefined);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      const next = await Promise.race([source.next(), over.promise]);
      if (next && !next.done) return next.value;
      // A source that is waiting for its next piece may never yield it, so its end is not awaited.
      if (!next) void source.return?.().catch(() => {});
      return undefined;
    } catch (error) {
      this.failure = error;
      this.#wire.close(toFerryError(error));
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}

/** The pieces of an input. Waiting for a piece of the program's source goes through `waitFor`. */
function inputOf(
  source: ExecOptions["stdin"],
  waitFor: WaitFor,
): AsyncIterable<Uint8Array> | undefined {
  if (!source || source instanceof Uint8Array) return source && piecesOf(source);
  const pieces = source[Symbol.asyncIterator]();
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => waitFor(() => pieces.next()),
    return: async () => await pieces.return?.() ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  for (let start = 0; start < bytes.length; start += INPUT_BYTES) {
    yield bytes.subarray(start, start + INPUT_BYTES);
  }
}
