/**
 * The bytes of a connection: reads and writes through buffers, whole writes, deadlines, and a state that remembers
 * why it ended. It knows no framing; `frames.ts` adds that.
 *
 * @module
 */

import { FerryError, toFerryError } from "../core/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type DeadlineOptions, Deadlines, type Direction } from "./deadlines.ts";
import { InputBuffer } from "./input_buffer.ts";
import { OutputBuffer } from "./output_buffer.ts";

/** What a {@linkcode ByteConnection} runs over: a `Deno.Conn`, or anything that reads and writes like one. */
export interface ByteStream {
  /** Fills some of `buffer` and tells how much, or null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Takes some of `bytes` and tells how much. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends the outgoing direction only. */
  closeWrite(): Promise<void>;
  /** Ends both directions; a pending read or write fails. */
  close(): void;
}

/** Limits the speed of a connection. */
export interface Pace {
  /** The most bytes that are to be moved at once. */
  readonly pieceBytes: number;
  /** Waits until so many bytes may be moved, or might have been. */
  take(count: number): Promise<void>;
}

/** Options of a {@linkcode ByteConnection}. */
export interface ConnectionOptions extends Omit<DeadlineOptions, "clock"> {
  /** Where memory, digests and the time come from. */
  runtime: Runtime;
  /** Limits the speed of both directions together. Default: none. */
  pace?: Pace | undefined;
}

/** How long a side that closes waits for the other to have read what was sent last, in milliseconds. */
const LINGER_MS = 2000;

/** A connection. One reader and one writer may be at work at the same time. */
export class ByteConnection {
  /** Where memory, digests and the time come from. */
  readonly runtime: Runtime;
  readonly #stream: ByteStream;
  readonly #deadlines: Deadlines;
  readonly #pace: Pace | undefined;

  /** What has come and nobody has asked for yet. */
  protected readonly input: InputBuffer;
  /** A read into {@linkcode ByteConnection.input} that nobody had asked for; it gives false at the end. */
  #ahead: Promise<boolean> | undefined;
  #reading = false;

  readonly #output: OutputBuffer;
  /** The write that is under way, behind those before it. */
  #sending: Promise<void> | undefined;

  #failure: FerryError | undefined;
  #writeFailure: FerryError | undefined;
  #closed = false;

  /** How many bytes this was given to send. */
  bytesTaken = 0;

  /** How many of them the stream has taken. */
  protected bytesSent = 0;

