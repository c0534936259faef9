/**
 * Frames on a connection: exact reads whatever the segmentation, whole writes, deadlines, and limits
 * that are checked before anything is allocated. docs/protocol/core.md specifies the bytes.
 *
 * @module
 */

import { type LentBuffer, SMALL_BUFFER } from "../core/buffer_pool.ts";
import { type Algorithm, type Checksum, emptyChecksum } from "../core/checksum.ts";
import { FerryError, type Place, toFerryError } from "../core/errors.ts";
import { type Runtime, SHARED_RUNTIME } from "../runtime/runtime.ts";
import { foreignProtocol } from "./foreign_protocol.ts";
import { type ClosingHeader, isClosing, parseClosing } from "./closing_header.ts";
import { throwReported } from "./error_reply.ts";
import {
  decodeHeader,
  encodeHeader,
  type Header,
  MAX_HEADER_BYTES,
  MIN_HEADER_BYTES,
} from "./codec.ts";
import { Heartbeat, isSignOfLife, SIGN_OF_LIFE } from "./keep_alive.ts";
import { type Direction, Watchdog, type WatchdogOptions } from "./deadlines.ts";

/** What a {@linkcode Wire} runs over: a `Deno.Conn`, or anything that reads and writes like one. */
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

/** Holds the speed of a connection. */
export interface Pace {
  /** The most that is to be moved at once. */
  readonly pieceBytes: number;
  /** Waits until so many bytes may be moved, or might have been. */
  take(count: number): Promise<void>;
}

/** Options of a {@linkcode Wire}. */
export interface WireOptions extends WatchdogOptions {
  /** What memory, digests and the time come from. */
  runtime?: Runtime | undefined;
  /** Holds the speed of both directions together; any unless told otherwise. */
  pace?: Pace | undefined;
  /** Where the other side's errors are said to have happened. Default: `peer`. */
  peerSide?: Place["side"] | undefined;
}

/** One message: its header, and its body, which is to be read or drained before the next one. */
export interface Frame {
  /** The header. */
  readonly header: Header;
  /** The body; one that is empty has ended already. */
  readonly body: IncomingBody;
}

/**
 * How much of its standard input a command may leave unread so that the connection can go on: what is on its
 * way when the command ends, in the buffers of two systems, is more than {@linkcode MAX_DRAIN_BYTES}.
 */
export const MAX_UNREAD_INPUT_BYTES: bigint = 16n * 1024n * 1024n;

/** The longest error body that is read and thrown away so that a connection can go on. */
export const MAX_DRAIN_BYTES: bigint = 1024n * 1024n;

const LENGTH_BYTES = 4;

/** The most that is read at once where it is not known whether anything comes: most requests fit. */
export const IDLE_BUFFER: number = 1024;

const INPUT_BUFFER = 256 * 1024;
const OUTPUT_BUFFER = 64 * 1024;
/** How long a closing side waits for the other to have read its last words. */
const LINGER_MS = 2000;

/** One in which nobody gives signs of life. */
const NO_CONVERSATION: Disposable = { [Symbol.dispose]() {} };

/** A connection that carries frames. One reader and one writer may be at work at the same time. */
export class Wire {
  readonly #stream: ByteStream;
  readonly #watchdog: Watchdog;
  readonly #idleTimeout: () => number;
  readonly #pace: Pace | undefined;
  /** What memory, digests and the time come from. */
  readonly runtime: Runtime;
  /** See {@linkcode WireOptions.peerSide}. */
  readonly peerSide: Place["side"];
  /** There is none before {@linkcode Wire.keepAlive}: a silent connection is to cost little. */
  #heartbeat: Heartbeat | undefined;

  // Bytes that have come but were not asked for yet stand in #input between #start and #end. Who waits for
  // a message has a tiny buffer, since a server holds one for each silent connection. It grows when a read
  // fills it, since small messages are fastest when many come at once.
  #input: LentBuffer | undefined;
  #start = 0;
  #end = 0;
  /** Whether the last read filled all the room there was, so that more was probably waiting. */
  #crowded = false;
  /** How large the buffer becomes when a read fills it. */
  #inputRoom = 2 * SMALL_BUFFER;

