/**
 * A file that a server is sending.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Span } from "../../lib/delta/spans.ts";
import type { Assembly } from "../../lib/transfer/assembly.ts";
import {
  type OnBytes,
  receive,
  type ReceiveOptions,
  type Verified,
} from "../../lib/transfer/receive.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { IncomingBody } from "../../lib/wire/body.ts";
import type { Frame } from "../../lib/wire/frames.ts";
import type { FileToGet } from "./file_requests.ts";
import { assertBegins, assertRange } from "./reply_check.ts";

/** A file, the rest of one or a range of one, whose bytes have not been received yet. */
export class IncomingFile {
  /** The size of the whole file in bytes. */
  readonly size: number;
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
  /** Its permission bits, 0 to 0o777. */
  readonly mode: number;
  /** How many of its first bytes the client has already; they are not sent. */
  readonly offset: number;
  /** The checksum of the whole file; null where the server does not know it before sending the file. */
  readonly announced: Checksum | null;
  /** Its version, where a range was requested and the server tells versions. */
  readonly version: string | undefined;
  /** How many bytes there will be in all: those of the range, or of the whole file. */
  readonly total: number;
  readonly #body: IncomingBody;

  /**
   * The file in the reply to a request.
   *
   * @throws {FerryError} the error in the reply; `bad_header` where the server sends another part of the file than was
   * requested
   */
  constructor({ range, prefix }: FileToGet, { header, body }: Frame) {
    const reply = parseReply(OPERATIONS.get.reply, header);
    assertBegins(reply, prefix?.size);
    this.size = reply.size;
    this.mtime = reply.mtime;
    this.mode = reply.mode;
    this.version = reply.version;
    this.offset = reply.offset;
    this.announced = header.checksum;
    this.total = range ? assertRange(reply, range) : reply.size;
    this.#body = body;
  }

  /**
   * Receives and verifies the bytes. It also checks that there are as many as were announced, since headers may have no
   * checksum of their own.
   *
   * @throws {FerryError} `checksum_mismatch`; what the connection and the sink fail with
   */
  async receive(sink: ByteSink, options: ReceiveOptions = {}): Promise<Verified> {
    const received = await receive(this.#body.runtime, this.#body, sink, options);
    if (received.size === this.total) return received;
    const reason = `${received.size} of ${this.total} bytes came`;
    throw new FerryError("checksum_mismatch", reason);
  }

  /**
   * Receives a range as a piece of a file that is put together.
   *
   * @param span the range that was requested
   * @throws {FerryError} what {@linkcode Assembly.receive} fails with; `checksum_mismatch` where the server sends more
   * bytes, or fewer
   */
  async receiveInto(assembly: Assembly, span: Span, onBytes: OnBytes): Promise<void> {
    const size = span.to - span.from;
    if (this.#body.size === BigInt(size)) return await assembly.receive(this.#body, span, onBytes);
    throw new FerryError("checksum_mismatch", `${this.#body.size} of ${size} bytes come`);
  }
}
