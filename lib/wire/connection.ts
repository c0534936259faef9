/**
 * A connection as a stream of bytes: buffered reads and writes, deadlines, and the reason why it ended. It knows
 * nothing of framing, which `frames.ts` adds.
 *
 * @module
 */

import { FerryError, toFerryError } from "../core/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ByteStream, type ConnectionOptions, discardRest, type Pace } from "./byte_stream.ts";
import { Deadlines, type Direction } from "./deadlines.ts";
import { InputBuffer } from "./input_buffer.ts";
import { OutputBuffer } from "./output_buffer.ts";
import { Pieces } from "./pieces.ts";

/** A connection. One read and one write may be in progress at the same time. */
export class ByteConnection {
  /** Provides buffers, digests and the clock. */
  readonly runtime: Runtime;
  readonly #stream: ByteStream;
  readonly #deadlines: Deadlines;
  readonly #pace: Pace | undefined;

  /** Bytes that were received but not requested yet. */
  protected input: InputBuffer;
  /** A read-ahead into {@linkcode ByteConnection.input}; it resolves to false at the end of the connection. */
  #ahead: Promise<boolean> | undefined;
  #reading = false;

  readonly #output: OutputBuffer;
  /** The last write, which runs after those before it. */
  #sending: Promise<void> | undefined;

  /** The pieces of a compressed connection. */
  #pieces: Pieces | undefined;

  #failure: FerryError | undefined;
  #writeFailure: FerryError | undefined;
  #closed = false;

  /** The number of bytes that were passed to this connection to be sent. */
  bytesTaken = 0;

  /** How many of those bytes the stream has accepted. */
  protected bytesSent = 0;

  /** Creates a connection on an open stream, which it owns from now on. */
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
   * Reads at least one byte; null at the end of the connection.
   *
   * @param limit the maximum number of bytes
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
   * Waits for bytes. Returns false if the connection ends before any are received.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  comes(): Promise<boolean> {
    return this.fill(1);
  }

  /** Waits for bytes for at most `ms` milliseconds. Returns whether any were received. */
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
   * Watches for the end of the connection while nobody reads, until the returned value is disposed of. `onEnd` is
   * called when the peer closes its direction or, with the error, when the connection breaks. Bytes that the peer sends
   * meanwhile are buffered. If they fill the buffer, an end that follows them is not noticed.
   */
  watch(onEnd: (failure?: FerryError) => void): Disposable {
    let watching = true;
    const watch = async () => {
      if (!await this.readWhile(() => watching) && watching) onEnd();
    };
    watch().catch((error) => watching && onEnd(toFerryError(error)));
    return { [Symbol.dispose]: () => void (watching = false) };
  }

  /** Reads until the input buffer contains at least `count` bytes. Returns false if the connection ended before. */
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

  /** Whether a read-ahead is in progress. */
  protected get readingAhead(): boolean {
    return this.#ahead !== undefined;
  }

  /** Whether a read is in progress. */
  protected get reading(): boolean {
    return this.#reading || (this.#pieces?.reader.reading ?? false);
  }

  /** Reads ahead while a condition is true and there is room. Returns false if the connection ended. */
  protected async readWhile(goOn: () => boolean): Promise<boolean> {
    while (goOn() && !this.input.full) {
      if (!await this.#readAhead()) return false;
      this.readSomeAhead();
    }
    return true;
  }

  /** Called when bytes were read ahead. */
  protected readSomeAhead(): void {}

  /** Reads ahead once into the input buffer. Returns false at the end of the connection. */
  #readAhead(): Promise<boolean> {
    const read = async () => {
      const room = this.#room(this.input.length + 1);
      const more = this.#took(await this.#read(room), room);
      // At the end of the connection it is kept, so that nothing is read again.
      if (more) this.#ahead = undefined;
      return more;
    };
    return this.#ahead ??= read();
  }

