/**
 * Frames on a connection: each is the length of a header, the header, and a body of the length given in the header.
 * docs/protocol specifies the bytes.
 *
 * @module
 */

import { FerryError, type Place } from "../core/errors.ts";
import { type BodySource, IncomingBody } from "./body.ts";
import type { ByteStream, ConnectionOptions } from "./byte_stream.ts";
import {
  decodeHeader,
  encodeHeader,
  type Header,
  type HeaderKeys,
  LENGTH_BYTES,
  readHeaderLength,
} from "./codec.ts";
import { ByteConnection } from "./connection.ts";
import { Heartbeat, isSignOfLife, SIGN_OF_LIFE } from "./keep_alive.ts";

/** Options of a {@linkcode Wire}. */
export interface WireOptions extends ConnectionOptions {
  /** The side to which errors reported by the peer are attributed. Default: `peer`. */
  peerSide?: Place["side"] | undefined;
}

/** One message: its header and its body. The body has to be read or drained before the next message is read. */
export interface Frame {
  /** The header. */
  readonly header: Header;
  /** The body. An empty one has already ended. */
  readonly body: IncomingBody;
}

/** What {@linkcode Wire.converse} returns if keep-alive messages are not used. */
const NO_CONVERSATION: Disposable = { [Symbol.dispose]() {} };

/** A connection that carries frames. */
export class Wire extends ByteConnection implements BodySource {
  readonly peerSide: Place["side"];

  /**
   * Whether headers have a checksum of their own. `sent`: one is added to each header that is sent. `required`: in
   * addition, received headers without one are refused. A received header with a wrong checksum is refused in any case.
   */
  headerChecksums: "off" | "sent" | "required" = "off";

  /** The body of the message last read. */
  #body: IncomingBody | undefined;
  /** The header at the front of the input buffer, if it was looked at before anybody read it. */
  #ahead: Header | undefined;
  /** The number of reads that are waiting for a header. */
  #awaiting = 0;

  /** The number of messages that were read. */
  messagesRead = 0;
  /** Called with the header of each message that was read. Default: undefined, nobody wants to know. */
  onMessage: ((header: Header) => void) | undefined;
  /** The number of bytes of bodies that the output buffer has taken. */
  contentTaken = 0;

  /** The number of bytes still to be written of the current outgoing body. */
  #owed = 0n;
  /** Whether a streamed body was begun but not closed. */
  #streaming = false;

  /**
   * The heartbeat; undefined until {@linkcode Wire.keepAlive} is called, so that a silent connection costs little
   * memory.
   */
  #heartbeat: Heartbeat | undefined;
  /** See {@linkcode Wire.keepAlive}. */
  #answers = false;
  /** The number of bytes that had been sent at the last beat. */
  #bytesAtBeat = 0;
  #listening = false;

  /** Creates a wire on an open stream, which it owns from now on. */
  constructor(stream: ByteStream, options: WireOptions) {
    super(stream, options);
    this.peerSide = options.peerSide ?? "peer";
  }

  /**
   * Reads the next message; null if the peer ended the connection between two messages.
   *
   * @throws {FerryError} `bad_header`, `checksum_mismatch` for a header that was damaged, `closed` in the middle of a
   * message, `timeout`
   */
  readFrame(): Promise<Frame | null> {
    if (this.#body && !this.#body.ended) {
      const unread = new FerryError("internal", "the body before this message was not read");
      return Promise.reject(this.endReason ?? unread);
    }
    return this.readHeader().then((header) => {
      if (!header) return null;
      this.messagesRead++;
      this.onMessage?.(header);
      this.#body = new IncomingBody(this, header);
      return { header, body: this.#body };
    });
  }

  /**
   * Reads the next header; null if the connection ended before it. Only {@linkcode Wire.readFrame} and {@linkcode
   * IncomingBody} call this, since they know what follows the header.
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
    const end = this.#headerEnd()!;
    if (!await this.fill(end)) {
      throw new FerryError("closed", "the connection ended inside a header");
    }
    const header = this.#ahead ?? this.#decode(input.peek(LENGTH_BYTES, end));
    this.#ahead = undefined;
    input.skip(end);
    // Handling the message may take long and needs no input buffer, so its memory is released.
    if (input.length === 0 && !this.readingAhead) input.release();
    return header;
  }

  #decode(bytes: Uint8Array): Header {
    return decodeHeader(bytes, { checksum: this.headerChecksums === "required" });
  }

  /** Whether a complete header is in the input buffer, so that reading it does not wait for the peer. */
  hasHeader(): boolean {
    this.#dropSignsOfLife();
    try {
      return this.#wholeHeaderEnd() !== undefined;
    } catch {
      // Reading it fails without waiting.
      return true;
    }
  }

  /**
   * Where the header at the front of the input buffer ends; undefined if not even its length has been received.
   *
   * @throws {FerryError} `bad_header` if the length is out of range
   */
  #headerEnd(): number | undefined {
    if (this.input.length < LENGTH_BYTES) return undefined;
    return LENGTH_BYTES + readHeaderLength(this.input.peek(0, LENGTH_BYTES));
  }

