/**
 * What the requests of one connection have in common: the wire, the replies in their order, and who the client is.
 * Here the error that a request failed with becomes its reply.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { FerryError, wasCut } from "../../../../lib/core/errors.ts";
import type { Runtime } from "../../../../lib/runtime/runtime.ts";
import type { Request } from "../../../../lib/wire/operations/operations.ts";
import { errorReply } from "../../../../lib/wire/error_reply.ts";
import { type IncomingBody, MAX_DRAIN_BYTES } from "../../../../lib/wire/body.ts";
import { Wire } from "../../../../lib/wire/frames.ts";
import type { ByteStream } from "../../../../lib/wire/connection.ts";
import { Identity } from "../../../auth/identity.ts";
import type { Authority } from "../../../auth/authority.ts";
import type { AllowedCommands } from "../../../exec/allowed_commands.ts";
import type { FileServiceOptions } from "../../../files/file_service.ts";
import type { OfferedUpload } from "../../../files/offered_upload.ts";
import type { UploadLocks } from "../../../files/upload_locks.ts";
import { logFailure } from "../../../observe/failures.ts";
import type { SessionHooks } from "../../../observe/hooks.ts";
import type { Storage } from "../../../storage/storage.ts";
import { ReplyQueue } from "./reply_queue.ts";

/** What a session serves, and to whom. */
export interface SessionOptions {
  /** What memory, digests and the time come from. */
  runtime: Runtime;
  /** Where the files are. */
  storage: Storage;
  /** Arbitrate the writers of partial uploads. */
  locks: UploadLocks;
  /** Knows who may do what. */
  authority: Authority;
  /** The commands that may be run; undefined where there are none. */
  commands?: AllowedCommands | undefined;
  /**
   * Milliseconds within which a client has to make its first request, or, where nothing is granted without a token, has
   * to show one.
   */
  handshakeTimeout: number;
  /** Milliseconds after which a silent peer is disconnected. */
  idleTimeout: number;
  /** How many bytes a second a peer has to move while a message is under way. */
  minRate: number;
  /** The peer's address, for the log. */
  peer: string;
  /** Called with the outcome of the requests; undefined where no hook is set. */
  tell?: SessionHooks | undefined;
  /** Key under which failed logins are counted. */
  source: string;
}

/** How long a client may be silent in the middle of a body that was refused, in milliseconds. */
const LINGER_MS = 2000;

export const logger = getLogger(["ferry", "server"]);

/** One connection, as its requests see it. */
export class Connection {
  /** What it serves. */
  readonly options: SessionOptions;
  /** Its frames. */
  readonly wire: Wire;
  /** Its replies. */
  readonly replies: ReplyQueue;
  /** Who its client is. */
  readonly identity: Identity;
  /** What the file services of its requests have in common. */
  readonly fileOptions: FileServiceOptions;
  /** The partial upload that the last reply offered; it is this connection's until its next request. */
  offered: OfferedUpload | undefined;
  /** Whether replies with bodies may still stand in the output buffer. */
  unsent = false;
  /** Whether it takes no new requests. */
  draining = false;
  /** Whether it was told that the connection has ended. */
  #endTold = false;

  /** A connection that was just accepted. */
  constructor(stream: ByteStream, options: SessionOptions) {
    const { runtime, idleTimeout, minRate, authority, source, storage, locks, tell } = options;
    this.options = options;
    this.wire = new Wire(stream, { runtime, idleTimeout, minRate });
    this.replies = new ReplyQueue(this.wire);
    this.identity = new Identity(authority, source);
    this.fileOptions = {
      storage,
      locks,
      runtime,
      onStored: tell && ((file) => tell.stored(file, this.identity.shown)),
      onTakenOver: () => {
        this.close(new FerryError("closed", "another connection goes on with this upload"));
      },
    };
  }

  /** Ends the connection now. */
  close(reason: FerryError): void {
    this.identity.close();
    this.wire.close(reason);
  }

  /** Releases what was offered and not gone on with. */
  async releaseOffered(): Promise<void> {
    const { offered } = this;
    this.offered = undefined;
    await offered?.[Symbol.asyncDispose]();
  }

  /**
   * Sends the replies with bodies that were gathered. Many requests that came together are answered together, but
   * before this side waits for the other, the other has all that it was told.
   */
  async flush(): Promise<void> {
    if (!this.unsent) return;
    this.unsent = false;
    await this.replies.settle();
  }

  /** Replies with the error that a request failed with; without a request, that what came is none. */
  async refuse(error: FerryError, request?: Request): Promise<void> {
    this.failed(error, request);
    await this.replies.push(Promise.resolve(errorReply(error)));
  }

  /** Tells the log and the hooks that a request failed, but not the client. */
  failed(error: FerryError, request?: Request): void {
    this.log("{peer}: {message} ({code})", error, request);
  }

  /** Logs a failure and tells the hooks of it. */
  log(text: string, error: FerryError, request?: Request): void {
    // Everything that waits for a connection fails as it ends: that is told once.
    if (this.wire.closed && wasCut(error)) {
      if (this.#endTold) return;
      this.#endTold = true;
    }
    const { peer, tell } = this.options;
    logFailure(text, error, { properties: { peer } });
    // That this side ends a connection is no failure of it.
    if (request || !this.draining) tell?.failed(error, this.identity.shown, request);
  }

  /** Reads and throws away what is left of a body; false where that is too much, so that the connection has to end. */
  async skip(body: IncomingBody, limit: bigint = MAX_DRAIN_BYTES): Promise<boolean> {
    if (body.ended) return true;
    // The peer may wait for the answer before it sends more.
    await this.replies.settle();
    // A body that cannot be read over ends the connection, gently, so that the answer still arrives.
    return await body.drain(limit).catch(() => false);
  }

  /** Waits for what still reads of a body that was refused, but not for a client that sends nothing of it. */
  async giveUp(reading: Promise<unknown>, failure: FerryError): Promise<void> {
    const timer = setTimeout(() => this.close(failure), LINGER_MS);
    try {
      await this.replies.settle();
      await reading;
    } catch {
      // Why it was given up has been told.
    } finally {
      clearTimeout(timer);
    }
  }
}
