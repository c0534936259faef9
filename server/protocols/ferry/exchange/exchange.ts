/**
 * One request and the ways to answer it.
 *
 * @module
 */

import { type FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import { sendStreamed } from "../../../../lib/transfer/send.ts";
import type { Request } from "../../../../lib/wire/operations/operations.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";
import type { Permit } from "../../../auth/permit.ts";
import { FileService } from "../../../files/file_service.ts";
import type { Connection } from "./connection.ts";
import type { ReplyHeader } from "./reply_queue.ts";

/** How an operation is answered. */
export interface Handler<Kind extends Request> {
  /** What a request asks to do, as it follows "Cannot" in error messages. */
  action(request: Kind): string;
  /** Whether it need not wait for the replies to earlier requests, and replies in its turn. Default: false. */
  readonly overlaps?: boolean;
  /**
   * Whether it reads the body of the request. Of other requests a small body is skipped, and a large one refused.
   * Default: false.
   */
  readonly readsBody?: boolean;
  /** Answers a request that was permitted; false where the connection cannot go on. */
  answer(exchange: Exchange<Kind>): Promise<boolean>;
}

/** Lines that are sent as the body of a reply. */
export interface LineReply {
  /** The keys of the opening header. */
  keys?: ReplyHeader;
  /** The lines, in pieces of any size. */
  pieces: AsyncGenerator<Uint8Array, void, void>;
  /** Gives the keys of the closing header, when all pieces have been sent. */
  closing?: () => ReplyHeader;
}

/** A request that was permitted, and the ways to answer it. Each tells whether the connection can go on. */
export class Exchange<Kind extends Request = Request> {
  /** The connection that it came on. */
  readonly connection: Connection;
  /** The request. */
  readonly request: Kind;
  /** Its body. */
  readonly body: IncomingBody;
  /** What allows it. */
  readonly permit: Permit;
  readonly #handler: Handler<Kind>;

  /** A request that came on a connection. */
  constructor(
    connection: Connection,
    { handler, request, body, permit }: Pick<Exchange<Kind>, "request" | "body" | "permit"> & {
      handler: Handler<Kind>;
    },
  ) {
    this.connection = connection;
    this.request = request;
    this.body = body;
    this.permit = permit;
    this.#handler = handler;
  }

  /** What the request asks to do: see {@linkcode Handler.action}. */
  get action(): string {
    return this.#handler.action(this.request);
  }

  /** The files that it may reach. */
  get files(): FileService {
    return new FileService(this.permit, this.connection.fileOptions);
  }

  /** Replies with a header alone. */
  async reply(keys: ReplyHeader): Promise<boolean> {
    await this.connection.replies.push(Promise.resolve({ status: "ok", ...keys }));
    return true;
  }

  /**
   * Sends a reply with a body. Once it has begun there is no room for an error reply: the body ends with an error in
   * its closing header, or the connection ends.
   *
   * @throws what keeps it from being begun
   */
  async stream(send: () => Promise<void>): Promise<boolean> {
    const { connection, request } = this;
    const { wire } = connection;
    const before = wire.bytesTaken;
    try {
      connection.unsent = true;
      await send();
    } catch (error) {
      if (wire.bytesTaken === before) throw error;
      connection.failed(toFerryError(error).during(this.action), request);
      // Where the client has left, that has just been told.
      if (wire.writable) await wire.flush().catch(() => {});
    }
    return wire.writable;
  }

  /** Sends lines as a streamed body, for as long as the permit holds. */
  async streamLines({ keys, pieces, closing }: LineReply): Promise<boolean> {
    const { connection, permit } = this;
    const { wire } = connection;
    const permitted = {
      [Symbol.asyncIterator]: () => ({ next: () => permit.wait(pieces.next()) }),
    };
    let failure: FerryError | undefined;
    const goOn = await this.stream(async () => {
      try {
        await sendStreamed(wire, { status: "ok", ...keys }, permitted, { closing });
      } catch (error) {
        failure = toFerryError(error);
        throw failure;
      }
    });
    // The source of the lines may still be reading.
    if (failure) await connection.giveUp(pieces.return(), failure);
    return goOn && wire.writable;
  }
}
