/**
 * A command while it runs: what it reads and writes, its time, and its end with all that it has started.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ExecEnd, OutputStream } from "../../lib/wire/header.ts";
import type { ProcessEnd, ProcessGroup } from "./process_group.ts";

/** The status of a command that was killed because the time was up, as timeout(1) has it. */
const TIMED_OUT_STATUS = 124;

/** What a command is limited to. */
export interface Limits {
  /** Milliseconds. */
  timeout: number;
  /** Bytes, both streams together. */
  outputLimit: number;
}

/** A piece of a command's output. */
export interface OutputPiece {
  /** Where it was written. */
  stream: OutputStream;
  /** What was written; good until the next piece is asked for. */
  bytes: Uint8Array;
  /** Whether another piece is there already. */
  more: boolean;
}

/** How long what a command has left behind may go on writing before it is killed, in milliseconds. */
const LINGER_MS = 500;

/**
 * How long the client waits for the end of what is being ended, in milliseconds. That takes longer than SIGTERM and
 * SIGKILL take where no signal can be sent for the moment, and where the system has stopped a process in itself.
 */
const ENDING_MS = 5000;

/**
 * What may still be read when nobody of the group is left: as much as stands in a pipe, of which Linux allows
 * no larger ones by default, and with that many looks, so many milliseconds apart, at which there was nothing.
 */
const REST = { bytes: 1024 * 1024, looks: 10, pause: 50 };

/** A command that runs. Whoever has it MUST dispose of it, which kills what is left of it. */
export class RunningCommand implements AsyncDisposable {
  /** Milliseconds after which it is killed. */
  readonly timeout: number;
  readonly #group: ProcessGroup;
  readonly #outputLimit: number;
  readonly #pipes: readonly Pipe[];
  readonly #watching: Promise<void>;
  readonly #aborted = Promise.withResolvers<void>();
  #failure: FerryError | undefined;
  #timedOut = false;
  #finished = false;
  #end: ExecEnd | undefined;
  /** Pieces that nobody has taken yet: at most one of each pipe. */
  readonly #pieces: { pipe: Pipe; bytes: Uint8Array }[] = [];
  #arrived = Promise.withResolvers<void>();

  /** A command that has just been started. */
  constructor(group: ProcessGroup, { timeout, outputLimit }: Limits) {
    this.timeout = timeout;
    this.#group = group;
    this.#outputLimit = outputLimit;
    this.#pipes = (["stdout", "stderr"] as const).map((stream) =>
      new Pipe(stream, group.output[stream], (pipe, bytes) => {
        this.#pieces.push({ pipe, bytes });
        this.#arrived.resolve();
      })
    );
    this.#watching = this.#watch();
  }

  /** The number of the process group. */
  get pid(): number {
    return this.#group.pid;
  }

  /**
   * What it writes, as it comes, in order within each stream; it is not read further while nobody takes it.
   * Ends when the command has ended and nothing is left of it.
   *
   * @returns how the command ended
   * @throws {FerryError} `too_large` where it wrote more than it may; the reason of an abort
   */
  async *output(): AsyncGenerator<OutputPiece, ExecEnd, void> {
    let room = this.#outputLimit;
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece && !this.#failure) {
        const { pipe, bytes } = piece;
        const taken = bytes.subarray(0, room);
        room -= taken.length;
        const more = this.#pieces.length > 0;
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

  /** Writes to its standard input; waits while it does not read, and does nothing once it never will. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#group.write(bytes);
  }

  /** Ends its standard input. */
  async closeInput(): Promise<void> {
    await this.#group.closeInput();
  }

  /** Kills it; `output` fails with the reason when nothing is left of it. */
  abort(reason: FerryError): void {
    if (this.#finished) return;
    this.#failure ??= reason;
    this.#aborted.resolve();
  }

  /** Kills what is left of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#finished) this.abort(new FerryError("closed", "nobody waits for it"));
    await this.#watching;
  }

  async #watch(): Promise<void> {
    try {
      const end = await this.#seeItEnd();
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

  /** Waits until it has ended or has to, then ends what is left of it. */
  async #seeItEnd(): Promise<ProcessEnd> {
    const ended = Promise.all(this.#pipes.map((pipe) => pipe.ended));
    const aborted = this.#aborted.promise;
    const exited = Promise.race([this.#group.status, aborted]);
    this.#timedOut = !await within(this.timeout, exited);
    // What the command has started may be writing its last.
    if (!this.#failure && !this.#timedOut) await within(LINGER_MS, Promise.race([ended, aborted]));
    if (!await within(ENDING_MS, this.#group.end())) {
      for (const pipe of this.#pipes) pipe.cancel();
      throw new FerryError("io", "its processes could not be ended yet");
    }
    if (!this.#failure) {
      // Whoever still holds a pipe has left the group, and nobody waits for it.
      for (const pipe of this.#pipes) pipe.limit(REST.bytes);
      const looking = setInterval(() => {
        for (const pipe of this.#pipes) pipe.look();
      }, REST.pause);
      await Promise.race([ended, aborted]);
      clearInterval(looking);
    }
    for (const pipe of this.#pipes) pipe.cancel();
    await ended;
    return await this.#group.status;
  }
}

/** The buffers in which output is read: a small one, and a large one where that is filled, as large as a pipe. */
const BUFFER_BYTES = { first: 4 * 1024, largest: 64 * 1024 };

/** One of a command's two streams of output. It gives a piece, and reads on when it is told to. */
class Pipe {
  readonly stream: OutputStream;
  /** Resolves when there is nothing more to read; never fails. */
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #give: (pipe: Pipe, bytes: Uint8Array) => void;
  #going = Promise.withResolvers<void>();
  #cancelled = false;
  #left = Infinity;
  #reading = false;
  #looks = 0;

  constructor(
    stream: OutputStream,
    readable: ReadableStream<Uint8Array>,
    give: (pipe: Pipe, bytes: Uint8Array) => void,
  ) {
    this.stream = stream;
    this.#reader = readable.getReader({ mode: "byob" });
    this.#give = give;
    this.ended = this.#run().catch(() => {});
  }

  /** Reads on: the last piece has been dealt with. */
  goOn(): void {
    this.#going.resolve();
  }

  /** Gives no more than so many bytes. */
  limit(bytes: number): void {
    this.#left = bytes;
  }

  /** Takes note of whether it is empty at the moment, and reads no more when it has often been. */
  look(): void {
    if (this.#reading && ++this.#looks >= REST.looks) this.cancel();
  }

  /** Reads no more. */
  cancel(): void {
    this.#cancelled = true;
    this.#going.resolve();
    void this.#reader.cancel().catch(() => {});
  }

  async #run(): Promise<void> {
    // Most commands write little, and there may be many of them. One buffer does for all that a pipe gives,
    // since each piece has been dealt with before the next is read.
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

/** Waits for a promise, but not for long; whether it came in time. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const timeout = Promise.withResolvers<false>();
  const timer = setTimeout(() => timeout.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
