/**
 * What one request does with files: which names it may use, what becomes of a file that is there, what is resumed, and
 * when an upload becomes visible. It knows no wire: each protocol translates its requests into these calls.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry, Listed, PartEntry } from "../../lib/core/entry.ts";
import { type ErrorCode, FerryError, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { decideOverwrite, type FileState, type Overwrite } from "../../lib/core/overwrite.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import { type FileName, parseDirectoryName, parseFileName } from "../../lib/core/remote_name.ts";
import type { Committed } from "../../lib/files/commit.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { receive } from "../../lib/transfer/receive.ts";
import type { Permit } from "../auth/permit.ts";
import type { ListOptions, Storage } from "../storage/storage.ts";
import { type ComparedFile, compareFiles, type ComparisonResult } from "./comparison.ts";
import { beginWrite, LockedWrite, type UploadWrite } from "./locked_write.ts";
import { notOffered, OfferedUpload, type UploadIdentity } from "./offered_upload.ts";
import type {
  OfferAnswer,
  ReceivedUpload,
  StoredUpload,
  UploadContent,
  UploadOffer,
  UploadStart,
} from "./upload.ts";
import type { UploadLocks } from "./upload_locks.ts";
import { OpenedFile, type OpenFileOptions } from "./opened_file.ts";

/** What the file services of one client have in common. */
export interface FileServiceOptions {
  /** Where the files are. */
  storage: Storage;
  /** Arbitrate the writers of partial uploads. */
  locks: UploadLocks;
  /** What computes digests. */
  runtime: Runtime;
  /** Called for each upload that came to a good end, also where the file that was there stays. */
  onStored?: ((file: StoredUpload) => void) | undefined;
  /**
   * Called when another client takes over a partial upload that this one has been sending without moving a byte: what
   * it sends must end soon.
   */
  onTakenOver?: (() => void) | undefined;
}

/** Whether files can be served. */
export interface Health {
  /** What keeps them from being served; undefined where nothing does. */
  readonly problem?: FerryError | undefined;
  /** What the storage cannot promise, as sentences in English. */
  readonly shortcomings: readonly string[];
}

/** A file of up to this size is received before it is looked up what has its name: to refuse it early saves nothing. */
const SMALL_BYTES = 1024 * 1024;

/** The errors that say that there is no room for a file. */
const NO_ROOM: readonly ErrorCode[] = ["quota", "no_space"];

/** Takes everything and keeps nothing. */
const NOWHERE = { write: () => Promise.resolve() };

/**
 * The files that one request may reach, as far as its permit goes: outside of that every method fails with
 * `auth_required` or `denied`. Names are as the client gave them, and `bad_name` is what a wrong one fails with.
 */
export class FileService {
  readonly #permit: Permit;
  readonly #options: FileServiceOptions;
  /** The storage within the bounds of the permit. */
  readonly #storage: Storage;
  readonly #assertMay: () => void;

  /** The files for a request that has this permit. */
  constructor(permit: Permit, options: FileServiceOptions) {
    this.#permit = permit;
    this.#options = options;
    this.#storage = permit.confine(options.storage);
    this.#assertMay = () => permit.assert();
  }

  /** Whether files can be served now. */
  async health(): Promise<Health> {
    const { storage } = this.#options;
    try {
      await storage.assertServing();
      return { shortcomings: storage.shortcomings ?? [] };
    } catch (error) {
      return { problem: toFerryError(error), shortcomings: [] };
    }
  }

