/**
 * A pending write into a root: a staged upload with its quota reservation, until it is published.
 *
 * @module
 */

import { algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { GRAIN_MS } from "../../../lib/files/local_file.ts";
import type { StagedFile } from "../../../lib/files/staged_file.ts";
import { RESUMABLE_BYTES } from "../../../lib/files/partial_file.ts";
import type { PieceTarget } from "../../../lib/files/stored_pieces.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { MIN_REMEMBERED_BYTES } from "../kept_hashes.ts";
import type { Reservation } from "../quota.ts";
import type {
  BlockHashes,
  CreateOptions,
  ResumableWrite,
  ResumeOptions,
  StoreOptions,
} from "../storage.ts";
import { assertMeets } from "./replaced_entry.ts";
import type { Root } from "./root.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import type { StagedUpload } from "./staged_upload.ts";
import type { StagingArea } from "./staging_area.ts";

/** Where a write is published that does not get its name in the root: the staged tree that the file belongs to. */
export interface PublishTarget {
  /** The area on the file system of the tree. */
  readonly area: StagingArea;
  /**
   * Checks that a file could be created under a name.
   *
   * @throws {FerryError} as `Storage.create`
   */
  assertPlaceable(name: FileName): void;
  /**
   * Counts a file that is being written from now on; the result is called when it no longer is.
   *
   * @throws {FerryError} as {@linkcode PublishTarget.assertPlaceable}
   */
  beginWriting(name: FileName): () => void;
  /** Puts a file into the tree. */
  take(
    staged: StagedFile,
    name: FileName,
    options: CommitOptions & { onNaming(): void; onNamed(path: string): void },
  ): Promise<Committed>;
}

/** Options of {@linkcode FsPendingWrite}. */
interface FsPendingWriteOptions {
  /** See {@linkcode ResumableWrite.id}. */
  id: string;
  /** The name that the file will get. */
  name: FileName;
  /** The staged file, which is disposed of with the write. */
  upload: StagedUpload;
  /** Its quota reservation. */
  reserved: Reservation;
  /** The root that it is written to. */
  served: ServedRoot;
  /** The root, confined to where the name may lead. */
  root: Root;
  /** The staged tree that the file is put into. Default: undefined, it gets its name in the root. */
  into: PublishTarget | undefined;
  /** Called when the file is no longer being written: what {@linkcode PublishTarget.beginWriting} has returned. */
  ended: (() => void) | undefined;
}

/** A file of a root that is being written. */
export class FsPendingWrite implements ResumableWrite {
  readonly #options: FsPendingWriteOptions;
  /** The number of bytes written so far, including those of a resumed partial upload. */
  #size: number;

  private constructor(options: FsPendingWriteOptions) {
    this.#options = options;
    this.#size = options.upload.prefix?.size ?? 0;
  }

  /**
   * Begins a write.
   *
   * @param root how far the name may lead
   * @param options.owner the owner of the partial upload that may remain of it
   * @param options.into the staged tree that the file is put into. Default: none
   * @throws {FerryError} as `Storage.create`
   */
  static async create(
    served: ServedRoot,
    root: Root,
    name: FileName,
    { size, replace, sparse, owner = "", into }: CreateOptions & {
      owner?: string | undefined;
      into?: PublishTarget | undefined;
    },
  ): Promise<FsPendingWrite> {
    await served.assertWritable();
    await served.quotas.prepare(name, size);
    return await attempt(() => {
      using taken = new DisposableStack();
      const ended = into && taken.adopt(into.beginWriting(name), (end) => end());
      if (!into) root.assertPlaceable(name, { fresh: replace === false });
      const area = into?.area ?? served.areas.for(name);
      const reserved = taken.use(reserve(served, area, { name, size, sparse }));
      const upload = area.create(name, size, owner);
      if (sparse) upload.staged.makeHoles();
      taken.move();
      const id = served.areas.idOf(area, upload.file);
      return new FsPendingWrite({ id, name, upload, reserved, served, root, into, ended });
    });
  }

  /**
   * Resumes a partial upload.
   *
   * @param root how far the name may lead
   * @returns undefined if it does not exist, is of no use, or is already open
   * @throws {FerryError} as `PartialUploads.resume`
   */
  static async resume(
    served: ServedRoot,
    root: Root,
    id: string,
    { algorithm, sparse = false, owner = "", into }: ResumeOptions & {
      into?: PublishTarget | undefined;
    },
  ): Promise<FsPendingWrite | undefined> {
    await served.assertWritable();
    const located = await attempt(() => {
      root.assertStanding();
      const located = served.areas.locate(id, owner);
      if (located) (into ?? root).assertPlaceable(located.name);
      return located;
    });
    if (!located) return undefined;
    const { area, file, name, size } = located;
    const upload = await area.resume(file, algorithm);
    if (!upload) return undefined;
    const held = upload.prefix?.size ?? 0;
    const { stored } = upload;
    await using taken = new AsyncDisposableStack();
    taken.use(upload);
    // If there is no room for the rest now, there may be later: the partial upload is kept.
    taken.defer(() => upload.keep());
    // The tree may have been closed or published while the bytes were verified.
    const ended = into && await attempt(() => into.beginWriting(name));
    if (ended) taken.defer(ended);
    await served.quotas.prepare(name, size, stored);
    const reserved = taken.use(served.quotas.reserve(name, size, stored));
    if (sparse) upload.staged.makeHoles();
    else if (size !== null) await attempt(() => area.assertRoom(size - held));
    taken.move();
    return new FsPendingWrite({ id, name, upload, reserved, served, root, into, ended });
  }

  get id(): string {
    return this.#options.id;
  }

  get prefix(): PrefixDigest | undefined {
    return this.#options.upload.prefix;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { upload, reserved, root } = this.#options;
    // For a file that is written in one piece, the checks when it is begun and when it is committed suffice.
    if (this.#size > 0) root.assertStanding();
    upload.assertHeld();
    this.#size += bytes.length;
    reserved.grow(this.#size);
    await upload.staged.write(bytes);
  }

  checkpoint(prefix: SavedPrefix): Promise<void> {
    return attempt(() => {
      this.#options.root.assertStanding();
      this.#options.upload.checkpoint(prefix);
    });
  }

  beginPieces(size: number): PieceTarget {
    const { upload, root } = this.#options;
    const { staged } = upload;
    staged.beginPieces(size);
    this.#size = size;
    return {
      pieces: upload.pieces,
      async writeAt(bytes, offset) {
        root.assertStanding();
        upload.assertHeld();
        await staged.writeAt(bytes, offset);
      },
      readAt: (into, offset) => staged.readAt(into, offset),
      checkpoint: (prefix, pieces) =>
        attempt(() => {
          root.assertStanding();
          upload.checkpoint(prefix, pieces);
        }),
    };
  }

  keep(): void {
    this.#options.upload.keep();
  }

  async commit({ blocks, ...options }: StoreOptions): Promise<Committed> {
    const { name, upload, reserved, served, root, into } = this.#options;
    upload.assertHeld();
    const onNaming = () => upload.unrecord();
    const onNamed = () => reserved.settle(this.#size);
    const { checksum, condition } = options;
    if (into) {
      return await into.take(upload.staged, name, {
        ...options,
        onNaming,
        onNamed: (path) => {
          onNamed();
          this.#remember(path, checksum, blocks);
        },
      });
    }
    const algorithm = algorithmOf(checksum)!;
    const still = condition && await assertMeets(served, root, name, { condition, algorithm });
    const committed = await served.publisher.publish({
      name,
      staged: upload.staged,
      within: root,
      look: served.fileSystem.timeStep !== 1,
      explicit: options.mode !== undefined,
      ...options,
      assertMay: () => {
        options.assertMay?.();
        still?.();
      },
      onNaming,
      onNamed: (path) => {
        onNamed();
        this.#remember(path, checksum, blocks);
      },
    });
    if (options.replace) served.quotas.lessened(name);
    served.cache.names.add({ name, size: committed.size, checksum: committed.checksum });
    return committed;
  }

  /**
   * Remembers the checksum of the file that was just published, and the hashes of its blocks if they are known. A later
   * write is certain to change its modification time, unless that is the present time already. Hashes of an earlier file
   * are forgotten, which may have had the same inode, size and times a moment ago.
   */
  #remember(path: string, checksum: Checksum, blocks: BlockHashes | undefined): void {
    const { name, served: { cache, hashes, runtime } } = this.#options;
    const info = infoAt(path);
    if (!info?.isFile || info.size !== this.#size) return;
    const age = runtime.clock.now() - (info.mtime?.getTime() ?? Infinity);
    const identity = cache.identify(info, name);
    cache.expect(identity, checksum);
    if (this.#size < MIN_REMEMBERED_BYTES) return;
    if (blocks && age >= GRAIN_MS) hashes.record(identity, blocks);
    else hashes.forget(identity);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { upload, reserved, ended } = this.#options;
    ended?.();
    try {
      await upload[Symbol.asyncDispose]();
    } finally {
      reserved.settle(upload.left);
    }
  }
}

/**
 * Reserves the space that a new file needs. The quota counts holes as well, which take no space on the disk.
 *
 * @throws {FerryError} `too_large`, `quota`, `no_space`
 */
export function reserve(
  { quotas }: ServedRoot,
  area: StagingArea,
  { name, size, sparse = false }: Pick<CreateOptions, "size" | "sparse"> & { name: FileName },
): Reservation {
  using taken = new DisposableStack();
  const reserved = taken.use(quotas.reserve(name, size));
  if (size !== null && size > RESUMABLE_BYTES && !sparse) area.assertRoom(size);
  taken.move();
  return reserved;
}
