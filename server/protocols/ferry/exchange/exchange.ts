/**
 * One request, and the ways to reply to it.
 *
 * @module
 */

import type { Algorithm } from "../../../../lib/core/checksum.ts";
import { type FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import { sendStreamed } from "../../../../lib/transfer/send.ts";
import { errorReply } from "../../../../lib/wire/error_reply.ts";
import type { Request } from "../../../../lib/wire/operations/operations.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";
import type { Permit } from "../../../auth/permit.ts";
import { FileService } from "../../../files/file_service.ts";
import { StageService } from "../../../files/stage_service.ts";
import { UploadService, type UploadServiceOptions } from "../../../files/upload_service.ts";
import type { Operation } from "../../../observe/traffic.ts";
import type { ServedConnection } from "./served_connection.ts";
import type { ReplyHeader } from "./reply_queue.ts";

/** The handler of an operation. */
export interface Handler<Kind extends Request> {
  /** The action that the request asks for, worded to follow "Cannot" in error messages. */
  action(request: Kind): string;
  /**
   * Whether the operation may run while earlier requests are not yet replied to. The replies keep their order. Default:
   * false.
   */
  readonly overlaps?: boolean;
  /**
   * Whether it may begin as soon as earlier requests have taken effect, also if that is not on the disk yet. Default:
   * false, it begins when they are replied to.
   */
  readonly follows?: boolean;
  /**
   * Whether it reads the body of the request. For other requests, a small body is skipped, and a large one is refused.
   * Default: false.
   */
  readonly readsBody?: boolean;
  /** Handles a request that was permitted. Returns false if the connection cannot be used any more. */
  answer(exchange: Exchange<Kind>): Promise<boolean>;
}

/** A reply whose body is sent in pieces. */
export interface StreamedReply {
  /** The keys of the opening header. */
  keys?: ReplyHeader;
  /** The checksum algorithm of the body. Default: `md5`. */
  algorithm?: Algorithm;
  /** The body, in pieces of any size. */
  pieces: AsyncGenerator<Uint8Array, void, void>;
  /** Called when all pieces have been sent, for the keys of the closing header. */
  closing?: () => ReplyHeader;
}

/** What an {@linkcode Exchange} is made of. */
type ExchangeParts<Kind extends Request> =
  & Pick<Exchange<Kind>, "request" | "body" | "permit" | "operation">
  & { handler: Handler<Kind> };

/** A request that was permitted, and the ways to reply to it. Each returns whether the connection can still be used. */
export class Exchange<Kind extends Request = Request> {
  /** The connection on which it arrived. */
  readonly connection: ServedConnection;
  /** The request. */
  readonly request: Kind;
  /** Its body. */
  readonly body: IncomingBody;
  /** The permit that allows it. */
  readonly permit: Permit;
  /** The record of the operation, which observers are told of. */
  readonly operation: Operation;
  readonly #handler: Handler<Kind>;

  /** Creates the exchange for a request that arrived on a connection. */
  constructor(
    connection: ServedConnection,
    { handler, request, body, permit, operation }: ExchangeParts<Kind>,
  ) {
    this.connection = connection;
    this.request = request;
    this.body = body;
    this.permit = permit;
    this.operation = operation;
    this.#handler = handler;
  }

  /** What the request asks to do: see {@linkcode Handler.action}. */
  get action(): string {
    return this.#handler.action(this.request);
  }

  /** The file service, confined to the files that the request may reach. */
  get files(): FileService {
    return new FileService(this.permit, this.connection.fileOptions);
  }

  /** The upload service, confined to the files that the request may reach. */
  get uploads(): UploadService {
    return new UploadService(this.permit, this.#uploading);
  }

  /**
   * The upload service for a file that is put into a staged tree, if the request names one.
   *
   * @throws {FerryError} `not_found` if the client has no such tree
   */
  async uploadsInto(stage: string | undefined): Promise<UploadService> {
    if (stage === undefined) return this.uploads;
    const tree = await this.stages.of(stage);
    return new UploadService(this.permit, this.#uploading, tree);
  }

  get #uploading(): UploadServiceOptions {
    const { connection: { fileOptions }, operation } = this;
    return {
      ...fileOptions,
      beforeStore: (upload) => operation.admit(upload),
      onStored: (file) => operation.stored(file),
    };
  }

  /** The service for directories that are published as one. */
  get stages(): StageService {
    const { fileOptions, stages } = this.connection;
    return new StageService(this.permit, fileOptions, stages);
  }

  /** Replies with a header alone. */
  async reply(keys: ReplyHeader): Promise<boolean> {
    this.operation.end();
    await this.connection.replies.push(Promise.resolve({ status: "ok", ...keys }));
    return true;
  }

  /**
   * Replies with the error that a request with a body failed with.
   *
   * @param reading what may still be reading the body; its failure is ignored
   */
  async refuse(error: unknown, reading: Promise<unknown>): Promise<boolean> {
    const { connection, operation, body, action } = this;
    const read = reading.catch(() => {});
    const failure = toFerryError(error).during(action);
    await connection.refuse(failure, operation);
    if (!body.ended) await connection.giveUp(read, failure);
    return await connection.skip(body);
  }

  /**
   * Replies when the request has been carried out; if that fails, with the error. The next requests are read meanwhile.
   *
   * @param outcome gives the keys of the reply
   * @param options.effective whether it has taken effect already. Default: false
   */
  async replyLater(
    outcome: Promise<ReplyHeader>,
    options?: { effective?: boolean },
  ): Promise<boolean> {
    const reply = outcome.then((keys) => {
      this.operation.end();
      return { status: "ok", ...keys };
    }, (error) => {
      const failure = toFerryError(error).during(this.action);
      this.connection.failed(failure, this.operation);
      return errorReply(failure);
    });
    await this.connection.replies.push(reply, options);
    return true;
  }

  /**
   * Makes a change, and replies when it has been kept. The next request is answered when the change has taken effect, so
   * that many changes share what it costs to keep them.
   *
   * @param change calls its argument when it has taken effect, at the latest when it resolves
   * @throws the error of a change that has not taken effect
   */
  async replyWhenKept(
    keys: ReplyHeader,
    change: (onChanged: () => void) => Promise<void>,
  ): Promise<boolean> {
    const changed = Promise.withResolvers<void>();
    const kept = change(changed.resolve);
    await Promise.race([changed.promise, kept]);
    return await this.replyLater(kept.then(() => keys), { effective: true });
  }

  /**
   * Sends a reply with a body. Once it has begun, an error reply is no longer possible: the body ends with an error in
   * its closing header, or the connection ends.
   *
   * @throws the error if it could not be begun
   */
  async stream(send: () => Promise<void>): Promise<boolean> {
    const { connection, body, operation } = this;
    const { wire } = connection;
    const before = wire.bytesTaken;
    const contentBefore = wire.contentTaken;
    operation.count = () => ({
      received: Number(body.count),
      sent: wire.contentTaken - contentBefore,
    });
    try {
      connection.unsent = true;
      await send();
      operation.end();
    } catch (error) {
      if (wire.bytesTaken === before) throw error;
      connection.failed(toFerryError(error).during(this.action), operation);
      // If the client has disconnected, that has already been reported.
      if (wire.writable) await wire.flush().catch(() => {});
    }
    return wire.writable;
  }

  /** Sends a streamed body. Stops with an error if the permit ends. */
  async streamPieces({ keys, algorithm, pieces, closing }: StreamedReply): Promise<boolean> {
    const { connection, permit } = this;
    const { wire } = connection;
    const permitted = {
      [Symbol.asyncIterator]: () => ({ next: () => permit.wait(pieces.next()) }),
    };
    let failure: FerryError | undefined;
    const goOn = await this.stream(async () => {
      try {
        await sendStreamed(wire, { status: "ok", ...keys }, permitted, { algorithm, closing });
      } catch (error) {
        failure = toFerryError(error);
        throw failure;
      }
    });
    // The source of the pieces may still be reading.
    if (failure) await connection.giveUp(pieces.return(), failure);
    return goOn && wire.writable;
  }
}