  /** Free space in the input buffer, which is to contain `count` bytes in all. */
  #room(count: number): Uint8Array {
    const room = this.input.room(count);
    if (room.length > 0) return room;
    throw new FerryError("busy", "too many long headers are being received");
  }

  /** Counts bytes that were read into the input buffer. Returns false if the read was at the end of the connection. */
  #took(filled: number | null, room: Uint8Array): boolean {
    if (filled === null) return false;
    this.input.add(filled, room);
    return true;
  }

  /**
   * Appends bytes to those written before. What does not fit into the output buffer is sent immediately. The caller may
   * reuse the array when this resolves.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.bytesTaken += bytes.length;
    if (this.#output.isTooDearFor(bytes.length)) {
      await this.flush();
      // Returned without await, so that this function's state is not kept in memory while the peer reads slowly.
      return this.#send(bytes);
    }
    for (let rest = bytes; rest.length > 0;) {
      if (this.#output.isNeedlessFor(rest.length)) return await this.#send(rest);
      rest = this.#output.add(rest);
      if (this.#output.full) await this.flush();
    }
  }

  /** The number of bytes in the output buffer. */
  protected get unsent(): number {
    return this.#output.length;
  }

  /** Whether a write is in progress. */
  protected get sending(): boolean {
    return this.#sending !== undefined;
  }

  /** Sends the contents of the output buffer. Resolves when everything written before has been sent. */
  async flush(): Promise<void> {
    const output = this.#output.take();
    if (!output) return await this.#sending;
    try {
      await this.#send(output.bytes);
    } finally {
      output.lent[Symbol.dispose]();
    }
  }

  /**
   * Sends bytes, bypassing the output buffer, when nothing else is waiting to be sent. No reply is expected for them.
   */
  protected sendAlone(bytes: Uint8Array): Promise<void> {
    return this.#send(bytes, { hold: false });
  }

  /** Sends bytes after all writes before. */
  #send(bytes: Uint8Array, { hold = true } = {}): Promise<void> {
    return this.#queue(() => this.#sendNow(bytes, hold));
  }

  /** Runs a function that sends, after all writes before. */
  #queue(send: () => Promise<void>): Promise<void> {
    const sending = this.#sending ? this.#sending.then(send) : send();
    const sent = () => {
      if (this.#sending === sending) this.#sending = undefined;
    };
    sending.then(sent, sent);
    return this.#sending = sending;
  }

  async #sendNow(bytes: Uint8Array, hold: boolean): Promise<void> {
    // While this side sends, the peer may be waiting for it and need not send anything: no read times out.
    using _hold = hold ? this.#deadlines.hold() : undefined;
    const onSent = (count: number) => void (this.bytesSent += count);
    if (this.#pieces) await this.#pieces.writer.write(bytes, onSent);
    else await this.#transmit(bytes, onSent);
  }

  /** Writes bytes to the stream, at the pace. */
  async #transmit(bytes: Uint8Array, onSent?: (count: number) => void): Promise<void> {
    const pace = this.#pace;
    // The offset up to which the pace allows writing. A stream may accept less than that at once, as one with TLS does;
    // the rest does not wait for the pace again.
    let due = pace ? 0 : bytes.length;
    for (let done = 0; done < bytes.length;) {
      if (pace && due === done) {
        due = Math.min(done + pace.pieceBytes, bytes.length);
        await pace.take(due - done);
      }
      const rest = bytes.subarray(done, due);
      const count = await this.#guard("write", () => this.#stream.write(rest), true);
      done += count;
      onSent?.(count);
    }
  }

  /**
   * Begins to compress: from now on, both directions consist of pieces. Deadlines and the pace apply to the compressed
   * bytes. Nothing may be waiting to be sent, and nobody may be reading.
   *
   * @param level how hard this side tries
   * @param options `tellsIdle` is true where the peer reads all the time, so that it is told to free its memory when
   * this side has not compressed anything for a while
   */
  async compress(level: number, { tellsIdle }: { tellsIdle: boolean }): Promise<void> {
    const zstd = await import("../compression/zstd.ts");
    const { buffers } = this.runtime;
    const assertOpen = () => this.#assertOpen();
    assertOpen();
    const pieces: Pieces = new Pieces(zstd, level, {
      buffers,
      // Bytes that follow the last uncompressed message belong to pieces.
      input: this.input,
      receive: (into) => this.#receive(into),
      send: (bytes) => this.#transmit(bytes),
      onIdle: () =>
        void this.#queue(() => pieces.writer.forget({ tell: tellsIdle })).catch(() => {}),
    });
    this.input = new InputBuffer(buffers, assertOpen);
    this.#pieces = pieces;
  }

  /**
   * Closes the connection so that the peer can still read what was sent last. Closing with unread input would reset the
   * connection, and the reset could discard sent data.
   */
  async closeGracefully(): Promise<void> {
    try {
      await this.flush().catch(() => {});
      await this.#stream.closeWrite();
      const { trash } = this.runtime.buffers;
      await discardRest(this.#stream, trash, () => this.close());
    } catch {
      // The peer is gone, or did not close in time: no reason to wait any longer.
    } finally {
      this.close();
    }
  }

  /** Closes the connection immediately. Pending reads and writes fail with `reason`, or with `closed`. */
  close(reason?: FerryError): void {
    this.#failure ??= reason;
    if (this.#closed) return;
    this.#closed = true;
    this.#pieces?.close();
    this.input.release();
    this.#output.release();
    try {
      this.#stream.close();
    } catch {
      // The runtime has already closed it after an error.
    }
  }

  /** Whether {@linkcode ByteConnection.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Stops sending in the middle of a message: the peer sees the connection end there, and can still reply. Later writes
   * fail with `reason`.
   */
  endWrites(reason: FerryError): void {
    this.#writeFailure ??= reason;
    this.#stream.closeWrite().catch(() => {});
  }

  /** Whether data can still be sent. */
  get writable(): boolean {
    return !this.#closed && this.#writeFailure === undefined;
  }

  /** How many milliseconds longer than the idle timeout the peer may be silent from now on. Default: 0. */
  set patience(ms: number) {
    this.#deadlines.patience = ms;
  }

  /** How long the peer may be silent, in milliseconds. */
  protected get idleTimeout(): number {
    return this.#deadlines.idleTimeout;
  }

  /**
   * Suspends the read timeout until the returned value is disposed of, because this side is busy and not the peer. A
   * pending read then has at least the whole idle timeout again.
   */
  hold(): Disposable {
    return this.#deadlines.hold();
  }

  /** Whether the peer need not keep the minimum rate at the moment, since it is not transferring a message. */
  protected get pausing(): boolean {
    return this.input.length === 0;
  }

  /** Whether any data from the peer proves that it is alive, so that a stalled write does not time out. */
  protected get hearsLife(): boolean {
    return false;
  }

  /** The reason why the connection was closed; undefined if it was not. */
  protected get endReason(): FerryError | undefined {
    if (!this.#closed) return undefined;
    return this.#failure ?? new FerryError("closed", "connection closed");
  }

  #assertOpen(): void {
    const reason = this.endReason;
    if (reason) throw reason;
  }

  #read(into: Uint8Array): Promise<number | null> {
    return this.#pieces?.reader.read(into).catch((error) => {
      throw this.endReason ?? error;
    }) ?? this.#receive(into);
  }

  /** Reads from the stream. */
  #receive(into: Uint8Array): Promise<number | null> {
    const room = this.#pace ? into.subarray(0, this.#pace.pieceBytes) : into;
    const paced = !this.pausing || (this.#pieces?.reader.insidePiece ?? false);
    return this.#guard("read", () => this.#stream.read(room), paced);
  }

  /** Runs one read or write with the deadlines. */
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
      // The connection was closed meanwhile: the result is no longer of use.
      this.#assertOpen();
      const waiting = direction === "read" ? this.#wasRead(count ?? 0) : undefined;
      if (waiting) await waiting;
      return count;
    } catch (error) {
      // A TLS connection that ends without a close_notify alert is treated as one that was closed: truncation is
      // detected by the lengths of messages, as without TLS.
      const ended = direction === "read" && error instanceof Deno.errors.UnexpectedEof;
      if (ended && !this.#closed) return null as Count;
      const failure = this.#failure ?? toFerryError(error);
      // It is unknown how much was sent, so nothing more can be sent. Data from the peer can still be read.
      if (direction === "write") this.#writeFailure ??= failure;
      throw failure;
    } finally {
      if (direction === "read") this.#reading = false;
      deadlines.end(direction);
    }
  }

  /** Counts bytes that were received. The caller awaits the result before it reads more. */
  #wasRead(count: number): Promise<void> | undefined {
    if (this.hearsLife) this.#deadlines.lives();
    if (!this.#pace || count === 0) return undefined;
    // While this side waits for the pace, the peer does not count as silent.
    this.#deadlines.end("read");
    return this.#pace.take(count);
  }
}
