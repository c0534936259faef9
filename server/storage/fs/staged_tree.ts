/**
 * A staged tree of a root: a directory of which nobody sees anything until it gets its name.
 *
 * Nobody else can reach it, so its files are created under their own names, and nothing in it is flushed before it is
 * published.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import { type Entry, type Unkept, unkeptKey } from "../../../lib/core/entry.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import { LocalFile } from "../../../lib/files/local_file.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { bitsOf } from "../../../lib/files/permission_bits.ts";
import { makeSure } from "../../../lib/files/read_back.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import type {
  ChangeOptions,
  CreateOptions,
  CreateResumableOptions,
  FindOptions,
  PartialUpload,
  PendingWrite,
  ResumableWrite,
  ResumeOptions,
} from "../storage.ts";
import type { PublishedTree, PublishOptions, StagedTree, WriteTarget } from "../staged_trees.ts";
import { type KeptTree, NEW } from "./area_trees.ts";
import { carryOver, type CarryWork, keepEntry } from "./carried_file.ts";
import type { Directory } from "./open_directory.ts";
import { FsPendingWrite, type PublishTarget, reserve } from "./pending_write.ts";
import type { Root } from "./root.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import { entryOf } from "./stored_file.ts";
import type { StagingArea } from "./staging_area.ts";
import type { OpenTreeFile, TreeContents } from "./tree_contents.ts";
import { publishTree } from "./tree_publication.ts";
import { removeKept, removeUnconfirmed } from "./tree_leftovers.ts";
import { TreePlaces } from "./tree_places.ts";
import { TreeFile } from "./tree_file.ts";

/**
 * For how long, in milliseconds, the root is assumed to be still where it was while small files are put into the tree. It
 * is looked at before the tree gets its name in any case, and nothing in it is acknowledged as stored before.
 */
const STANDING_MS = 100;

/** Options of {@linkcode FsStagedTree}. */
export interface FsStagedTreeOptions {
  /** See {@linkcode StagedTree.id}. */
  id: string;
  /** The tree, which counts as open. */
  tree: KeptTree;
  /** The area that it is in. */
  area: StagingArea;
  /** The root. */
  served: ServedRoot;
  /** The root, confined to what the request may reach. */
  root: Root;
}

/** A staged tree that a client has open. */
export class FsStagedTree implements StagedTree, PublishTarget {
  readonly #options: FsStagedTreeOptions;
  /** Its own directory in the area, with the record. */
  readonly #own: Directory;
  /** The tree. */
  readonly #top: Directory;
  readonly #places: TreePlaces;
  readonly resumed: boolean;
  /** Whether a failed write is always reported at once; undefined if not asked yet. */
  #reports: boolean | undefined;
  /** When the root was last seen where it was, in milliseconds of `performance.now()`. */
  #standing = -Infinity;
  #open = true;

  private constructor(options: FsStagedTreeOptions, own: Directory, top: Directory) {
    this.#options = options;
    this.#own = own;
    this.#top = top;
    this.#places = new TreePlaces(top, options.tree.contents, options.served.quota);
    this.resumed = this.#contents.resumed;
  }

  /**
   * Opens a tree.
   *
   * @param options.afresh whether what it contains is that of an earlier client
   * @throws {FerryError} `not_found` if somebody has removed it
   */
  static async open(
    options: FsStagedTreeOptions & { afresh: boolean },
  ): Promise<FsStagedTree> {
    const { tree, area, afresh } = options;
    using taken = new DisposableStack();
    taken.defer(() => area.trees.close(tree));
    try {
      const own = taken.use(area.trees.open(tree));
      const info = infoAt(own.at(NEW));
      const top = info?.isDirectory ? own.enter(NEW, info) : undefined;
      if (!top) throw new FerryError("not_found", "what was staged of it was removed");
      taken.use(top);
      if (afresh) await tree.contents.load(top);
      taken.move();
      return new FsStagedTree(options, own, top);
    } catch (reason) {
      const error = fileError(reason);
      // What is gone is not handed out again: the client begins with an empty tree when it tries anew.
      if (error.code === "not_found") area.trees.forget(tree);
      throw error;
    }
  }

  get id(): string {
    return this.#options.id;
  }

  get name(): FileName {
    return this.#options.tree.record.filename as FileName;
  }

  get owner(): string {
    return this.#options.tree.record.owner;
  }

  get doubtful(): boolean {
    return this.#contents.doubtful;
  }

  get area(): StagingArea {
    return this.#options.area;
  }

