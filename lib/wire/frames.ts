/**
 * Frames on a connection: each is the length of a header, the header, and a body of the length that the header tells.
 * docs/protocol specifies the bytes.
 *
 * @module
 */

import { FerryError, type Place } from "../core/errors.ts";
import { type BodySource, IncomingBody } from "./body.ts";
import {
  decodeHeader,
  encodeHeader,
  type Header,
  type HeaderKeys,
  LENGTH_BYTES,
  readHeaderLength,
} from "./codec.ts";
import { ByteConnection, type ByteStream, type ConnectionOptions } from "./connection.ts";
import { Heartbeat, isSignOfLife, SIGN_OF_LIFE } from "./keep_alive.ts";

/** Options of a {@linkcode Wire}. */
export interface WireOptions extends ConnectionOptions {
  /** The side that the peer's errors are said to have happened on. Default: `peer`. */
  peerSide?: Place["side"] | undefined;
}

/** One message: its header, and its body, which is to be read or drained before the next message. */
export interface Frame {
  /** The header. */
  readonly header: Header;
  /** The body; one that is empty has ended already. */
  readonly body: IncomingBody;
}

/** What {@linkcode Wire.converse} gives while nobody sends signs of life. */
const NO_CONVERSATION: Disposable = { [Symbol.dispose]() {} };

/** A connection that carries frames. */
export class Wire extends ByteConnection implements BodySource {
  readonly peerSide: Place["side"];

  /**
   * Whether headers have a checksum of their own: `sent` adds one to each that is sent, `required` refuses also one
   * that comes without it. One that comes with a wrong checksum is refused in any case.
   */
  headerChecksums: "off" | "sent" | "required" = "off";

  /** The body of the message that was read last. */
  #body: IncomingBody | undefined;
  /** How many reads wait for a header. */
  #awaiting = 0;

  /** How many bytes of the body that was begun are still to be written. */
  #owed = 0n;
  /** Whether a streamed body was begun and not closed. */
  #streaming = false;

  /** Undefined until {@linkcode Wire.keepAlive}: a silent connection is to cost little. */
  #heartbeat: Heartbeat | undefined;
  /** See {@linkcode Wire.keepAlive}. */
  #answers = false;
  /** How many bytes had been sent when the heart beat last. */
  #bytesAtBeat = 0;
  #listening = false;

  /** Frames over an open stream, which is this one's alone from now on. */
  constructor(stream: ByteStream, options: WireOptions) {
    super(stream, options);
    this.peerSide = options.peerSide ?? "peer";
  }

  /**
   * The next message, or null where the peer ended the connection between two messages.
   *
   * @throws {FerryError} `bad_header`, `checksum_mismatch` for a header that was damaged, `closed` in the middle of
   * one, `timeout`
   */
  readFrame(): Promise<Frame | null> {
    if (this.#body && !this.#body.ended) {
      const unread = new FerryError("internal", "the body before this message was not read");
      return Promise.reject(this.endReason ?? unread);
    }
    return this.readHeader().then((header) => {
      if (!header) return null;
      this.#body = new IncomingBody(this, header);
      return { header, body: this.#body };
    });
  }

  /**
   * The next header, or null where the connection ended in front of it. Only {@linkcode Wire.readFrame} and
   * {@linkcode IncomingBody} call this: they know what follows it.
   *
   * @throws {FerryError} as {@linkcode Wire.readFrame}
   */
  async readHeader(): Promise<Header | null> {
    for (;;) {
      this.#awaiting++;
      const header = await this.#readOneHeader().finally(() => this.#awaiting--);
      if (!header || !this.keepsAlive || !isSignOfLife(header)) return header;
      if (header.total_size !== 0n) {
        throw new FerryError("bad_header", "a sign of life has a body");
      }
    }
  }

  async #readOneHeader(): Promise<Header | null> {
    const { input } = this;
    if (!await this.fill(LENGTH_BYTES)) {
      if (input.length === 0) return null;
      throw new FerryError("closed", "the connection ended inside a header's length");
    }
    const end = LENGTH_BYTES + readHeaderLength(input.peek(0, LENGTH_BYTES));
    if (!await this.fill(end)) {
      throw new FerryError("closed", "the connection ended inside a header");
    }
    const bytes = input.peek(LENGTH_BYTES, end);
    input.skip(end);
    const header = this.#decode(bytes);
    // What follows may take long, and needs no room for a next message.
    if (input.length === 0 && !this.readingAhead) input.release();
    return header;
  }