  /** As {@linkcode Wire.#headerEnd}; undefined if the header has not come as a whole. */
  #wholeHeaderEnd(): number | undefined {
    const end = this.#headerEnd();
    return end !== undefined && end <= this.input.length ? end : undefined;
  }

  /**
   * Writes a header, and optionally a small body, to the output buffer.
   *
   * @throws {FerryError} `bad_header` if the header is too long, `closed`, `timeout`
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
   * Writes bytes of a body; see {@linkcode ByteConnection.write}.
   *
   * @throws {FerryError} `closed`, `timeout`
   */
  override write(bytes: Uint8Array): Promise<void> {
    this.#owed -= BigInt(bytes.length);
    this.contentTaken += bytes.length;
    return super.write(bytes);
  }

  /** Encodes a header, preceded by its length. */
  #encode(header: HeaderKeys): Uint8Array {
    const bytes = encodeHeader(header, { checksum: this.headerChecksums !== "off" });
    const framed = new Uint8Array(LENGTH_BYTES + bytes.length);
    new DataView(framed.buffer).setInt32(0, bytes.length, true);
    framed.set(bytes, LENGTH_BYTES);
    return framed;
  }

  /**
   * Starts the use of keep-alive messages: from now on both sides send them while there is a {@linkcode Wire.converse}
   * and nothing else to send. A long pause between two messages or a stalled write then no longer times out: a peer is
   * only given up if it sends nothing at all, not even keep-alive messages.
   *
   * @param peerTimeout the idle timeout of the peer, in milliseconds
   * @param answers whether this side is the one that answers requests. The requesting side sends no keep-alive messages
   * once it has sent its whole request and waits for the reply. So if both sides wait for each other, one of them times
   * out
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

  /** Marks, until the returned value is disposed of, that a request is in progress: see {@linkcode Wire.keepAlive}. */
  converse(): Disposable {
    return this.#heartbeat?.converse() ?? NO_CONVERSATION;
  }

  /** Sends a keep-alive message if that is possible and nothing else was sent since the last beat. */
  #beat(): void {
    if (!this.writable) return;
    const idle = this.bytesSent === this.#bytesAtBeat;
    this.#bytesAtBeat = this.bytesSent;
    if (this.sending) {
      // The peer does not read. Whether it is alive is visible only from what it sends, which nobody may be reading.
      if (idle) void this.#listen().catch(() => {});
    } else if (this.unsent > 0) this.flush().catch(() => {});
    else if (idle && this.#owed <= 0n && (this.#answers || this.#streaming || !this.reading)) {
      const sign = this.#encode(SIGN_OF_LIFE);
      this.#bytesAtBeat += sign.length;
      this.sendAlone(sign).catch(() => {});
    }
  }

  /** Reads ahead while a write is in progress, if nobody else reads. */
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

  /**
   * Removes keep-alive messages from the front of the input buffer between two messages, if nobody waits for the next
   * one.
   */
  #dropSignsOfLife(): void {
    if (!this.keepsAlive || this.#awaiting > 0 || !(this.#body?.betweenMessages ?? true)) return;
    try {
      while (!this.#ahead) {
        const end = this.#wholeHeaderEnd();
        if (end === undefined) return;
        const header = this.#decode(this.input.peek(LENGTH_BYTES, end));
        if (!isSignOfLife(header) || header.total_size !== 0n) this.#ahead = header;
        else this.input.skip(end);
      }
    } catch {
      // The next read will report the error.
    }
  }

  /**
   * The minimum rate does not apply between two messages. With keep-alive messages, that includes the messages of a
   * streamed body.
   */
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