  get #contents(): TreeContents {
    return this.#options.tree.contents;
  }

  /** The name of an entry in the tree; "" for the tree itself. */
  #inside(name: FileName): string {
    if (name === this.name) return "";
    if (name.startsWith(`${this.name}/`)) return name.slice(this.name.length + 1);
    throw new FerryError("bad_name", "it is not in the directory that is being published");
  }

  /** Fails if the tree, or another process's lock, does not allow writing into it any more. */
  #assertHeld(): void {
    const now = performance.now();
    if (now - this.#standing > STANDING_MS) {
      this.#options.root.assertStanding();
      this.#standing = now;
    }
    this.#options.served.assertHeld();
    if (this.#contents.closed || !this.#open) {
      throw new FerryError("busy", "the directory is being published, or was published already");
    }
    // The area may have been reopened through another mount.
    if (this.area.trees.get(this.#options.tree.file) !== this.#options.tree) {
      throw new FerryError("busy", "what was staged of it was removed");
    }
  }

  assertPlaceable(name: FileName): void {
    this.#assertHeld();
    if (this.#inside(name) === "") throw new FerryError("not_a_file", "it is a directory");
    this.#options.root.assertFits(name);
  }

  beginWriting(name: FileName): () => void {
    this.assertPlaceable(name);
    this.#removeLeft();
    return this.#writing();
  }

  /** Removes what an earlier client has left: what is not confirmed when the first file comes is only in the way. */
  #removeLeft(): void {
    if (!this.#contents.resumed) return;
    removeUnconfirmed(this.#top, this.#contents, this.#options.served.quota);
  }

  find(name: FileName, algorithm?: Algorithm): Promise<Entry | undefined> {
    return attempt(() => this.#find(name, algorithm));
  }

  findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]> {
    return attempt(() =>
      names.map((name) => {
        try {
          return this.#find(name, algorithm);
        } catch (error) {
          return fileError(error);
        }
      })
    );
  }

  #find(name: FileName, algorithm?: Algorithm): Entry | undefined {
    const inside = this.#inside(name);
    if (!this.#contents.used) return undefined;
    const info = infoAt(this.#top.at(inside));
    if (!info) return undefined;
    // What is staged is not looked up among the checksums of the files that have names.
    return entryOf(undefined, name, info, algorithm);
  }

  async checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    const { runtime } = this.#options.served;
    await using file = LocalFile.open(this.#top.at(this.#inside(name)), runtime);
    return await checksumOfSource(runtime, file, { algorithm });
  }

  async assertFits(
    name: FileName,
    size: number | null,
    { sparse }: Pick<CreateOptions, "sparse"> = {},
  ): Promise<void> {
    const { served } = this.#options;
    await served.assertWritable();
    await served.quotas.prepare(name, size);
    await attempt(() => {
      this.assertPlaceable(name);
      using _room = reserve(served, this.area, { name, size, sparse });
    });
  }

  async create(name: FileName, { size, sparse }: CreateOptions): Promise<PendingWrite> {
    const { served } = this.#options;
    await served.assertWritable();
    await served.quotas.prepare(name, size);
    return await attempt(() => {
      using begun = new DisposableStack();
      const ended = begun.adopt(this.beginWriting(name), (end) => end());
      const reserved = reserve(served, this.area, { name, size, sparse });
      begun.move();
      return new TreeFile(this, name, { ended, reserved, sparse });
    });
  }

  /** See {@linkcode WriteTarget.partialUploads}: one that was cut belongs to the name, as for any other upload. */
  get partialUploads(): NonNullable<WriteTarget["partialUploads"]> {
    const { served, root } = this.#options;
    return {
      takesPieces: true,
      find: async (name: FileName, { size, owner = "" }: FindOptions): Promise<PartialUpload[]> => {
        await served.assertWritable();
        return await attempt(() => {
          this.assertPlaceable(name);
          return served.areas.findIn(this.area, name, size, owner);
        });
      },
      create: (name: FileName, options: CreateResumableOptions): Promise<ResumableWrite> =>
        FsPendingWrite.create(served, root, name, { ...options, into: this }),
      resume: (id: string, options: ResumeOptions): Promise<ResumableWrite | undefined> =>
        FsPendingWrite.resume(served, root, id, { ...options, into: this }),
    };
  }

  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    await this.#options.served.assertWritable();
    await attempt(() => {
      assertMay?.();
      this.#assertHeld();
      const inside = this.#inside(name);
      this.#options.root.assertFits(name);
      this.#removeLeft();
      this.#places.makeDirectory(inside);
      this.#contents.confirm(inside);
    });
  }

  /**
   * Creates a file under its own name.
   *
   * @param owner the write that it belongs to
   * @returns the file, and what is to be called when it is no longer being written
   */
  createFile(name: FileName, owner: OpenTreeFile): { staged: StagedFile; closed: () => void } {
    const inside = this.#inside(name);
    const staged = StagedFile.of(this.#places.create(inside), this.#options.served.runtime);
    return { staged, closed: this.#contents.opened(inside, owner) };
  }

  /** Sets the attributes of a file, and makes sure that it contains what was written. */
  async finish(
    staged: StagedFile,
    name: FileName,
    { checksum, mtime, mode }: CommitOptions,
  ): Promise<Unkept[]> {
    this.#assertHeld();
    const look = this.#options.served.fileSystem.timeStep !== 1;
    const explicit = mode !== undefined;
    const bits = mode ?? this.#modeOf(name);
    const unkept = staged.setAttributes({ mtime, mode: bits, explicit, look });
    const { fileSystems } = staged.runtime;
    this.#reports ??= await fileSystems.reportsWriteErrors(this.#top.path);
    if (!this.#reports) await makeSure(staged, { checksum, durable: false });
    return unkept;
  }

  /** The permission bits of the file that has the name now: a file whose content is replaced keeps them. */
  #modeOf(name: FileName): number | undefined {
    if (!this.#options.tree.replaces) return undefined;
    try {
      using place = this.#options.root.look(name);
      return place?.info.isFile ? bitsOf(place.info) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Counts a file that is being written; the result is called when it no longer is. */
  #writing(): () => void {
    const contents = this.#contents;
    contents.writers++;
    let ended = false;
    return () => {
      if (!ended) contents.writers--;
      ended = true;
    };
  }

  async publish(options: PublishOptions): Promise<PublishedTree> {
    const { served, tree, area, root } = this.#options;
    await served.assertWritable();
    this.#standing = -Infinity;
    this.#assertHeld();
    const contents = this.#contents;
    if (contents.writers > 0) throw new FerryError("busy", "a file of it is still being written");
    contents.closed = true;
    try {
      const work = { own: this.#own, top: this.#top, tree, trees: area.trees, served, root };
      const published = await publishTree(work, options);
      served.published.add(this, published);
      served.quotas.lessened(this.name);
      return published;
    } catch (error) {
      throw fileError(error);
    } finally {
      contents.closed = false;
    }
  }

  confirm(name: FileName): void {
    this.#contents.confirm(this.#inside(name));
  }

  /** Records that a file of that size is in the tree now, and is to be published. */
  added(name: FileName, size: number): void {
    this.#contents.count(size);
    this.confirm(name);
  }

  /** See {@linkcode PublishTarget.take}. */
  async take(
    staged: StagedFile,
    name: FileName,
    options: CommitOptions & { onNaming(): void; onNamed(path: string): void },
  ): Promise<Committed> {
    const unkept = await this.finish(staged, name, options);
    options.assertMay?.();
    const path = this.#places.make(this.#inside(name));
    options.onNaming();
    staged.publish(path, { replace: true });
    options.onNamed(path);
    const { size } = staged;
    this.added(name, size);
    return { checksum: options.checksum, size, unchanged: false, ...unkeptKey(unkept) };
  }

  carryOver(name: FileName, seen: Entry): Promise<boolean> {
    return this.#bring(name, (work) => carryOver(work, name, seen));
  }

  keep(name: FileName): Promise<boolean> {
    return this.#bring(name, (work) => keepEntry(work, name));
  }

  async #bring(name: FileName, bring: (work: CarryWork) => Promise<boolean>): Promise<boolean> {
    const { served, root } = this.#options;
    await served.assertWritable();
    try {
      this.assertPlaceable(name);
      using _writing = { [Symbol.dispose]: this.#writing() };
      const inside = this.#inside(name);
      const brought = await bring({
        ...{ served, root, area: this.area },
        makePlace: () => this.#places.make(inside),
        makeDirectory: () => this.#places.makeDirectory(inside),
      });
      const info = brought ? infoAt(this.#top.at(inside)) : undefined;
      if (info?.isFile) this.added(name, info.size);
      else if (brought) this.confirm(name);
      return brought;
    } catch (error) {
      throw fileError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const { tree, area, served } = this.#options;
    this.#top[Symbol.dispose]();
    this.#own[Symbol.dispose]();
    area.trees.close(tree);
    if (tree.users > 0 || tree.contents.used) return;
    await removeKept(area.trees, tree, served);
  }
}