  #decode(bytes: Uint8Array): Header {
    return decodeHeader(bytes, { checksum: this.headerChecksums === "required" });
  }

  /** Whether a whole header has come, so that reading it does not wait for the peer. */
  hasHeader(): boolean {
    this.#dropSignsOfLife();
    try {
      return this.#wholeHeader() !== undefined;
    } catch {
      // Reading it fails at once.
      return true;
    }
  }

  /**
   * How many bytes the header at the front of the input buffer has, with its length; undefined if some are missing.
   *
   * @throws {FerryError} `bad_header` where the length is out of range
   */
  #wholeHeader(): number | undefined {
    const { length } = this.input;
    if (length < LENGTH_BYTES) return undefined;
    const end = LENGTH_BYTES + readHeaderLength(this.input.peek(0, LENGTH_BYTES));
    return end <= length ? end : undefined;
  }

  /**
   * Puts a header, and optionally a small body, into the output buffer.
   *
   * @throws {FerryError} `bad_header` where the header is too long, `closed`, `timeout`
   */
  async writeFrame(header: HeaderKeys, body?: Uint8Array): Promise<void> {
    const bytes = this.#encode(header);
    const { total_size, end } = header;
    if (total_size === null) this.#streaming = true;
    else if (end === true) this.#streaming = false;
    const size = typeof total_size === "number" || typeof total_size === "bigint" ? total_size : 0;
    this.#owed = BigInt(size);
    await super.write(bytes);
    if (body) await this.write(body);
  }

  /**
   * Puts bytes of a body behind what was written last; see {@linkcode ByteConnection.write}.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  override write(bytes: Uint8Array): Promise<void> {
    this.#owed -= BigInt(bytes.length);
    return super.write(bytes);
  }

  /** A header with its length in front. */
  #encode(header: HeaderKeys): Uint8Array {
    const bytes = encodeHeader(header, { checksum: this.headerChecksums !== "off" });
    const framed = new Uint8Array(LENGTH_BYTES + bytes.length);
    new DataView(framed.buffer).setInt32(0, bytes.length, true);
    framed.set(bytes, LENGTH_BYTES);
    return framed;
  }

  /**
   * From now on both sides send signs of life while there is a {@linkcode Wire.converse} and nothing else to say. A
   * pause between two messages is no silence then, however long, nor is a write that moves nothing: only a peer that
   * gives no sign of life is given up.
   *
   * @param peerTimeout milliseconds after which the peer takes silence for the end
   * @param answers whether this side answers requests. The side that asks sends no sign of life while it waits for an
   * answer and has said all: of two sides that wait for each other, one gives up
   */
  keepAlive(peerTimeout: number, { answers }: { answers: boolean }): void {
    this.#answers = answers;
    this.#heartbeat ??= new Heartbeat(() => this.#beat());
    this.#heartbeat.start(Math.min(peerTimeout, this.idleTimeout));
  }

  /** Whether {@linkcode Wire.keepAlive} was called. */
  get keepsAlive(): boolean {
    return this.#heartbeat !== undefined;
  }

  /** Until the returned value is disposed of, one side owes the other an answer: see {@linkcode Wire.keepAlive}. */
  converse(): Disposable {
    return this.#heartbeat?.converse() ?? NO_CONVERSATION;
  }

  /** Sends a sign of life, where that is possible and nothing else was sent since the last beat. */
  #beat(): void {
    if (!this.writable) return;
    const idle = this.bytesSent === this.#bytesAtBeat;
    this.#bytesAtBeat = this.bytesSent;
    if (this.sending) {
      // The peer takes nothing: whether it lives shows by what it sends, and maybe nobody reads that.
      if (idle) void this.#listen().catch(() => {});
    } else if (this.unsent > 0) this.flush().catch(() => {});
    else if (idle && this.#owed <= 0n && (this.#answers || this.#streaming || !this.reading)) {
      const sign = this.#encode(SIGN_OF_LIFE);
      this.#bytesAtBeat += sign.length;
      this.sendAlone(sign).catch(() => {});
    }
  }

  /** Reads ahead for as long as a write is under way, if nobody reads. */
  async #listen(): Promise<void> {
    if (this.#listening || this.reading) return;
    this.#listening = true;
    try {
      await this.readWhile(() => this.sending);
    } finally {
      this.#listening = false;
    }
  }

  protected override readSomeAhead(): void {
    this.#dropSignsOfLife();
  }

  /** Takes the signs of life away that stand where the next message is expected, if nobody waits for that. */
  #dropSignsOfLife(): void {
    if (!this.keepsAlive || this.#awaiting > 0 || !(this.#body?.betweenMessages ?? true)) return;
    try {
      for (let end; (end = this.#wholeHeader()) !== undefined;) {
        const header = this.#decode(this.input.peek(LENGTH_BYTES, end));
        if (!isSignOfLife(header) || header.total_size !== 0n) return;
        this.input.skip(end);
      }
    } catch {
      // Whoever reads it will be told.
    }
  }

  /** A peer that has nothing to say may be slow, and one that says between two messages that it lives. */
  protected override get pausing(): boolean {
    return super.pausing &&
      (!this.#body || this.#body.ended || this.keepsAlive && this.#body.betweenMessages);
  }

  protected override get hearsLife(): boolean {
    return this.keepsAlive;
  }

  override close(reason?: FerryError): void {
    this.#heartbeat?.stop();
    super.close(reason);
  }
}