  // Small writes gather in #output, so that a header and the first bytes of its body leave together.
  #output: LentBuffer | undefined;
  #pending = 0;
  /** What is on its way. */
  #sending: Promise<void> | undefined;
  /** How many bytes of the body that was begun are still to be written, and whether pieces of one are. */
  #owed = 0n;
  #streaming = false;
  /** See {@linkcode Wire.keepAlive}. */
  #answers = false;
  /** How many bytes had left when it was looked at last whether a sign of life is due. */
  #bytesAtBeat = 0;

  /** A read into #input that nobody had asked for yet; it gives false at the end of the connection. */
  #ahead: Promise<boolean> | undefined;
  /** Whether a read is under way, how many wait for bytes in #input, and whether it is read for signs of life. */
  #reading = false;
  #filling = 0;
  #listening = false;

  #body: IncomingBody | undefined;
  #failure: FerryError | undefined;
  #writeFailure: FerryError | undefined;
  #closed = false;

  /**
   * Whether headers have a checksum of their own: `sent` adds one to each that is sent, `required` refuses one
   * that comes without it as well. One that has a wrong one is refused in any case.
   */
  headerChecksums: "off" | "sent" | "required" = "off";

  /** How many bytes this was given to send. */
  bytesTaken = 0;

  /** How many of them have been handed to the connection. */
  bytesWritten = 0;

  /** Frames over an open connection, which the wire owns from now on. */
  constructor(stream: ByteStream, options: WireOptions) {
    const { idleTimeout } = options;
    this.#stream = stream;
    this.runtime = options.runtime ?? SHARED_RUNTIME;
    this.#watchdog = new Watchdog(options, (reason) => this.close(reason));
    this.#idleTimeout = typeof idleTimeout === "number" ? () => idleTimeout : idleTimeout;
    this.#pace = options.pace;
    this.peerSide = options.peerSide ?? "peer";
  }

  /**
   * From now on both sides say that they are still there, while there is a {@linkcode Wire.converse} and nothing
   * else to say. A pause between two messages is no silence then, however long, nor is a write that moves
   * nothing: only a peer that gives no sign of life is given up.
   *
   * @param peerTimeout milliseconds after which the peer takes silence for the end
   * @param answers whether this side owes the other an answer for as long as there is a conversation. The one that
   * asks says nothing while it waits for an answer and has said all: of two that wait for each other, one gives up
   */
  keepAlive(peerTimeout: number, { answers }: { answers: boolean }): void {
    this.#answers = answers;
    this.#heartbeat ??= new Heartbeat(() => this.#beat());
    this.#heartbeat.start(Math.min(peerTimeout, this.#idleTimeout()));
  }

  /** Whether {@linkcode Wire.keepAlive} was called. */
  get keepsAlive(): boolean {
    return this.#heartbeat !== undefined;
  }

  /** Until the returned value is disposed of, the peer is owed something, or owes it: see {@linkcode Wire.keepAlive}. */
  converse(): Disposable {
    return this.#heartbeat?.converse() ?? NO_CONVERSATION;
  }

  /** Sends a sign of life where that is possible and nothing else has left since it was looked at last. */
  #beat(): void {
    if (!this.writable) return;
    const idle = this.bytesWritten === this.#bytesAtBeat;
    this.#bytesAtBeat = this.bytesWritten;
    if (this.#sending) {
      // The peer takes nothing: whether it lives shows by what it sends, and maybe nobody reads that.
      if (idle) void this.#listen().catch(() => {});
    } else if (this.#pending > 0) this.flush().catch(() => {});
    else if (idle && this.#owed <= 0n && (this.#answers || this.#streaming || !this.#reading)) {
      const sign = this.#encode(SIGN_OF_LIFE);
      this.#bytesAtBeat += sign.length;
      this.#write(sign, { hold: false }).catch(() => {});
    }
  }

