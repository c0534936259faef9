/**
 * What the requests of one connection share: the wire, the reply queue and the identity of the client. Here an error
 * that a request failed with is turned into its reply.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Address, type ListenerKind } from "../../../../lib/core/address.ts";
import { FerryError, wasCut } from "../../../../lib/core/errors.ts";
import type { Places } from "../../../../lib/core/places.ts";
import type { Runtime } from "../../../../lib/runtime/runtime.ts";
import { errorReply } from "../../../../lib/wire/error_reply.ts";
import { type IncomingBody, MAX_DRAIN_BYTES } from "../../../../lib/wire/body.ts";
import { Wire } from "../../../../lib/wire/frames.ts";
import type { ByteStream } from "../../../../lib/wire/byte_stream.ts";
import { Identity } from "../../../auth/identity.ts";
import type { Authority } from "../../../auth/authority.ts";
import type { AllowedCommands } from "../../../exec/allowed_commands.ts";
import type { ConfirmedFile } from "../../../files/file_service.ts";
import type { UploadServiceOptions } from "../../../files/upload_service.ts";
import { OpenStages } from "../../../files/stage_service.ts";
import type { AssembledUploads } from "../../../files/assembled_upload.ts";
import type { ReservedUpload } from "../../../files/offered_upload.ts";
import type { UploadLocks } from "../../../files/upload_locks.ts";
import { logFailure } from "../../../observe/failures.ts";
import type { ClientConnection, Operation, Traffic } from "../../../observe/traffic.ts";
import type { Shares } from "../../../shares/shares.ts";
import type { Storage } from "../../../storage/storage.ts";
import { ReplyQueue } from "./reply_queue.ts";

/** Options of a session: what it serves, and to whom. */
export interface SessionOptions {
  /** Provides buffers, digests and the clock. */
  runtime: Runtime;
  /** The storage that keeps the files. */
  storage: Storage;
  /** The locks that arbitrate between the writers of partial uploads. */
  locks: UploadLocks;
  /** The uploads whose bytes come in pieces. */
  assembled: AssembledUploads;
  /** The authority that knows the grants and tokens. */
  authority: Authority;
  /** The commands that may be run; undefined if there are none. */
  commands?: AllowedCommands | undefined;
  /**
   * The time within which a client has to make its first request, or, if nothing is granted without a token, has to log
   * in. In milliseconds.
   */
  handshakeTimeout: number;
  /** A silent peer is disconnected after this time, in milliseconds. */
  idleTimeout: number;
  /** The minimum transfer rate of a peer while a message is being transferred, in bytes per second. */
  minRate: number;
  /** Limits how many connections are compressed. */
  compressed: Places;
  /** The kind of the listener that the connection came by. */
  listener: ListenerKind;
  /** The peer's address. */
  peer: Address;
  /** The share links; undefined if the server has no listener that they could lead to. */
  links?: SessionLinks | undefined;
  /** Takes note of the connection, and of what goes on in it. */
  traffic: Traffic;
  /** Makes the receipt for a stored file, as a line of JSON. */
  receipt(stored: ConfirmedFile): Promise<string>;
  /** The key under which failed logins are counted. */
  source: string;
}

/** The share links, as the requests of one connection see them. */
export interface SessionLinks {
  /** The links. */
  readonly shares: Shares;
  /** The URL for a path. */
  urlOf(path: string): string;
}

/** How long a client may be silent in the middle of the body of a refused request, in milliseconds. */
const LINGER_MS = 2000;

export const logger = getLogger(["ferry", "server"]);

/** One connection, as its requests see it. */
export class ServedConnection {
  /** The options of the session. */
  readonly options: SessionOptions;
  /** The wire that carries its frames. */
  readonly wire: Wire;
  /** The queue of its replies. */
  readonly replies: ReplyQueue;
  /** The identity of its client. */
  readonly identity: Identity;
  /** The record of it, which observers are told of. */
  readonly client: ClientConnection;
  /** The options shared by the file and upload services of its requests. */
  readonly fileOptions: UploadServiceOptions;
  /**
   * What the last reply offered, or is being put together. It is reserved for this connection until its next request.
   */
  offered: ReservedUpload | undefined;
  /** The directories that its client puts together, to publish each as one. */
  readonly stages: OpenStages = new OpenStages();
  /** Whether replies with bodies may still be in the output buffer. */
  unsent = false;
  /** Whether it accepts no new requests. */
  draining = false;
  /** Its place among the compressed connections; undefined if it is not one. */
  #compressed: Disposable | undefined;
  /** Whether the end of the connection was already reported. */
  #endTold = false;

