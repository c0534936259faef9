/**
 * Uploads of one connection: whether a file should be sent, from where on, and its way into the storage.
 *
 * @module
 */

import type { Algorithm } from "../../../lib/core/checksum.ts";
import { type ErrorCode, FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../../lib/core/remote_name.ts";
import { checksumKeys, type PutRequest } from "../../../lib/wire/header.ts";
import { type Entry, unkeptKey } from "../../../lib/core/entry.ts";
import { decideOverwrite } from "../../../lib/core/overwrite.ts";
import { RESUMABLE_BYTES } from "../../../lib/files/partial_file.ts";
import { formatSize } from "../../../lib/core/quantities.ts";
import type { PendingWrite, Storage } from "../../storage/storage.ts";
import type { Committed } from "../../../lib/files/commit.ts";
import type { ByteSink } from "../../../lib/core/bytes.ts";
import { receive } from "../../../lib/transfer/transfer.ts";
import { type IncomingBody, MAX_DRAIN_BYTES } from "../../../lib/wire/wire.ts";
import type { StoredUpload } from "../../observe/hooks.ts";
import type { Permit } from "../../auth/permit.ts";
import type { ReplyHeader } from "./reply_queue.ts";

/** What {@linkcode Uploads} work with. */
export interface UploadsOptions {
  /** Where files go. */
  storage: Storage;
  /** Called when another connection goes on with what this one has been sending. */
  onTakenOver(): void;
  /** Resolves when what was put before is published. */
  settle(): Promise<void>;
  /** Called for each upload that came to a good end, also where what is there stays. */
  onStored(file: StoredUpload): void;
}

/** A file that has come whole and is being published. */
export interface Received {
  /** The reply, when it is published. */
  committed: Promise<ReplyHeader>;
}

/** The errors that say that there is no room for a file. */
const NO_ROOM: readonly ErrorCode[] = ["quota", "no_space"];

interface Offered {
  name: FileName;
  owner: string;
  size: number;
  algorithm: Algorithm;
  offset: number;
  pending: PendingWrite;
}

/** The uploads of one connection. */
export class Uploads implements AsyncDisposable {
  readonly #options: UploadsOptions;
  /** The part that the last reply offered to go on from; it is this connection's until its next request. */
  #offered: Offered | undefined;

  /** Uploads into a storage. */
  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /**
   * Answers an offer: whether the file should be sent, and from where on.
   *
   * @throws {FerryError} `exists`, `bad_name`, `not_a_file`, …; `auth_required` where it is allowed no more
   */
  consider(request: PutRequest, permit: Permit): Promise<ReplyHeader> {
    return this.#explained(permit, this.#consider(request, permit));
  }

  async #consider(request: PutRequest, permit: Permit): Promise<ReplyHeader> {
    const { onTakenOver } = this.#options;
    const storage = permit.confine(this.#options.storage);
    const { filename, overwrite, mtime, algorithm, checksum, restart } = request;
    const name = parseFileName(filename);
    const size = safeSize(request.size ?? null);
    const existing = await fileIn(storage, name, algorithm);
    if (existing) {
      const incoming = { size, mtime, checksum };
      let decision = decideOverwrite(overwrite, incoming, existing);
      let known = existing.checksum;
      if (decision === "hash" && checksum !== null) {
        known = await permit.wait(storage.checksum(name, algorithm));
        decision = decideOverwrite(overwrite, incoming, { ...existing, checksum: known });
      }
      if (decision === "exists") throw taken();
      if (decision === "have") {
        known ??= await permit.wait(storage.checksum(name, algorithm));
        this.#stored(request, { checksum: known, size: existing.size, unchanged: true });
        return { filename, decision, size: existing.size, ...checksumKeys(algorithm, known) };
      }
      if (decision === "hash") return { filename, decision };
    }
    const resumable = size !== null && size > RESUMABLE_BYTES && !restart;
    const { owner } = permit;
    const pending = resumable
      ? await storage.resume(name, { size, algorithm, owner, onTakenOver })
      : undefined;
    if (!pending?.behind) {
      await pending?.[Symbol.asyncDispose]();
      await storage.assertFits(name, size);
      return { filename, decision: "send", offset: 0 };
    }
    // From here on it is let go of with the connection's next request, or with the connection.
    const offered = { name, owner, size: size!, algorithm, offset: pending.behind.size, pending };
    this.#offered = offered;
    const { offset } = offered;
    const { md5, xxh128, state } = await pending.behind.facts();
    // Another writer's end may have been waited for, and bytes have been read.
    permit.assert();
    return {
      filename,
      decision: "send",
      offset,
      prefix_md5: md5,
      prefix_xxh128: xxh128,
      prefix_state: state,
    };
  }

  /**
   * Receives a file, and leaves its publication to what it returns.
   *
   * @throws {FerryError} what keeps it from being received; nothing but a part of it is left then. `auth_required`
   * where it is allowed no more, with which `committed` fails too
   */
  async receive(request: PutRequest, body: IncomingBody, permit: Permit): Promise<Received> {
    const { committed } = await this.#explained(permit, this.#receive(request, body, permit));
    const explained = this.#explained(permit, committed);
    // It fails for whoever waits for it, and nobody does where the permit has just ended.
    explained.catch(() => {});
    return { committed: explained };
  }

  async #receive(request: PutRequest, body: IncomingBody, permit: Permit): Promise<Received> {
    const { settle } = this.#options;
    const storage = permit.confine(this.#options.storage);
    const { filename, mtime, mode, overwrite, algorithm } = request;
    const name = parseFileName(filename);
    const assertMay = () => permit.assert();
    // These compare with what the puts before this one may still be publishing.
    if (overwrite === "newer" || overwrite === "different") await settle();
    // A small file that replaces all or nothing meets what is there when it is published; until then
    // nothing that could be said would save anything.
    const small = body.size !== null && body.size <= MAX_DRAIN_BYTES;
    const blind = small && (overwrite === "never" || overwrite === "always");
    const existing = blind ? undefined : await fileIn(storage, name, algorithm);
    const whole = request.offset > 0n ? request.size ?? null : body.size;
    const size = safeSize(whole);
    // No checksum protects a header; of two lengths, one that was damaged on its way shows.
    const rest = (request.size ?? 0n) - request.offset;
    if (body.size !== null && request.size !== undefined && body.size !== rest) {
      throw new FerryError("bad_header", "total_size is not what is left of size behind offset");
    }
    const decision = existing
      ? decideOverwrite(overwrite, { size, mtime, checksum: body.checksum }, existing)
      : "send";
    if (decision === "exists") throw taken();
    if (decision === "have" && existing) {
      // What is there stays; still, what was sent must be what the peer meant to send.
      if (request.offset === 0n) await receive(body, NOWHERE, { onBytes: assertMay });
      else if (!await body.drain()) throw taken();
      // That took its time, and it may be another one by now.
      const there = await fileIn(storage, name, algorithm);
      if (!there) throw new FerryError("busy", "the file that was to stay was removed meanwhile");
      const checksum = there.checksum ?? await storage.checksum(name, algorithm);
      permit.assert();
      const reply = this.#stored(request, { checksum, size: there.size, unchanged: true });
      return { committed: Promise.resolve(reply) };
    }
    await using begun = new AsyncDisposableStack();
    const pending = begun.use(await this.#begin(storage, name, size, request, permit));
    let received;
    try {
      const resumable = size !== null && size > RESUMABLE_BYTES;
      received = await receive(body, pending, {
        behind: pending.behind,
        onBytes: assertMay,
        // The client will have to show that it has the same bytes, and nobody waits for an md5 for that.
        ...(resumable
          ? { resumable: { checkpoint: (prefix) => pending.checkpoint(prefix), proof: true } }
          : {}),
      });
    } catch (error) {
      const { code } = toFerryError(error);
      if (code === "closed" || code === "timeout") pending.keep();
      throw error;
    }
    const { checksum } = received;
    const held = begun.move();
    const commit = async () => {
      await using _pending = held;
      const replace = overwrite !== "never";
      return this.#stored(
        request,
        await pending.commit({ checksum, replace, mtime, mode, assertMay }),
      );
    };
    return { committed: commit() };
  }

  /** Tells of an upload that came to an end, and gives the reply to it. */
  #stored(
    { filename, algorithm, offset }: PutRequest,
    { checksum, size, unchanged, unkept }: Committed,
  ): ReplyHeader {
    const resumedFrom = Number(offset);
    this.#options.onStored({ filename, size, checksum, unchanged, resumedFrom });
    const keys = { ...checksumKeys(algorithm, checksum), size, unchanged, ...unkeptKey(unkept) };
    return { status: "ok", filename, ...keys };
  }

  /** Waits for an upload; where there is no room for it, the error says how much the client itself could make. */
  async #explained<T>({ owner }: Permit, uploading: Promise<T>): Promise<T> {
    try {
      return await uploading;
    } catch (error) {
      const failure = toFerryError(error);
      if (!NO_ROOM.includes(failure.code)) throw failure;
      const kept = (await this.#options.storage.parts(owner)).filter(({ active }) => !active);
      const bytes = kept.reduce((sum, { received }) => sum + received, 0);
      if (bytes === 0) throw failure;
      const size = formatSize(bytes);
      throw new FerryError(
        failure.code,
        `${failure.reason}; your uploads that were cut take ${size} of it: ` +
          "ferry ls --partial lists them, ferry rm --partial NAME removes them",
        { cause: failure },
      );
    }
  }

  async #begin(
    storage: Storage,
    name: FileName,
    size: number | null,
    { offset, algorithm, overwrite }: PutRequest,
    { owner }: Permit,
  ): Promise<PendingWrite> {
    const { onTakenOver } = this.#options;
    const offered = this.#offered;
    if (offset === 0n) {
      await this.release();
      const replace = overwrite !== "never";
      return await storage.create(name, { size, replace, owner, onTakenOver });
    }
    const same = offered?.name === name && offered.owner === owner && offered.size === size &&
      offered.algorithm === algorithm && BigInt(offered.offset) === offset;
    if (!same) {
      throw new FerryError("busy", "no part of it is open at that offset; offer it again");
    }
    this.#offered = undefined;
    return offered.pending;
  }

  /** Lets go of a part that was offered and not gone on with. */
  async release(): Promise<void> {
    await using pending = this.#offered?.pending;
    this.#offered = undefined;
    pending?.keep();
  }

  /** Lets go of everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** The file under a name, if there is one. */
async function fileIn(
  storage: Storage,
  name: FileName,
  algorithm: Algorithm,
): Promise<Entry | undefined> {
  const entry = await storage.find(name, algorithm);
  if (entry?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
  return entry;
}

/** Takes everything and keeps nothing. */
const NOWHERE: ByteSink = { write: () => Promise.resolve() };

function taken(): FerryError {
  return new FerryError("exists", "another file has that name");
}

/**
 * A size from the wire as a number.
 *
 * @throws {FerryError} `too_large`: no file system has files of 2^53 bytes
 */
function safeSize(size: bigint | null): number | null {
  if (size === null) return null;
  if (size <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(size);
  throw new FerryError("too_large", "files of 2^53 bytes and more are not taken");
}