  /** Reads from an open stream and writes to it; from now on the stream is this connection's alone. */
  constructor(stream: ByteStream, options: ConnectionOptions) {
    const { runtime, pace, idleTimeout, minRate } = options;
    const { clock } = runtime;
    const assertOpen = () => this.#assertOpen();
    this.runtime = runtime;
    this.input = new InputBuffer(runtime.buffers, assertOpen);
    this.#output = new OutputBuffer(runtime.buffers, assertOpen);
    this.#stream = stream;
    this.#deadlines = new Deadlines(
      { idleTimeout, minRate, clock },
      (reason) => this.close(reason),
    );
    this.#pace = pace;
  }

  /**
   * Reads some bytes as they come, at least one, or null at the end of the connection.
   *
   * @param limit how many bytes at most
   * @throws {FerryError} `closed`, `timeout`
   */
  async read(into: Uint8Array, limit: number = into.length): Promise<number | null> {
    const wanted = Math.min(into.length, limit);
    if (this.input.length === 0) {
      if (!this.#ahead && this.input.isNeedlessFor(wanted)) {
        this.input.release();
        const count = await this.#read(into.subarray(0, wanted));
        if (count !== null) this.input.passed(count, wanted);
        return count;
      }
      if (!await this.fill(1)) return null;
    }
    return this.input.take(into, wanted);
  }

  /**
   * Whether bytes are there or come, before the connection ends.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  comes(): Promise<boolean> {
    return this.fill(1);
  }

  /** Whether bytes are there, or come within so many milliseconds. */
  async comesWithin(ms: number): Promise<boolean> {
    if (this.input.length > 0) return true;
    const late = Promise.withResolvers<false>();
    const timer = setTimeout(() => late.resolve(false), ms);
    try {
      return await Promise.race([this.#readAhead(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Until the returned value is disposed of, `onEnd` is called when the peer ends its direction of the connection,
   * or the connection breaks, with the reason for that, though nobody waits for the peer's bytes. What the peer
   * sends meanwhile is kept, as far as there is room; an end behind more than that is not seen.
   */
  watch(onEnd: (failure?: FerryError) => void): Disposable {
    let watching = true;
    const watch = async () => {
      if (!await this.readWhile(() => watching) && watching) onEnd();
    };
    watch().catch((error) => watching && onEnd(toFerryError(error)));
    return { [Symbol.dispose]: () => void (watching = false) };
  }

  /** Makes at least `count` bytes stand in the input buffer; false where the connection ended before. */
  protected async fill(count: number): Promise<boolean> {
    while (this.input.length < count) {
      if (this.#ahead) {
        if (!await this.#ahead) return false;
        continue;
      }
      const room = this.#room(count);
      if (!this.#took(await this.#read(room), room)) return false;
    }
    return true;
  }

  /** Whether a read that nobody asked for is under way. */
  protected get readingAhead(): boolean {
    return this.#ahead !== undefined;
  }

  /** Whether a read is under way. */
  protected get reading(): boolean {
    return this.#reading;
  }

  /** Reads ahead while a condition holds and there is room; false where the connection ended. */
  protected async readWhile(goOn: () => boolean): Promise<boolean> {
    while (goOn() && !this.input.full) {
      if (!await this.#readAhead()) return false;
      this.readSomeAhead();
    }
    return true;
  }

  /** Called when bytes were read that nobody had asked for. */
  protected readSomeAhead(): void {}

  /** Reads once into the input buffer, before anybody needs it; false at the end. */
  #readAhead(): Promise<boolean> {
    const read = async () => {
      const room = this.#room(this.input.length + 1);
      const more = this.#took(await this.#read(room), room);
      // At the end it stays, so that nobody reads again.
      if (more) this.#ahead = undefined;
      return more;
    };
    return this.#ahead ??= read();
  }

  /** Room in the input buffer, where `count` bytes are to stand. */
  #room(count: number): Uint8Array {
    const room = this.input.room(count);
    if (room.length > 0) return room;
    throw new FerryError("busy", "too many long headers are on their way");
  }

  /** Counts what was read into the input buffer; false where that was the end. */
  #took(filled: number | null, room: Uint8Array): boolean {
    if (filled === null) return false;
    this.input.add(filled, room);
    return true;
  }

  /**
   * Puts bytes behind what was written last; more than the output buffer takes leaves at once. The bytes may be
   * overwritten when this resolves.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.bytesTaken += bytes.length;
    if (this.#output.isTooDearFor(bytes.length)) {
      await this.flush();
      // Not awaited: this function is not kept for as long as the peer takes.
      return this.#send(bytes);
    }
    for (let rest = bytes; rest.length > 0;) {
      if (this.#output.isNeedlessFor(rest.length)) return await this.#send(rest);
      rest = this.#output.add(rest);
      if (this.#output.full) await this.flush();
    }
  }

  /** How many bytes wait in the output buffer. */
  protected get unsent(): number {
    return this.#output.length;
  }

  /** Whether a write is under way. */
  protected get sending(): boolean {
    return this.#sending !== undefined;
  }

  /** Sends what stands in the output buffer; resolves when all that was written before has left. */
  async flush(): Promise<void> {
    const output = this.#output.take();
    if (!output) return await this.#sending;
    try {
      await this.#send(output.bytes);
    } finally {
      output.lent[Symbol.dispose]();
    }
  }

  /** Sends bytes past the output buffer, while nothing else waits. The peer owes nothing for them. */
  protected sendAlone(bytes: Uint8Array): Promise<void> {
    return this.#send(bytes, { hold: false });
  }

  /** Sends bytes behind all that is on its way. */
  #send(bytes: Uint8Array, { hold = true } = {}): Promise<void> {
    const sending = this.#sending
      ? this.#sending.then(() => this.#sendNow(bytes, hold))
      : this.#sendNow(bytes, hold);
    const sent = () => {
      if (this.#sending === sending) this.#sending = undefined;
    };
    sending.then(sent, sent);
    return this.#sending = sending;
  }

  async #sendNow(bytes: Uint8Array, hold: boolean): Promise<void> {
    // What the peer waits for is on its way to it: until then it may have nothing to say.
    using _hold = hold ? this.#deadlines.hold() : undefined;
    const pace = this.#pace;
    // How far may be written by now. A stream may take less of that at once, as one with TLS does, and is not made
    // to wait for the rest again.
    let due = pace ? 0 : bytes.length;
    for (let done = 0; done < bytes.length;) {
      if (pace && due === done) {
        due = Math.min(done + pace.pieceBytes, bytes.length);
        await pace.take(due - done);
      }
      const rest = bytes.subarray(done, due);
      const count = await this.#guard("write", () => this.#stream.write(rest), true);
      done += count;
      this.bytesSent += count;
    }
  }

  /**
   * Ends the connection so that the peer still gets to read what was sent last: a close with unread input would reset
   * the connection and could overtake it.
   */
  async closeGracefully(): Promise<void> {
    try {
      await this.flush().catch(() => {});
      await this.#stream.closeWrite();
      const deadline = setTimeout(() => this.close(), LINGER_MS);
      try {
        while (await this.#stream.read(this.runtime.buffers.trash) !== null);
      } finally {
        clearTimeout(deadline);
      }
    } catch {
      // The peer is gone, or did not end in time: there is nobody left to be graceful to.
    } finally {
      this.close();
    }
  }

  /** Ends the connection now. Reads and writes under way fail with `reason`, or with `closed`. */
  close(reason?: FerryError): void {
    this.#failure ??= reason;
    if (this.#closed) return;
    this.#closed = true;
    this.input.release();
    this.#output.release();
    try {
      this.#stream.close();
    } catch {
      // Closed by the runtime already, after an error.
    }
  }

  /** Whether {@linkcode ByteConnection.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Gives up sending in the middle of something: the peer sees the connection end there and can still answer. Later
   * writes fail with `reason`.
   */
  endWrites(reason: FerryError): void {
    this.#writeFailure ??= reason;
    this.#stream.closeWrite().catch(() => {});
  }

  /** Whether something can still be sent. */
  get writable(): boolean {
    return !this.#closed && this.#writeFailure === undefined;
  }

  /** For how many milliseconds beyond the idle time the peer may be silent from now on. Default: 0. */
  set patience(ms: number) {
    this.#deadlines.patience = ms;
  }

  /** How long the peer may be silent, in milliseconds. */
  protected get idleTimeout(): number {
    return this.#deadlines.idleTimeout;
  }

  /**
   * Until the returned value is disposed of, no read times out: this side is busy, not the peer. What waits then has
   * at least the whole idle time before it.
   */
  hold(): Disposable {
    return this.#deadlines.hold();
  }

  /** Whether the peer may be as slow as it likes at the moment, since nothing of it is under way. */
  protected get pausing(): boolean {
    return this.input.length === 0;
  }

  /** Whether everything that the peer sends tells that it takes what it is sent. */
  protected get hearsLife(): boolean {
    return false;
  }

  /** Why the connection was closed; undefined where it was not. */
  protected get endReason(): FerryError | undefined {
    if (!this.#closed) return undefined;
    return this.#failure ?? new FerryError("closed", "connection closed");
  }

  #assertOpen(): void {
    const reason = this.endReason;
    if (reason) throw reason;
  }

  #read(into: Uint8Array): Promise<number | null> {
    const room = this.#pace ? into.subarray(0, this.#pace.pieceBytes) : into;
    return this.#guard("read", () => this.#stream.read(room), !this.pausing);
  }

  /** Runs one read or write under the deadlines. */
  async #guard<Count extends number | null>(
    direction: Direction,
    run: () => Promise<Count>,
    paced: boolean,
  ): Promise<Count> {
    const before = this.#failure ?? (direction === "write" ? this.#writeFailure : undefined);
    if (before) throw before;
    const deadlines = this.#deadlines;
    deadlines.begin(direction);
    if (direction === "read") this.#reading = true;
    try {
      const count = await run();
      deadlines.moved(direction, count ?? 0, { paced });
      // What came, or left, at the very end: nobody has a use for it any more.
      this.#assertOpen();
      const waiting = direction === "read" ? this.#wasRead(count ?? 0) : undefined;
      if (waiting) await waiting;
      return count;
    } catch (error) {
      // A TLS connection that ends without the alert that announces it has ended like any other: what was cut off
      // shows by the lengths, as it does without TLS.
      const ended = direction === "read" && error instanceof Deno.errors.UnexpectedEof;
      if (ended && !this.#closed) return null as Count;
      const failure = this.#failure ?? toFerryError(error);
      // How much has left is not known: nothing can follow it. What the peer said can still be read.
      if (direction === "write") this.#writeFailure ??= failure;
      throw failure;
    } finally {
      if (direction === "read") this.#reading = false;
      deadlines.end(direction);
    }
  }

  /** Takes note of bytes that came; what is returned is waited for before more of them are read. */
  #wasRead(count: number): Promise<void> | undefined {
    if (this.hearsLife) this.#deadlines.lives();
    if (!this.#pace || count === 0) return undefined;
    // That this side waits is no silence of the other.
    this.#deadlines.end("read");
    return this.#pace.take(count);
  }
}
