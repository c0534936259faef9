/**
 * Uploads whose bytes come in pieces, over any connections of their owner. The connection that has begun one ends it
 * with a `put`; until then it is reserved for that connection.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import type { IncomingContent } from "../../lib/core/bytes.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import { sizeOf, type Span } from "../../lib/delta/spans.ts";
import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import type { StoredPiece } from "../../lib/files/stored_pieces.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { Assembly } from "../../lib/transfer/assembly.ts";
import type { OnBytes } from "../../lib/transfer/receive.ts";
import type { LockedWrite } from "./locked_write.ts";
import {
  isSameUpload,
  notOffered,
  release,
  type ReservedUpload,
  type UploadIdentity,
} from "./offered_upload.ts";

/** The number of random bytes of an id: nobody can guess it. */
const ID_BYTES = 16;

/** An upload that is put together from pieces. Disposal keeps it in the storage for later. */
export class AssembledUpload implements ReservedUpload {
  /** The id by which its owner's other connections name it. */
  readonly id: string = encodeHex(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
  /** What it is an upload of. */
  readonly identity: UploadIdentity;
  /** The pieces of an earlier attempt that are there beyond the first bytes, in ascending order. */
  readonly pieces: readonly StoredPiece[];
  readonly resumedFrom: number;
  readonly #runtime: Runtime;
  readonly #uploads: AssembledUploads;
  readonly #assembly: Assembly;
  #write: LockedWrite | undefined;

  private constructor(
    identity: UploadIdentity,
    { runtime, uploads }: AssembledUploadOptions,
    { write, assembly }: { write: LockedWrite; assembly: Assembly },
  ) {
    this.identity = identity;
    this.#runtime = runtime;
    this.#uploads = uploads;
    this.#write = write;
    this.#assembly = assembly;
    this.pieces = [...assembly.pieces];
    const missing = sizeOf(assembly.gaps);
    this.resumedFrom = identity.size! - missing;
    uploads.add(this);
  }

  /**
   * Begins to put a file together.
   *
   * @param write takes pieces, and is disposed of with the result
   * @throws {FerryError} `io`; the write is kept for later then
   */
  static async open(
    identity: UploadIdentity,
    write: LockedWrite,
    options: AssembledUploadOptions,
  ): Promise<AssembledUpload> {
    const { algorithm } = identity;
    const { runtime } = options;
    const size = identity.size!;
    try {
      const digest = write.prefix ??
        await PrefixDigest.create({ algorithm, proof: true }, runtime.digests);
      using _busy = write.keepTouched(runtime.clock);
      const target = write.beginPieces!(size);
      const assembly = await Assembly.open(runtime, { target, size, digest });
      return new AssembledUpload(identity, options, { write, assembly });
    } catch (error) {
      await release(write);
      throw error;
    }
  }

  /**
   * Receives a piece; see {@linkcode Assembly.receive}.
   *
   * @throws {FerryError} as there
   */
  async receive(body: IncomingContent, span: Span, onBytes: OnBytes): Promise<void> {
    await this.#assembly.receive(body, span, onBytes);
  }

  async take(identity: UploadIdentity, offset: number): Promise<LockedWrite> {
    const write = this.#write;
    if (!write || !isSameUpload(this.identity, identity) || offset !== identity.size) {
      throw notOffered();
    }
    using _busy = write.keepTouched(this.#runtime.clock);
    write.endPieces(await this.#assembly.whole());
    // It may have been disposed of while the digest was computed.
    if (!this.#write) throw notOffered();
    this.#end();
    await this.#assembly[Symbol.asyncDispose]();
    return write;
  }

  #end(): void {
    this.#write = undefined;
    this.#uploads.remove(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const write = this.#write;
    if (!write) return;
    this.#end();
    await this.#assembly[Symbol.asyncDispose]();
    await release(write);
  }
}

/** What {@linkcode AssembledUpload.open} needs besides the upload itself. */
export interface AssembledUploadOptions {
  /** Provides buffers, digests and the clock. */
  readonly runtime: Runtime;
  /** The uploads of the server, which it becomes one of. */
  readonly uploads: AssembledUploads;
}

/** The uploads of one server that are put together at the moment. */
export class AssembledUploads {
  readonly #uploads = new Map<string, AssembledUpload>();

  /** Lets pieces of an upload come. */
  add(upload: AssembledUpload): void {
    this.#uploads.set(upload.id, upload);
  }

  /** Lets no more pieces come. */
  remove(upload: AssembledUpload): void {
    this.#uploads.delete(upload.id);
  }

  /**
   * The upload that a piece belongs to.
   *
   * @throws {FerryError} `busy` if the owner has none with that id and name
   */
  find(id: string, { name, owner }: { name: FileName; owner: string }): AssembledUpload {
    const upload = this.#uploads.get(id);
    if (upload?.identity.name === name && upload.identity.owner === owner) return upload;
    throw new FerryError("busy", "no upload of that id takes pieces; offer the file again");
  }
}
