/**
 * A running command: its input and output, its limits, and its end together with all processes that it has started.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ExecEnd, OutputStream } from "../../lib/wire/operations/exec.ts";
import type { ProcessEnd, ProcessGroup } from "./process_group.ts";

/** The exit status of a command that exceeded its time limit, as timeout(1) reports it. */
const TIMED_OUT_STATUS = 124;

/** The limits of a command. */
export interface CommandLimits {
  /** The maximum running time in milliseconds. */
  timeout: number;
  /** The maximum output in bytes, both streams together. */
  outputLimit: number;
}

/** A chunk of a command's output. */
export interface OutputChunk {
  /** The stream that it was written to. */
  stream: OutputStream;
  /** The bytes; valid until the next chunk is requested. */
  bytes: Uint8Array;
  /** Whether another chunk is already available. */
  more: boolean;
}

/** How long processes that a command has left behind may continue writing before they are killed, in milliseconds. */
const LINGER_MS = 500;

/**
 * How long the end of the processes is awaited, in milliseconds. Even after SIGKILL it may take long if a signal cannot
 * be sent for the moment, or if a process is stuck in a system call.
 */
const ENDING_MS = 5000;

/**
 * The limits for reading the rest of the output when no process of the group is left: at most `bytes`, the largest pipe
 * that Linux allows by default. Reading ends when the pipe was empty in `checks` checks, `pause` milliseconds apart.
 */
const REST = { bytes: 1024 * 1024, checks: 10, pause: 50 };

/** A running command. Its owner MUST dispose of it, which kills all its processes that are left. */
export class RunningCommand implements AsyncDisposable {
  /** The time limit after which it is killed, in milliseconds. */
  readonly timeout: number;
  readonly #group: ProcessGroup;
  readonly #outputLimit: number;
  readonly #pipes: readonly Pipe[];
  #watching: Promise<void> | undefined;
  readonly #aborted = Promise.withResolvers<void>();
  #failure: FerryError | undefined;
  #timedOut = false;
  #finished = false;
  #end: ExecEnd | undefined;
  /** Chunks of output that were not consumed yet: at most one of each pipe. */
  readonly #chunks: { pipe: Pipe; bytes: Uint8Array }[] = [];
  #arrived = Promise.withResolvers<void>();