  /**
   * Answers an offer: whether the file should be sent, and from where on.
   *
   * @throws {FerryError} `exists`, `not_a_file`, `too_large`, `quota`, `no_space`
   */
  async offer(offer: UploadOffer): Promise<OfferAnswer> {
    try {
      return await this.#consider(offer);
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  async #consider(offer: UploadOffer): Promise<OfferAnswer> {
    const { filename, algorithm, overwrite, checksum } = offer;
    const name = parseFileName(filename);
    const size = assertSize(offer.size);
    const existing = await this.#fileAt(name, algorithm);
    if (existing) {
      let known = existing.checksum;
      let decision = decideOverwrite(overwrite, offer, existing);
      if (decision === "hash" && checksum !== null) {
        known = await this.#checksum(name, algorithm);
        decision = decideOverwrite(overwrite, offer, { ...existing, checksum: known });
      }
      if (decision === "exists") throw taken();
      if (decision === "hash") return { decision };
      if (decision === "have") {
        known ??= await this.#checksum(name, algorithm);
        const have = { checksum: known, size: existing.size };
        this.#stored({ filename, offset: 0 }, { ...have, unchanged: true });
        return { decision, ...have };
      }
    }
    const partial = offer.restart
      ? undefined
      : await this.#resume({ name, size, algorithm, owner: this.#permit.owner });
    if (!partial) await this.#storage.assertFits(name, size);
    return { decision: "send", partial };
  }

  /** Takes up what the client has sent of a file before, where there is something. */
  async #resume(identity: UploadIdentity): Promise<OfferedUpload | undefined> {
    const { algorithm } = identity;
    const { locks, onTakenOver } = this.#options;
    const arbitration = { algorithm, locks, onTakenOver };
    const write = await LockedWrite.resume(this.#storage, identity, arbitration);
    const partial = write && await OfferedUpload.of(identity, write);
    try {
      // Another writer's end may have been waited for, and bytes have been read.
      this.#permit.assert();
    } catch (error) {
      await partial?.[Symbol.asyncDispose]();
      throw error;
    }
    return partial;
  }

  /**
   * Receives a file and verifies it. It is published after that, while the caller may handle its next request.
   *
   * @param partial the partial upload that the client was offered, if it resumes one
   * @throws {FerryError} why it was not received: `exists`, `not_a_file`, `checksum_mismatch`, `too_large`, `quota`,
   * `no_space`, and the content's errors. Nothing but a partial upload is left of it. `busy` where it begins at an
   * offset that was not offered
   */
  async put(
    upload: UploadStart,
    content: UploadContent,
    partial?: OfferedUpload,
  ): Promise<ReceivedUpload> {
    try {
      const { algorithm, overwrite, offset } = upload;
      const name = parseFileName(upload.filename);
      const size = assertSize(upload.size);
      // What is there decides; for a small file that comes whole, when it is published.
      const isSmall = size !== null && size - offset <= SMALL_BYTES;
      if (!isSmall || overwrite === "newer" || overwrite === "different") {
        const existing = await this.#fileAt(name, algorithm);
        const incoming: FileState = { size, mtime: upload.mtime, checksum: content.checksum };
        const decision = existing ? decideOverwrite(overwrite, incoming, existing) : "send";
        if (decision === "exists") throw taken();
        if (decision === "have") return await this.#leave(name, upload, content);
      }
      const { locks, onTakenOver } = this.#options;
      const target = { name, size, owner: this.#permit.owner };
      const replace = overwrite !== "never";
      const write = offset > 0
        ? this.#goOn({ ...target, algorithm }, offset, partial)
        : await beginWrite(this.#storage, target, { replace, locks, onTakenOver });
      const checksum = await this.#receive(write, content);
      return { published: this.#publish(write, upload, checksum) };
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  #goOn(identity: UploadIdentity, offset: number, partial?: OfferedUpload): UploadWrite {
    if (!partial) throw notOffered();
    return partial.take(identity, offset);
  }

  /** Receives what a write takes; where that fails, the write is ended. */
  async #receive(write: UploadWrite, content: UploadContent): Promise<Checksum> {
    const partial = write instanceof LockedWrite ? write : undefined;
    try {
      // An XXH3-128 is kept, too: with it a client proves quickly that its first bytes are the same.
      const resumable = partial &&
        { checkpoint: partial.checkpoint.bind(partial), proof: true };
      const options = { behind: partial?.prefix, onBytes: this.#assertMay, resumable };
      const { checksum } = await receive(this.#options.runtime, content, write, options);
      return checksum;
    } catch (error) {
      await using _ended = write;
      if (wasCut(error)) partial?.keep();
      throw error;
    }
  }

  async #publish(write: UploadWrite, upload: UploadStart, checksum: Checksum): Promise<Committed> {
    try {
      const { overwrite, mtime, mode } = upload;
      const committed = await write.commit({
        checksum,
        replace: overwrite !== "never",
        mtime,
        mode,
        assertMay: this.#assertMay,
      });
      this.#stored(upload, committed);
      return committed;
    } catch (error) {
      throw await this.#explained(error);
    } finally {
      await write[Symbol.asyncDispose]();
    }
  }

  /** Leaves the file that is there as it is. What was sent must still be what the client meant to send. */
  async #leave(
    name: FileName,
    upload: UploadStart,
    content: UploadContent,
  ): Promise<ReceivedUpload> {
    const { algorithm, offset } = upload;
    if (offset === 0) {
      await receive(this.#options.runtime, content, NOWHERE, { onBytes: this.#assertMay });
    } else if (!await content.drain()) throw taken();
    // That took its time, and it may be another one by now.
    const there = await this.#fileAt(name, algorithm);
    if (!there) throw new FerryError("busy", "the file that was to stay was removed meanwhile");
    const checksum = there.checksum ?? await this.#storage.checksum(name, algorithm);
    this.#permit.assert();
    const committed = { checksum, size: there.size, unchanged: true };
    this.#stored(upload, committed);
    return { published: Promise.resolve(committed) };
  }

  /** Tells of an upload that came to a good end. */
  #stored(
    { filename, offset }: { filename: string; offset: number },
    { checksum, size, unchanged }: Committed,
  ): void {
    this.#options.onStored?.({ filename, size, checksum, unchanged, resumedFrom: offset });
  }

  /** Where there is no room for an upload, the error that says how much the client itself could make. */
  async #explained(error: unknown): Promise<FerryError> {
    const failure = toFerryError(error);
    if (!NO_ROOM.includes(failure.code)) return failure;
    const kept = (await this.#ownPartials()).filter(({ active }) => !active);
    const bytes = kept.reduce((sum, { received }) => sum + received, 0);
    if (bytes === 0) return failure;
    return new FerryError(
      failure.code,
      `${failure.reason}; your uploads that were cut take ${formatSize(bytes)} of it: ` +
        "ferry ls --partial lists them, ferry rm --partial NAME removes them",
      { cause: failure },
    );
  }

  /**
   * Opens a file, or a part of it, for reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async open(filename: string, options: OpenFileOptions): Promise<OpenedFile> {
    const stored = await this.#storage.open(parseFileName(filename), options.algorithm);
    try {
      const opened = await OpenedFile.of(this.#options.runtime, stored, options);
      // What proves a prefix may have been read for a while.
      this.#permit.assert();
      return opened;
    } catch (error) {
      await stored[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * The entries below a directory; "" is the root. They are read as they are asked for.
   *
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async list(directory: string, options: ListOptions): Promise<AsyncIterable<Listed>> {
    return this.#storage.list(await this.#directory(directory), options);
  }

  /**
   * The client's partial uploads, those that it may look at, wherever they belong.
   *
   * @param directory has to be one
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async partialUploads(directory: string): Promise<PartEntry[]> {
    await this.#directory(directory);
    return (await this.#ownPartials()).filter(({ filename }) =>
      this.#permit.allows({ op: "stat", filename })
    );
  }

  async #directory(text: string): Promise<FileName | ""> {
    const name = parseDirectoryName(text);
    const { type } = await this.#storage.stat(name);
    if (type !== "directory") throw new FerryError("not_a_file", "it is not a directory");
    return name;
  }

  /**
   * What is known of a name; "" is the root. A file is read for its checksum where that is not known.
   *
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async stat(filename: string, algorithm: Algorithm): Promise<Entry> {
    const name = parseDirectoryName(filename);
    const entry = await this.#storage.stat(name, algorithm);
    if (name === "" || entry.type !== "file") return { ...entry, checksum: null };
    return { ...entry, checksum: await this.#checksum(name, algorithm) };
  }

  /**
   * Tells which of many files the client would have to send; see {@linkcode compareFiles}. A file that it may not ask
   * about is refused alone.
   */
  compare(
    files: AsyncIterable<readonly ComparedFile[]>,
    options: { overwrite: Overwrite; algorithm: Algorithm; content: boolean },
  ): AsyncGenerator<ComparisonResult, void, void> {
    const assertMay = (filename: string) => this.#permit.assert({ op: "compare", filename });
    return compareFiles(this.#storage, files, { ...options, assertMay });
  }

  /**
   * Makes a directory and those above it; one that exists is no error.
   *
   * @throws {FerryError} `exists`, `not_a_file`
   */
  async mkdir(filename: string): Promise<void> {
    await this.#storage.mkdir(parseFileName(filename), { assertMay: this.#assertMay });
  }

  /**
   * Deletes a file, or with `recursive` a directory and what is in it.
   *
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async remove(filename: string, { recursive }: { recursive: boolean }): Promise<void> {
    using ending = this.#ending();
    const { signal } = ending;
    await this.#storage.remove(parseFileName(filename), { recursive, signal });
  }

  /**
   * Gives a file or a directory another name.
   *
   * @param replace whether a file of the new name is replaced
   * @throws {FerryError} `not_found`, `exists`, `not_a_file`
   */
  async move(from: string, to: string, { replace }: { replace: boolean }): Promise<void> {
    using ending = this.#ending();
    await this.#storage.move(parseFileName(from), parseFileName(to), {
      replace,
      assertMay: this.#assertMay,
      signal: ending.signal,
    });
  }

  /**
   * Throws away the client's partial uploads of a file.
   *
   * @throws {FerryError} `not_found`; `busy` where one is being written
   */
  async discard(filename: string): Promise<void> {
    const { owner } = this.#permit;
    const { partialUploads } = this.#storage;
    const name = parseFileName(filename);
    const assertMay = this.#assertMay;
    assertMay();
    const own = (await partialUploads?.list(owner) ?? [])
      .filter(({ entry }) => entry.filename === name);
    if (own.length === 0) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    const idle = own.filter(({ entry }) => !entry.active);
    for (const { id } of idle) await partialUploads!.discard(id, { owner, assertMay });
    if (idle.length < own.length) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
  }

  /** All partial uploads of the client. */
  async #ownPartials(): Promise<PartEntry[]> {
    const partials = await this.#options.storage.partialUploads?.list(this.#permit.owner) ?? [];
    return partials.map(({ entry }) => entry);
  }

  /** A signal that is aborted when the permit ends, until it is disposed of. */
  #ending(): Disposable & { readonly signal: AbortSignal } {
    const ended = new AbortController();
    const watch = this.#permit.onEnd((error) => ended.abort(error));
    return { signal: ended.signal, [Symbol.dispose]: () => watch[Symbol.dispose]() };
  }

  /** The file under a name, if there is one. */
  async #fileAt(name: FileName, algorithm: Algorithm): Promise<Entry | undefined> {
    const entry = await this.#storage.find(name, algorithm);
    if (entry?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    return entry;
  }

  /** The checksum of a file, for as long as the permit holds. */
  #checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    return this.#permit.wait(this.#storage.checksum(name, algorithm));
  }
}

function taken(): FerryError {
  return new FerryError("exists", "another file has that name");
}

/**
 * Refuses a size that a number cannot hold exactly.
 *
 * @throws {FerryError} `too_large`: no file system has files of 2^53 bytes
 */
function assertSize(size: number | null): number | null {
  if (size === null || size <= Number.MAX_SAFE_INTEGER) return size;
  throw new FerryError("too_large", "files of 2^53 bytes and more are not taken");
}