  /** Creates the state of a connection that was just accepted. */
  constructor(stream: ByteStream, options: SessionOptions) {
    const { runtime, idleTimeout, minRate, authority, source, storage, locks } = options;
    const { traffic, listener, peer } = options;
    this.options = options;
    this.wire = new Wire(stream, { runtime, idleTimeout, minRate });
    this.replies = new ReplyQueue(this.wire);
    this.identity = new Identity(authority, source);
    this.client = traffic.open({
      listener,
      peer,
      shown: () => this.identity.shown,
      close: (reason) => this.close(reason),
    });
    this.fileOptions = {
      storage,
      locks,
      runtime,
      onTakenOver: () => {
        this.close(new FerryError("closed", "another connection has resumed this upload"));
      },
    };
  }

  /** Closes the connection immediately. */
  close(reason: FerryError): void {
    this.identity.close();
    this.wire.close(reason);
  }

  /** Whether it may be compressed from now on: it is not yet, and not too many others are. */
  mayCompress(): boolean {
    if (this.#compressed) return false;
    this.#compressed = this.options.compressed.take();
    return this.#compressed !== undefined;
  }

  /** Gives its place among the compressed connections to another one. */
  freePlace(): void {
    this.#compressed?.[Symbol.dispose]();
  }

  /** Releases a partial upload that was offered but not resumed. */
  async releaseOffered(): Promise<void> {
    const { offered } = this;
    this.offered = undefined;
    await offered?.[Symbol.asyncDispose]();
  }

  /**
   * Flushes the replies with bodies that are in the output buffer. Requests that arrive together are answered together,
   * but everything is sent before this side waits for the peer.
   */
  async flush(): Promise<void> {
    if (!this.unsent) return;
    this.unsent = false;
    await this.replies.settle();
  }

  /** Takes note of a request that has arrived with a body, or of a message that cannot be understood. */
  begin(body?: IncomingBody): Operation {
    const { messagesRead } = this.wire;
    const operation = this.client.begin(body ? messagesRead : messagesRead + 1);
    if (body) operation.count = () => ({ received: Number(body.count), sent: 0 });
    return operation;
  }

  /** Replies with the error that an operation failed with. */
  async refuse(error: FerryError, operation: Operation): Promise<void> {
    this.failed(error, operation);
    await this.replies.push(Promise.resolve(errorReply(error)));
  }

  /** Reports that an operation has failed, but not to the client. */
  failed(error: FerryError, operation: Operation): void {
    if (this.#isKnown(error)) operation.forget();
    else operation.end(error);
  }

  /**
   * Logs that the connection has failed between two requests.
   *
   * @returns the error, if it was not reported before, and is a failure
   */
  left(error: FerryError): FerryError | undefined {
    if (this.#isKnown(error)) return undefined;
    // If this side closes an idle connection to shut down, that is not a failure.
    const level = this.draining ? "debug" : "info";
    const properties = { peer: this.client.name };
    logFailure("{peer} left: {reason} ({code})", error, { properties, level });
    return this.draining ? undefined : error;
  }

  /** Whether an error is the end of the connection, because of which everything that waits for it fails, once more. */
  #isKnown(error: FerryError): boolean {
    if (!this.wire.closed || !wasCut(error)) return false;
    const known = this.#endTold;
    this.#endTold = true;
    return known;
  }

  /** Reads and discards the rest of a body. Returns false if it is too long, so that the connection has to end. */
  async skip(body: IncomingBody, limit: bigint = MAX_DRAIN_BYTES): Promise<boolean> {
    if (body.ended) return true;
    // The peer may wait for the reply before it sends more.
    await this.replies.settle();
    // If the rest of a body cannot be read, the connection is ended gracefully, so that the reply still arrives.
    return await body.drain(limit).catch(() => false);
  }

  /**
   * Waits for a read of a refused body to end. A client that sends nothing more is not waited for: its connection is
   * closed.
   */
  async giveUp(reading: Promise<unknown>, failure: FerryError): Promise<void> {
    const timer = setTimeout(() => this.close(failure), LINGER_MS);
    try {
      await this.replies.settle();
      await reading;
    } catch {
      // The reason has already been reported.
    } finally {
      clearTimeout(timer);
    }
  }
}