  private constructor(group: ProcessGroup, { timeout, outputLimit }: CommandLimits) {
    this.timeout = timeout;
    this.#group = group;
    this.#outputLimit = outputLimit;
    this.#pipes = (["stdout", "stderr"] as const).map((stream) =>
      new Pipe(stream, group.output[stream], (pipe, bytes) => {
        this.#chunks.push({ pipe, bytes });
        this.#arrived.resolve();
      })
    );
  }

  /** Supervises a command that has just been started, and reads its output. */
  static watch(group: ProcessGroup, limits: CommandLimits): RunningCommand {
    const running = new RunningCommand(group, limits);
    for (const pipe of running.#pipes) pipe.start();
    running.#watching = running.#watch();
    return running;
  }

  /** The id of the process group. */
  get pid(): number {
    return this.#group.pid;
  }

  /**
   * The output as it arrives, in order within each stream. Nothing more is read until the last chunk was consumed. Ends
   * when the command has ended and none of its processes is left.
   *
   * @returns how the command ended
   * @throws {FerryError} `too_large` if it exceeded the output limit; the reason of an abort
   */
  async *output(): AsyncGenerator<OutputChunk, ExecEnd, void> {
    let room = this.#outputLimit;
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk && !this.#failure) {
        const { pipe, bytes } = chunk;
        const taken = bytes.subarray(0, room);
        room -= taken.length;
        const more = this.#chunks.length > 0;
        if (taken.length > 0) yield { stream: pipe.stream, bytes: taken, more };
        if (taken.length < bytes.length) {
          const reason = `its output is larger than ${this.#outputLimit} bytes`;
          this.abort(new FerryError("too_large", reason));
        }
        pipe.goOn();
      } else if (this.#finished) {
        if (this.#failure) throw this.#failure;
        return this.#end!;
      } else {
        await this.#arrived.promise;
        this.#arrived = Promise.withResolvers();
      }
    }
  }

  /** Writes to its standard input. Waits while it does not read, and does nothing once it has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#group.write(bytes);
  }

  /** Closes its standard input. */
  async closeInput(): Promise<void> {
    await this.#group.closeInput();
  }

  /** Kills the command. `output` fails with the reason when none of its processes is left. */
  abort(reason: FerryError): void {
    if (this.#finished) return;
    this.#failure ??= reason;
    this.#aborted.resolve();
  }

  /** Kills all processes of the command that are left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#finished) this.abort(new FerryError("closed", "nobody waits for it"));
    await this.#watching;
  }

  async #watch(): Promise<void> {
    try {
      const end = await this.#waitForEnd();
      this.#end = this.#timedOut
        ? { exit_code: TIMED_OUT_STATUS, signal: end.signal, timed_out: true }
        : { exit_code: end.code, signal: end.signal, timed_out: false };
    } catch (error) {
      this.#failure ??= toFerryError(error);
    } finally {
      this.#finished = true;
      this.#arrived.resolve();
    }
  }

  /** Waits until the command has ended or has to be ended, then ends all its processes that are left. */
  async #waitForEnd(): Promise<ProcessEnd> {
    const ended = Promise.all(this.#pipes.map((pipe) => pipe.ended));
    const aborted = this.#aborted.promise;
    const exited = Promise.race([this.#group.status, aborted]);
    this.#timedOut = !await within(this.timeout, exited);
    // Processes that the command has started may be writing their last output.
    if (!this.#failure && !this.#timedOut) await within(LINGER_MS, Promise.race([ended, aborted]));
    if (!await within(ENDING_MS, this.#group.end())) {
      for (const pipe of this.#pipes) pipe.cancel();
      throw new FerryError("io", "its processes could not be ended yet");
    }
    if (!this.#failure) {
      // A process that still has a pipe open has left the group, and is not waited for.
      for (const pipe of this.#pipes) pipe.limit(REST.bytes);
      const checking = setInterval(() => {
        for (const pipe of this.#pipes) pipe.check();
      }, REST.pause);
      await Promise.race([ended, aborted]);
      clearInterval(checking);
    }
    for (const pipe of this.#pipes) pipe.cancel();
    await ended;
    return await this.#group.status;
  }
}

/** The sizes of the buffers for output, in bytes: first a small one; after that was filled, one as large as a pipe. */
const BUFFER_BYTES = { first: 4 * 1024, largest: 64 * 1024 };

/** One of a command's two output streams. It delivers a chunk, and reads the next one only when told to. */
class Pipe {
  readonly stream: OutputStream;
  readonly #ended = Promise.withResolvers<void>();
  readonly #reader: ReadableStreamBYOBReader;
  readonly #give: (pipe: Pipe, bytes: Uint8Array) => void;
  #going = Promise.withResolvers<void>();
  #cancelled = false;
  #left = Infinity;
  #reading = false;
  #checks = 0;

  constructor(
    stream: OutputStream,
    readable: ReadableStream<Uint8Array>,
    give: (pipe: Pipe, bytes: Uint8Array) => void,
  ) {
    this.stream = stream;
    this.#reader = readable.getReader({ mode: "byob" });
    this.#give = give;
  }

  /** Starts reading. */
  start(): void {
    void this.#run().catch(() => {}).then(this.#ended.resolve);
  }

  /** Resolves when there is nothing more to read. Never fails. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Continues reading, since the last chunk was handled. */
  goOn(): void {
    this.#going.resolve();
  }

  /** Limits the number of bytes that are still read. */
  limit(bytes: number): void {
    this.#left = bytes;
  }

  /** Checks whether the pipe is empty at the moment, and ends reading after it was empty often enough. */
  check(): void {
    if (this.#reading && ++this.#checks >= REST.checks) this.cancel();
  }

  /** Stops reading. */
  cancel(): void {
    this.#cancelled = true;
    this.#going.resolve();
    void this.#reader.cancel().catch(() => {});
  }

  async #run(): Promise<void> {
    // The buffer is small at first, since most commands write little and there may be many of them. One buffer per pipe
    // suffices, since each chunk is handled before the next is read.
    let buffer = new Uint8Array(BUFFER_BYTES.first);
    while (!this.#cancelled && this.#left > 0) {
      this.#reading = true;
      const { value, done } = await this.#reader.read(buffer);
      this.#reading = false;
      if (done) return;
      this.#left -= value.length;
      this.#going = Promise.withResolvers();
      this.#give(this, value);
      await this.#going.promise;
      const isFull = value.length === value.buffer.byteLength;
      const grows = isFull && value.length < BUFFER_BYTES.largest;
      buffer = new Uint8Array(grows ? new ArrayBuffer(BUFFER_BYTES.largest) : value.buffer);
    }
    this.cancel();
  }
}

/** Waits for a promise for at most `ms` milliseconds. Returns whether it resolved in time. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const timeout = Promise.withResolvers<false>();
  const timer = setTimeout(() => timeout.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