  /** Reads ahead for as long as what was sent does not leave, if nobody reads. */
  async #listen(): Promise<void> {
    if (this.#listening || this.#reading) return;
    this.#listening = true;
    try {
      await this.#readWhile(() => this.#sending !== undefined);
    } finally {
      this.#listening = false;
    }
  }

  /** Reads ahead while a condition holds and there is room; false where the connection ended. */
  async #readWhile(goOn: () => boolean): Promise<boolean> {
    while (goOn() && !this.#full) {
      if (!await this.#readAhead()) return false;
      this.#dropSignsOfLife();
    }
    return true;
  }

  /** Takes the signs of life away that stand where the next message is expected, if nobody waits for that. */
  #dropSignsOfLife(): void {
    if (!this.keepsAlive || this.#filling > 0 || !(this.#body?.betweenMessages ?? true)) return;
    try {
      for (let end; this.#start < (end = this.#endOfHeader());) {
        const header = this.#decode(this.#inputBytes.subarray(this.#start + LENGTH_BYTES, end));
        if (!isSignOfLife(header) || header.total_size !== 0n) return;
        this.#start = end;
      }
    } catch {
      // Whoever reads it will be told.
    }
  }

  /** Where the header ends that stands at the front of the input buffer; its start where it is not whole. */
  #endOfHeader(): number {
    const there = this.#end - this.#start - LENGTH_BYTES;
    const whole = there >= 0 && there >= this.#headerLength();
    return whole ? this.#start + LENGTH_BYTES + this.#headerLength() : this.#start;
  }

  /**
   * The next message, or null where the peer ended the connection between two messages.
   *
   * @throws {FerryError} `bad_header`, `checksum_mismatch` for a header that was damaged, `closed` in the middle
   * of one, `timeout`
   */
  readFrame(): Promise<Frame | null> {
    if (this.#body && !this.#body.ended) {
      if (this.#closed) return Promise.reject(this.#reason);
      const failure = new FerryError("internal", "the body before this message was not read");
      return Promise.reject(failure);
    }
    return this.readHeader().then((header) => {
      if (!header) return null;
      this.#body = new IncomingBody(this, header);
      return { header, body: this.#body };
    });
  }

  /**
   * The next header, or null where the connection ended in front of it. Only
   * {@linkcode Wire.readFrame} and {@linkcode IncomingBody} call this: they know what follows it.
   *
   * @throws {FerryError} `bad_header`, `checksum_mismatch` for a header that was damaged, `closed` in the middle
   * of one, `timeout`
   */
  async readHeader(): Promise<Header | null> {
    for (;;) {
      this.#filling++;
      const header = await this.#readOneHeader().finally(() => this.#filling--);
      if (!header || !this.keepsAlive || !isSignOfLife(header)) return header;
      if (header.total_size !== 0n) {
        throw new FerryError("bad_header", "a sign of life has a body");
      }
    }
  }

  async #readOneHeader(): Promise<Header | null> {
    if (!await this.#fill(LENGTH_BYTES)) {
      if (this.#start === this.#end) return null;
      throw new FerryError("closed", "the connection ended inside a header's length");
    }
    const length = this.#headerLength();
    if (length < MIN_HEADER_BYTES || length > MAX_HEADER_BYTES) {
      const first = this.#inputBytes.subarray(this.#start, this.#start + LENGTH_BYTES);
      const foreign = foreignProtocol(first);
      const hint = foreign === undefined ? "" : `; the other side seems to speak ${foreign}`;
      throw new FerryError(
        "bad_header",
        `the header's length is ${length}; it must be ${MIN_HEADER_BYTES} to ${MAX_HEADER_BYTES}` +
          hint,
      );
    }
    if (!await this.#fill(LENGTH_BYTES + length)) {
      throw new FerryError("closed", "the connection ended inside a header");
    }
    const from = this.#start + LENGTH_BYTES;
    this.#start = from + length;
    const header = this.#decode(this.#inputBytes.subarray(from, this.#start));
    // What follows may take long, and needs no room for a next message.
    if (this.#start === this.#end && !this.#ahead) this.#releaseInput();
    return header;
  }

  #decode(bytes: Uint8Array): Header {
    return decodeHeader(bytes, { checksum: this.headerChecksums === "required" });
  }

  /** Whether a whole header is here already, so that reading it does not wait for the peer. */
  hasHeader(): boolean {
    this.#dropSignsOfLife();
    return this.#start < this.#endOfHeader();
  }

  #headerLength(): number {
    return new DataView(this.#inputBytes.buffer, this.#start, LENGTH_BYTES).getInt32(0, true);
  }

  /**
   * Some bytes of the current body, at most `limit`, at least one.
   * Only {@linkcode IncomingBody} calls this.
   *
   * @throws {FerryError} `closed` where the connection ends, `timeout`
   */
  async readSome(into: Uint8Array, limit: number): Promise<number> {
    const wanted = Math.min(into.length, limit);
    const buffered = this.#end - this.#start;
    // Where no more comes than there is room for, a second buffer would only wait beside the first.
    const least = this.#crowded ? this.runtime.buffers.sizeOf(this.#inputRoom) : IDLE_BUFFER;
    if (buffered === 0 && !this.#ahead && wanted >= least) {
      this.#releaseInput();
      const count = await this.#read(into.subarray(0, wanted)) ?? this.#cut();
      this.#crowded = count === wanted;
      return count;
    }
    if (buffered === 0 && !await this.#fill(1)) return this.#cut();
    return this.#take(into, wanted);
  }

  /** Hands on what stands in the input buffer, as much as is wanted of it. */
  #take(into: Uint8Array, wanted: number): number {
    const count = Math.min(wanted, this.#end - this.#start);
    into.set(this.#inputBytes.subarray(this.#start, this.#start + count));
    this.#start += count;
    return count;
  }

  #cut(): never {
    throw new FerryError("closed", "the connection ended in the middle of a body");
  }

  /** Makes at least `count` bytes stand in the input buffer; false where the peer ended before. */
  async #fill(count: number): Promise<boolean> {
    while (this.#end - this.#start < count) {
      if (this.#ahead) {
        if (!await this.#ahead) return false;
        continue;
      }
      const room = this.#makeRoom(count);
      if (!this.#took(room, await this.#read(room))) return false;
    }
    return true;
  }

  /** Counts what was read into the input buffer; false where that was its end. */
  #took(room: Uint8Array, filled: number | null): boolean {
    if (filled === null) return false;
    this.#end += filled;
    this.#crowded = filled === room.length;
    if (this.#crowded) {
      const larger = Math.max(this.#inputRoom, 2 * this.#inputBytes.length);
      this.#inputRoom = Math.min(larger, INPUT_BUFFER);
    }
    return true;
  }

  /** Reads once into the input buffer, before anybody needs it; false at the end. */
  #readAhead(): Promise<boolean> {
    const read = async () => {
      const room = this.#makeRoom(this.#end - this.#start + 1);
      const more = this.#took(room, await this.#read(room));
      // At the end it stays, so that nobody reads again.
      if (more) this.#ahead = undefined;
      return more;
    };
    return this.#ahead ??= read();
  }

  /**
   * Until the returned value is disposed of, `onEnd` is told when the peer ends its direction of the
   * connection, or the connection breaks, for the reason that it is given then, though nobody waits for the
   * peer's bytes. What it sends meanwhile is kept for later, as far as there is room; what lies behind that
   * is not seen.
   */
  watch(onEnd: (failure?: FerryError) => void): Disposable {
    let watching = true;
    const watch = async () => {
      if (!await this.#readWhile(() => watching) && watching) onEnd();
    };
    watch().catch((error) => watching && onEnd(toFerryError(error)));
    return { [Symbol.dispose]: () => void (watching = false) };
  }

  /** Whether nothing more can be read before something is taken. */
  get #full(): boolean {
    const size = this.#input?.bytes.length ?? 0;
    if (size === 0 || this.#end - this.#start < size) return false;
    return size === INPUT_BUFFER || !this.runtime.buffers.has(2 * size);
  }

  /**
   * Some bytes as they come, at least one, or null at the end of the connection: for what is not framed.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  async readBytes(into: Uint8Array): Promise<number | null> {
    if (!await this.#fill(1)) return null;
    return this.#take(into, into.length);
  }

  /**
   * Whether bytes are there or come, before the connection ends.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  comes(): Promise<boolean> {
    return this.#fill(1);
  }

  /** Whether bytes are there, or come within so many milliseconds. */
  async comesWithin(ms: number): Promise<boolean> {
    if (this.#end > this.#start) return true;
    const late = Promise.withResolvers<false>();
    const timer = setTimeout(() => late.resolve(false), ms);
    try {
      return await Promise.race([this.#readAhead(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Room behind what stands in the input buffer, for some of the `count` bytes that it is to hold. */
  #makeRoom(count: number): Uint8Array {
    const buffered = this.#end - this.#start;
    // Where it is not known whether anything comes, no large buffer waits for it; and a header that is
    // announced and does not come costs no more than what has come of it.
    this.#resizeInput(this.#crowded ? this.#inputRoom : buffered === 0 ? IDLE_BUFFER : 0);
    const bytes = this.#inputBytes;
    if (buffered === 0 || this.#start + count > bytes.length || this.#end === bytes.length) {
      bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
      this.#end = buffered;
    }
    if (this.#end < bytes.length) return bytes.subarray(this.#end);
    throw new FerryError("busy", "too many long headers are on their way");
  }

  /** Goes on with a buffer of another size where that is of use; 0 is any that there is. */
  #resizeInput(size: number): void {
    const old = this.#input;
    const now = old?.bytes.length ?? 0;
    if (size === now || size === 0) return;
    if (old && size > now && !this.runtime.buffers.has(2 * now)) return;
    const fresh = this.#lend(size);
    if (old) fresh.bytes.set(old.bytes.subarray(this.#start, this.#end));
    const buffered = this.#end - this.#start;
    this.#releaseInput();
    this.#input = fresh;
    this.#end = buffered;
  }

  /** A connection that has ended gets none: it would not give it back. */
  #lend(size: number): LentBuffer {
    this.#assertOpen();
    return this.runtime.buffers.lend(size);
  }

  /** What bytes come into; it is there from the first read on, until the connection ends. */
  get #inputBytes(): Uint8Array<ArrayBuffer> {
    if (!this.#input) this.#assertOpen();
    return this.#input!.bytes;
  }

  #assertOpen(): void {
    if (this.#closed) throw this.#reason;
  }

  /** Why it was closed. */
  get #reason(): FerryError {
    return this.#failure ?? new FerryError("closed", "connection closed");
  }

  #releaseInput(): void {
    this.#input?.[Symbol.dispose]();
    this.#input = undefined;
    this.#start = this.#end = 0;
  }

  /**
   * Puts a header, and optionally a small body, into the output buffer.
   *
   * @throws {FerryError} `bad_header` where the header is too long, `closed`, `timeout`
   */
  async writeFrame(header: Readonly<Record<string, unknown>>, body?: Uint8Array): Promise<void> {
    const bytes = this.#encode(header);
    const { total_size, end } = header;
    if (total_size === null) this.#streaming = true;
    else if (end === true) this.#streaming = false;
    const size = typeof total_size === "number" || typeof total_size === "bigint" ? total_size : 0;
    this.#owed = BigInt(size);
    await this.#put(bytes);
    if (body) await this.writeBytes(body);
  }

  /** A header with its length in front. */
  #encode(header: Readonly<Record<string, unknown>>): Uint8Array {
    const bytes = encodeHeader(header, { checksum: this.headerChecksums !== "off" });
    const framed = new Uint8Array(LENGTH_BYTES + bytes.length);
    new DataView(framed.buffer).setInt32(0, bytes.length, true);
    framed.set(bytes, LENGTH_BYTES);
    return framed;
  }

  /**
   * Puts bytes of a body behind what was written last; more than the output buffer takes leaves at
   * once. The bytes may be overwritten when this returns.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  writeBytes(bytes: Uint8Array): Promise<void> {
    this.#owed -= BigInt(bytes.length);
    return this.#put(bytes);
  }

  /** Waits for nothing but for bytes to leave: who finds none on their way finds all of it put. */
  async #put(bytes: Uint8Array): Promise<void> {
    this.bytesTaken += bytes.length;
    // Where memory is short, there is none for a copy.
    if (bytes.length >= SMALL_BUFFER && !this.runtime.buffers.has(OUTPUT_BUFFER)) {
      await this.flush();
      // Not awaited: this function is not kept for as long as the peer takes.
      return this.#write(bytes);
    }
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#pending === 0 && rest.length >= OUTPUT_BUFFER) return await this.#write(rest);
      const output = this.#makeOutput(this.#pending + rest.length);
      const head = rest.subarray(0, output.length - this.#pending);
      output.set(head, this.#pending);
      this.#pending += head.length;
      rest = rest.subarray(head.length);
      if (this.#pending === output.length) await this.flush();
    }
  }

  /** The output buffer, as large as is of use for that many bytes. */
  #makeOutput(count: number): Uint8Array {
    const old = this.#output;
    const size = count > SMALL_BUFFER ? OUTPUT_BUFFER : SMALL_BUFFER;
    if (old && (old.bytes.length >= size || !this.runtime.buffers.has(2 * old.bytes.length))) {
      return old.bytes;
    }
    this.#output = this.#lend(size);
    if (old) this.#output.bytes.set(old.bytes.subarray(0, this.#pending));
    old?.[Symbol.dispose]();
    return this.#output.bytes;
  }

  /** Sends what stands in the output buffer; resolves when all that was written before has left. */
  async flush(): Promise<void> {
    const lent = this.#output;
    if (!lent) return await this.#sending;
    const bytes = lent.bytes.subarray(0, this.#pending);
    // What is written while this is on its way goes into another one.
    this.#output = undefined;
    this.#pending = 0;
    try {
      await this.#write(bytes);
    } finally {
      lent[Symbol.dispose]();
    }
  }

  #releaseOutput(): void {
    this.#output?.[Symbol.dispose]();
    this.#output = undefined;
    this.#pending = 0;
  }

  /**
   * Ends the connection so that the peer still gets to read what was sent last: a close with unread
   * input would reset the connection and could overtake it.
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
    this.#heartbeat?.stop();
    this.#releaseInput();
    this.#releaseOutput();
    try {
      this.#stream.close();
    } catch {
      // Closed by the runtime already, after an error.
    }
  }

  /**
   * Gives up sending in the middle of a message: the peer sees the connection end there and can still
   * answer. Later writes fail with `reason`.
   */
  endWrites(reason: FerryError): void {
    this.#writeFailure ??= reason;
    this.#stream.closeWrite().catch(() => {});
  }

  /** Whether a message can still be sent. */
  get writable(): boolean {
    return !this.#closed && this.#writeFailure === undefined;
  }

  /** For how many milliseconds beyond the idle time the peer may be silent from now on. */
  set patience(ms: number) {
    this.#watchdog.patience = ms;
  }

  /** Whether {@linkcode Wire.close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Until the returned value is disposed of, no read times out: this side is busy, not the peer. What waits
   * then has at least the whole idle time before it.
   */
  hold(): Disposable {
    return this.#watchdog.hold();
  }

  #read(into: Uint8Array): Promise<number | null> {
    // Nobody is hurried who has nothing to say at the moment, nor who says that it lives between two messages.
    const pausing = this.#start === this.#end &&
      (!this.#body || this.#body.ended || this.keepsAlive && this.#body.betweenMessages);
    const room = this.#pace ? into.subarray(0, this.#pace.pieceBytes) : into;
    return this.#guard("read", () => this.#stream.read(room), !pausing);
  }

  /** Sends bytes behind all that is on its way. */
  #write(bytes: Uint8Array, { hold = true } = {}): Promise<void> {
    const sending = this.#sending
      ? this.#sending.then(() => this.#writeNow(bytes, hold))
      : this.#writeNow(bytes, hold);
    const sent = () => {
      if (this.#sending === sending) this.#sending = undefined;
    };
    sending.then(sent, sent);
    return this.#sending = sending;
  }

  async #writeNow(bytes: Uint8Array, hold: boolean): Promise<void> {
    // What the peer waits for is on its way to it: until then it may have nothing to say. A sign of life is no
    // such thing.
    using _hold = hold ? this.#watchdog.hold() : undefined;
    const pace = this.#pace;
    // How far may be written by now: a connection may take less of it at once, as one with TLS does, and is not
    // made to wait for the rest again.
    let due = pace ? 0 : bytes.length;
    for (let done = 0; done < bytes.length;) {
      if (pace && due === done) {
        due = Math.min(done + pace.pieceBytes, bytes.length);
        await pace.take(due - done);
      }
      const rest = bytes.subarray(done, due);
      const count = await this.#guard("write", () => this.#stream.write(rest), true);
      done += count;
      this.bytesWritten += count;
    }
  }

  /** Runs one read or write under the deadlines. */
  async #guard<Count extends number | null>(
    direction: Direction,
    run: () => Promise<Count>,
    paced: boolean,
  ): Promise<Count> {
    const before = this.#failure ?? (direction === "write" ? this.#writeFailure : undefined);
    if (before) throw before;
    const watchdog = this.#watchdog;
    watchdog.begin(direction);
    if (direction === "read") this.#reading = true;
    try {
      const count = await run();
      watchdog.moved(direction, count ?? 0, { paced });
      // What came, or left, at the very end: nobody has a use for it any more.
      this.#assertOpen();
      const waiting = direction === "read" ? this.#wasRead(count ?? 0) : undefined;
      if (waiting) await waiting;
      return count;
    } catch (error) {
      // A TLS connection that ends without the alert that announces it has ended like any other: what was cut
      // off shows by the lengths, as it does without TLS.
      const ended = direction === "read" && error instanceof Deno.errors.UnexpectedEof;
      if (ended && !this.#closed) return null as Count;
      const failure = this.#failure ?? toFerryError(error);
      // How much has left is not known: nothing can follow it. What the peer said can still be read.
      if (direction === "write") this.#writeFailure ??= failure;
      throw failure;
    } finally {
      if (direction === "read") this.#reading = false;
      watchdog.end(direction);
    }
  }

  /** Takes note of bytes that came; what is returned is waited for before more of them are read. */
  #wasRead(count: number): Promise<void> | undefined {
    if (this.keepsAlive) this.#watchdog.lives();
    if (!this.#pace || count === 0) return undefined;
    // That this side waits is no silence of the other.
    this.#watchdog.end("read");
    return this.#pace.take(count);
  }
}

/**
 * The body of a message: sized, or streamed as a sequence of messages. Its bytes come without the
 * framing between them; where it ends, the closing header has been read if there is one.
 */
export class IncomingBody {
  readonly #wire: Wire;
  readonly #header: Header;
  /** Bytes still to come: of the whole body, or of the current piece of a streamed one. */
  #remaining: bigint;
  #ended = false;
  /** The header of the piece that is being read. */
  #piece: Header;
  /** Whether the framing broke, so that where the next message starts is not known. */
  #lost = false;
  #closing: ClosingHeader | undefined;
  #closingKeys: Header | undefined;
  #count = 0n;

  /** The body behind a header that was just read; {@linkcode Wire.readFrame} makes it. */
  constructor(wire: Wire, header: Header) {
    this.#wire = wire;
    this.#header = header;
    this.#piece = header;
    this.#remaining = header.total_size ?? 0n;
    this.#ended = header.total_size === 0n;
  }

  /** That of its connection. */
  get runtime(): Runtime {
    return this.#wire.runtime;
  }

  /** The announced size in bytes; null for a streamed body. */
  get size(): bigint | null {
    return this.#header.total_size;
  }

  /** Whether the last byte, and the closing header if there is one, have been read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether nothing of a message has come that is not whole, so that another may begin. */
  get betweenMessages(): boolean {
    return this.#remaining === 0n;
  }

  /** How many bytes of the body have been read. */
  get count(): bigint {
    return this.#count;
  }

  /** What the body is checked with. */
  get algorithm(): Algorithm {
    return this.#header.algorithm;
  }

  /** The header of the piece that the bytes came from which were read last. */
  get piece(): Header {
    return this.#piece;
  }

  /** The closing header as it came, once it has. */
  get closing(): Header | undefined {
    return this.#closingKeys;
  }

  /**
   * The checksum that the sender gave, in front or at the end; null before it is known. An empty body has the
   * checksum of no bytes, whether it is given or not.
   */
  get checksum(): Checksum | null {
    const given = this.#header.checksum ?? this.#closing?.checksum ?? null;
    return given ?? (this.#header.total_size === 0n ? emptyChecksum(this.algorithm) : null);
  }

  /**
   * Reads some bytes, at least one; 0 says that the body has ended.
   *
   * @throws {FerryError} `closed` or `timeout`; `bad_header` where the framing is wrong; `checksum_mismatch`
   * where a header was damaged or a size is not that of what came; what the sender reports instead of closing
   * the body
   */
  async read(into: Uint8Array): Promise<number> {
    while (!this.#ended) {
      if (this.#remaining > 0n) {
        const limit = this.#remaining > into.length ? into.length : Number(this.#remaining);
        const count = await this.#wire.readSome(into, limit);
        this.#remaining -= BigInt(count);
        this.#count += BigInt(count);
        if (this.#remaining === 0n && this.#endsHere) this.#ended = true;
        return count;
      }
      await this.#nextMessage();
    }
    return 0;
  }

  /** Whether the last byte ends it: a sized body whose checksum stood in front has no closing header. */
  get #endsHere(): boolean {
    return this.#header.total_size !== null && this.#header.checksum !== null;
  }

  async #nextMessage(): Promise<void> {
    // Until the message has turned out to be one that belongs here.
    this.#lost = true;
    const header = await this.#wire.readHeader();
    if (!header) throw new FerryError("closed", "the connection ended in the middle of a body");
    if (isClosing(header)) {
      if (header.total_size !== 0n) {
        throw new FerryError("bad_header", "the closing header has a body");
      }
      // Whatever else the closing header says, the next message starts behind it.
      this.#ended = true;
      this.#closingKeys = header;
      const closing = parseClosing(header, this.#wire.peerSide);
      if (closing.size !== this.#count) {
        throw new FerryError(
          "checksum_mismatch",
          `the closing header says ${closing.size} bytes, and ${this.#count} came`,
        );
      }
      const { checksum } = this.#header;
      if (checksum !== null && checksum !== closing.checksum) {
        throw new FerryError("checksum_mismatch", "the opening and the closing header differ");
      }
      this.#closing = closing;
      return;
    }
    throwReported(header, this.#wire.peerSide);
    if (this.#header.total_size !== null || !header.total_size) {
      throw new FerryError("bad_header", "a closing header was expected");
    }
    this.#piece = header;
    this.#remaining = header.total_size;
    this.#lost = false;
  }

  /**
   * Reads and throws away what is left, if that is little.
   *
   * @param limit what is little, in bytes
   * @returns false where it is more than that, or where the framing broke, so that the connection has to end
   */
  async drain(limit = MAX_DRAIN_BYTES): Promise<boolean> {
    if (this.#ended) return true;
    if (this.#lost || this.#remaining > limit) return false;
    const end = this.#count + limit;
    try {
      while (!this.#ended && this.#count <= end) await this.read(this.runtime.buffers.trash);
    } catch (error) {
      // A wrong or failing end is an end: the error that led here is the one to report.
      if (!this.#ended) throw error;
    }
    return this.#ended;
  }
}
