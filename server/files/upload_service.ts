/**
 * What requests do with uploads: which are wanted, where they are resumed, when they become visible, and what is kept of
 * those that were cut.
 *
 * @module
 */

import type { IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { FerryError, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { decideOverwrite, type FileState, type Overwrite } from "../../lib/core/overwrite.ts";
import { type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import type { Committed } from "../../lib/files/commit.ts";
import { receive } from "../../lib/transfer/receive.ts";
import type { Permit } from "../auth/permit.ts";
import type { WriteTarget } from "../storage/staged_trees.ts";
import type { BlockHashes, Storage } from "../storage/storage.ts";
import { UploadFromBasis } from "./basis.ts";
import type { FileServiceOptions } from "./file_service.ts";
import { beginWrite, LockedWrite, takesPieces, type UploadWrite } from "./locked_write.ts";
import { AssembledUpload, type AssembledUploads } from "./assembled_upload.ts";
import {
  notOffered,
  OfferedUpload,
  type ReservedUpload,
  type UploadIdentity,
} from "./offered_upload.ts";
import type {
  OfferAnswer,
  ProposedUpload,
  ReceivedUpload,
  StoredUpload,
  UploadOffer,
  UploadStart,
} from "./upload.ts";
import { OwnPartials } from "./own_partials.ts";
import { withKeptBytes } from "./no_room.ts";
import { mayReplace, policyFor, taken } from "./overwriting.ts";
import { conditionOf } from "./precondition.ts";
import type { UploadLocks } from "./upload_locks.ts";

/** What the upload services of one client have in common. */
export interface UploadServiceOptions extends FileServiceOptions {
  /** The locks that arbitrate between the writers of partial uploads. */
  locks: UploadLocks;
  /**
   * Called before the content of an upload is received, perhaps more than once, and waited for. If it fails, the upload
   * is refused with that error.
   */
  beforeStore?: ((upload: ProposedUpload) => Promise<void>) | undefined;
  /**
   * Called for each upload that succeeded, also if an existing file was kept. The upload is acknowledged when its
   * promise resolves, which must not fail.
   */
  onStored?: ((file: StoredUpload) => Promise<void>) | undefined;
  /**
   * Called when another client takes over a partial upload because this client's upload has stalled. The stalled upload
   * must end soon.
   */
  onTakenOver?: (() => void) | undefined;
}

/**
 * A file of up to this size, in bytes, is received before its name is looked up: refusing it early would save nothing.
 */
const SMALL_BYTES = 1024 * 1024;

/** What is known of an upload that builds upon no file. */
const NOTHING_REUSED = { reused: 0, blocks: undefined };

/** A sink that discards everything. */
const NOWHERE = { write: () => Promise.resolve() };

/**
 * The uploads of one request, as its permit allows: otherwise every method fails with `auth_required` or `denied`. Names
 * are as the client gave them; every method fails with `bad_name` for an invalid one.
 */
export class UploadService {
  readonly #permit: Permit;
  readonly #options: UploadServiceOptions;
  /** The storage within the bounds of the permit. */
  readonly #storage: Storage;
  /** What the files are put into: the storage, or a staged tree. */
  readonly #target: WriteTarget;
  readonly #isStaged: boolean;
  /** What was received of uploads of the same client that were cut. */
  readonly partials: OwnPartials;
  readonly #assertMay: () => void;

  /**
   * The uploads for a request that has this permit.
   *
   * @param stage the staged tree that the files are put into. In there, every upload replaces what is there. Default:
   * none, they get their names at once
   */
  constructor(permit: Permit, options: UploadServiceOptions, stage?: WriteTarget) {
    this.#permit = permit;
    this.#options = options;
    this.#storage = permit.confine(options.storage);
    this.#target = stage ?? this.#storage;
    this.#isStaged = stage !== undefined;
    this.partials = new OwnPartials(permit, this.#storage);
    this.#assertMay = () => permit.assert();
  }

  /**
   * Answers an offer: whether the client should send the file, and from which offset.
   *
   * @param options.admitted whether {@linkcode UploadServiceOptions.beforeStore} has let the upload in already. Default:
   * false
   * @throws {FerryError} `exists`, `not_a_file`, `too_large`, `quota`, `no_space`
   */
  async offer(
    offer: UploadOffer,
    { admitted = false }: { admitted?: boolean } = {},
  ): Promise<OfferAnswer> {
    try {
      return await this.#consider(offer, admitted);
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  async #consider(offer: UploadOffer, admitted: boolean): Promise<OfferAnswer> {
    const { filename, algorithm, checksum } = offer;
    const overwrite = this.#policyFor(offer);
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
        await this.#stored({ filename, offset: 0 }, { ...have, unchanged: true });
        return { decision, ...have };
      }
    }
    if (!admitted) await this.admit(offer);
    const { sparse } = offer;
    const partial = offer.restart
      ? undefined
      : await this.#resume({ name, size, algorithm, owner: this.#permit.owner }, { sparse });
    if (!partial) await this.#target.assertFits(name, size, { sparse });
    const replaces = existing !== undefined || this.#isStaged && await this.#isPublished(name);
    return { decision: "send", partial, replaces };
  }

  /**
   * Lets an upload in, or refuses it before its content is received.
   *
   * @throws {FerryError} the error of {@linkcode UploadServiceOptions.beforeStore}
   */
  async admit({ filename, size, checksum }: ProposedUpload): Promise<void> {
    const { beforeStore } = this.#options;
    if (!beforeStore) return;
    await this.#permit.wait(beforeStore({ filename, size, checksum }));
    this.#permit.assert();
  }

  /** Whether a file that is staged has an older version under its name, as far as the client may know. */
  async #isPublished(name: FileName): Promise<boolean> {
    return await this.#storage.find(name).then((there) => there?.type === "file", () => false);
  }

  /** Resumes the client's partial upload of a file; undefined if there is none. */
  async #resume(
    identity: UploadIdentity,
    { sparse }: Pick<UploadOffer, "sparse">,
  ): Promise<OfferedUpload | undefined> {
    const { algorithm } = identity;
    const { locks, onTakenOver } = this.#options;
    const arbitration = { algorithm, locks, onTakenOver };
    const write = await LockedWrite.resume(this.#target, { ...identity, sparse }, arbitration);
    const partial = write && await OfferedUpload.of(identity, write);
    try {
      // Check again: waiting for another writer to end and reading bytes may have taken a while.
      this.#permit.assert();
    } catch (error) {
      await partial?.[Symbol.asyncDispose]();
      throw error;
    }
    return partial;
  }

  /**
   * Begins an upload whose bytes come in pieces; a {@linkcode UploadService.put} at its end, without any bytes, ends it.
   *
   * @param reserved what was offered to the client, if the upload goes on with it
   * @returns undefined if the file can only come from its start to its end
   * @throws {FerryError} `busy` if it starts at an offset that was not offered; `too_large`, `quota`, `no_space`, …
   */
  async assemble(
    wanted: UploadStart,
    uploads: AssembledUploads,
    reserved?: ReservedUpload,
  ): Promise<AssembledUpload | undefined> {
    try {
      const { algorithm, offset, sparse, overwrite } = wanted;
      const name = parseFileName(wanted.filename);
      const size = assertSize(wanted.size);
      if (sparse || !takesPieces(this.#target, size)) return undefined;
      // What goes on was let in when it was offered.
      if (offset === 0) await this.admit({ ...wanted, checksum: null });
      const identity = { name, size, owner: this.#permit.owner, algorithm };
      const { runtime, locks, onTakenOver } = this.#options;
      const write = offset > 0
        ? await this.#takeReserved(identity, offset, reserved)
        : await LockedWrite.create(this.#target, identity, {
          ...{ replace: mayReplace(overwrite), locks, onTakenOver },
        });
      return await AssembledUpload.open(identity, write, { runtime, uploads });
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  /**
   * Receives a file and verifies it. Publishing it continues after this resolves, so that the caller can handle its
   * next request meanwhile.
   *
   * @param reserved what is there of the file already, if the upload goes on with it
   * @throws {FerryError} why it was not received: `exists`, `not_a_file`, `checksum_mismatch`, `too_large`, `quota`,
   * `no_space`, and the errors of reading the content. At most a partial upload is kept of it. `busy` if it starts at
   * an offset that was not offered; `not_found` if a precondition expects a file
   */
  async put(
    wanted: UploadStart,
    body: IncomingContent,
    reserved?: ReservedUpload,
  ): Promise<ReceivedUpload> {
    try {
      const upload = { ...wanted, overwrite: this.#policyFor(wanted) };
      await using assembled = await this.#assembled(upload, body);
      const content = assembled ?? body;
      const { algorithm, overwrite, offset } = upload;
      const name = parseFileName(upload.filename);
      const size = assertSize(upload.size);
      await this.#assertMeets(name, upload);
      const incoming: FileState = { size, mtime: upload.mtime, checksum: content.checksum };
      const stays = await this.#existingStays(name, upload, incoming);
      const { resumable, sparse } = upload;
      const target = { name, size, owner: this.#permit.owner, resumable, sparse };
      const resumed = offset > 0
        ? await this.#takeReserved({ ...target, algorithm }, offset, reserved)
        : undefined;
      if (stays) return await this.#leave(name, upload, content, resumed);
      // What is resumed or put together from pieces was let in when that began.
      if (!resumed) await this.admit({ ...upload, checksum: content.checksum });
      const { locks, onTakenOver } = this.#options;
      const { mtime, mode } = upload;
      const announced = { mtime, mode, checksum: content.checksum ?? undefined };
      const replace = mayReplace(overwrite) && !upload.precondition?.absent;
      const arbitration = { replace, announced, locks, onTakenOver };
      const write = resumed ?? await beginWrite(this.#target, target, arbitration);
      const checksum = await this.#receive(write, content);
      const { reused, blocks } = assembled ?? NOTHING_REUSED;
      const resumedFrom = resumed ? reserved!.resumedFrom : 0;
      const stored = { ...upload, offset: resumedFrom, reused };
      return { published: this.#publish(write, stored, { checksum, blocks }) };
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  /** The content that the body of an upload describes, if the upload builds upon another file. */
  async #assembled(
    { basis, size, offset }: UploadStart,
    recipe: IncomingContent,
  ): Promise<UploadFromBasis | undefined> {
    if (!basis) return undefined;
    const { filename } = basis;
    const storage = this.#permit.confine(this.#options.storage, { op: "get", filename });
    return await UploadFromBasis.open({ storage, basis, recipe, size: assertSize(size)!, offset });
  }

  /** Fails if a precondition does not hold already before the content comes. */
  async #assertMeets(name: FileName, { precondition, algorithm }: UploadStart): Promise<void> {
    if (!precondition) return;
    const there = await this.#fileAt(name, algorithm);
    const checksum = there && (there.checksum ?? await this.#checksum(name, algorithm));
    conditionOf(precondition)(there && { ...there, checksum: checksum! });
  }

  /**
   * Whether the existing file stays, as far as that is known before the content is received.
   *
   * @throws {FerryError} `exists` if the upload is refused
   */
  async #existingStays(
    name: FileName,
    { algorithm, overwrite, offset }: UploadStart,
    incoming: FileState,
  ): Promise<boolean> {
    const { size } = incoming;
    const isSmall = size !== null && size - offset <= SMALL_BYTES;
    // The existing file decides. Where little is still to come, the commit finds it.
    // `newer` and `different` need it now.
    if (isSmall && overwrite !== "newer" && overwrite !== "different") return false;
    const existing = await this.#fileAt(name, algorithm);
    const decision = existing ? decideOverwrite(overwrite, incoming, existing) : "send";
    if (decision === "exists") throw taken();
    // `hash` means that a checksum is not known yet: the content is received, and `mayReplace` decides at the commit.
    return decision === "have";
  }

  #takeReserved(
    identity: UploadIdentity,
    offset: number,
    reserved?: ReservedUpload,
  ): Promise<LockedWrite> {
    if (!reserved) throw notOffered();
    return reserved.take(identity, offset);
  }

  /** Receives the content into a write. If that fails, the write is ended. */
  async #receive(write: UploadWrite, content: IncomingContent): Promise<Checksum> {
    const resumableWrite = write instanceof LockedWrite ? write : undefined;
    const assembled = content instanceof UploadFromBasis ? content : undefined;
    try {
      // An XXH3-128 is saved, too: with it a client can quickly prove that its first bytes are the same.
      const resumable = resumableWrite &&
        { checkpoint: resumableWrite.checkpoint.bind(resumableWrite), proof: true };
      const sink = assembled?.sinkInto(write) ?? write;
      const { checksum } = await receive(this.#options.runtime, content, sink, {
        behind: resumableWrite?.prefix,
        onBytes: this.#assertMay,
        resumable,
        byThread: true,
      });
      return checksum;
    } catch (error) {
      // Disposed of at the end of this block: `keep` has to come first.
      await using _ended = write;
      if (wasCut(error)) resumableWrite?.keep();
      if (toFerryError(error).code === "checksum_mismatch") await assembled?.doubt();
      throw error;
    }
  }

  async #publish(
    write: UploadWrite,
    upload: UploadStart & Pick<StoredUpload, "reused">,
    { checksum, blocks }: { checksum: Checksum; blocks: BlockHashes | undefined },
  ): Promise<Committed> {
    try {
      const { overwrite, mtime, mode, precondition } = upload;
      const committed = await write.commit({
        checksum,
        blocks,
        replace: mayReplace(overwrite) && !precondition?.absent,
        mtime,
        mode,
        assertMay: this.#assertMay,
        condition: precondition && !precondition.absent ? conditionOf(precondition) : undefined,
      });
      // A file that is the same, and came from another, is none that this upload has created.
      if (precondition?.absent && committed.unchanged) throw taken();
      await this.#stored(upload, committed);
      return committed;
    } catch (error) {
      throw await this.#explained(error);
    } finally {
      await write[Symbol.asyncDispose]();
    }
  }

  /**
   * Keeps the existing file. The content is received and verified all the same; a partial upload that it resumes is
   * discarded then.
   */
  async #leave(
    name: FileName,
    upload: UploadStart,
    content: IncomingContent,
    resumed: LockedWrite | undefined,
  ): Promise<ReceivedUpload> {
    const { algorithm } = upload;
    await using _discarded = resumed;
    if (resumed) await this.#receive(resumed, content);
    else await receive(this.#options.runtime, content, NOWHERE, { onBytes: this.#assertMay });
    // Receiving took time: look again at the existing file, which may have been replaced.
    const there = await this.#fileAt(name, algorithm);
    if (!there) {
      resumed?.keep();
      throw new FerryError("busy", "the file that was to stay was removed meanwhile");
    }
    const checksum = there.checksum ?? await this.#checksum(name, algorithm);
    this.#permit.assert();
    const committed = { checksum, size: there.size, unchanged: true };
    await this.#stored(upload, committed);
    return { published: Promise.resolve(committed) };
  }

  /** Reports an upload that succeeded. */
  async #stored(
    { filename, offset, reused = 0 }: { filename: string; offset: number; reused?: number },
    { checksum, size, unchanged }: Committed,
  ): Promise<void> {
    const staged = this.#isStaged ? { staged: true } as const : {};
    const stored = { filename, size, checksum, unchanged, resumedFrom: offset, reused, ...staged };
    await this.#options.onStored?.(stored);
  }

  #explained(error: unknown): Promise<FerryError> {
    return withKeptBytes(toFerryError(error), () => this.partials.all());
  }

  #policyFor(upload: Parameters<typeof policyFor>[1]): Overwrite {
    return this.#isStaged ? "always" : policyFor(this.#permit, upload);
  }

  /** The file under a name, if there is one. */
  async #fileAt(name: FileName, algorithm: Algorithm): Promise<Entry | undefined> {
    const entry = await this.#target.find(name, algorithm);
    if (entry?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    return entry;
  }

  /** The checksum of a file. Fails if the permit ends while it is computed. */
  #checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    return this.#permit.wait(this.#target.checksum(name, algorithm));
  }
}

/**
 * Refuses a size that a JavaScript number cannot hold exactly.
 *
 * @throws {FerryError} `too_large`: no file system has files of 2^53 bytes
 */
function assertSize(size: number | null): number | null {
  if (size === null || size <= Number.MAX_SAFE_INTEGER) return size;
  throw new FerryError("too_large", "files of 2^53 bytes and more are not taken");
}
