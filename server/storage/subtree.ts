/**
 * A directory of a storage as a storage of its own: for what a server keeps beside the files of its clients.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry, Listed } from "../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { type FileName, joinName, RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import type {
  BlockHashes,
  ChangeOptions,
  CreateOptions,
  CreateResumableOptions,
  DescribedUpload,
  DiscardOptions,
  FindOptions,
  ListOptions,
  LookOptions,
  MoveOptions,
  PartialUpload,
  PartialUploads,
  PendingWrite,
  RemoveOptions,
  ResumableWrite,
  ResumeOptions,
  Storage,
  StoredFile,
} from "./storage.ts";

/** The directory of a server's own records. No client can name it. */
export const RECORDS_DIRECTORY: FileName = `${RESERVED_DIRECTORY}/records` as FileName;

/** A directory of a storage. The storage around it is disposed of by its owner. */
export class Subtree implements Storage {
  readonly #around: Storage;
  readonly #directory: FileName;
  /** See {@linkcode Storage.partialUploads}. */
  readonly partialUploads: PartialUploads | undefined;

  private constructor(around: Storage, directory: FileName) {
    this.#around = around;
    this.#directory = directory;
    const { partialUploads } = around;
    this.partialUploads = partialUploads && new SubtreeUploads(partialUploads, directory);
  }

  /**
   * Opens a directory, which is created if it is missing.
   *
   * @throws {FerryError} as {@linkcode Storage.mkdir}
   */
  static async open(around: Storage, directory: FileName): Promise<Subtree> {
    await around.mkdir(directory);
    return new Subtree(around, directory);
  }

  #outer(name: FileName | ""): FileName {
    return name === "" ? this.#directory : joinName(this.#directory, name);
  }

  #inner(filename: string): FileName | "" {
    return filename.slice(this.#directory.length + 1) as FileName | "";
  }

  #entry(entry: Entry): Entry {
    return { ...entry, filename: this.#inner(entry.filename) };
  }

  /** Returns this storage itself: only the server uses it, which nothing confines. */
  within(): Subtree {
    return this;
  }

  /** See {@linkcode Storage.assertServing}. */
  assertServing(): Promise<void> {
    return this.#around.assertServing();
  }

  /** See {@linkcode Storage.stat}. */
  async stat(name: FileName | "", algorithm?: Algorithm): Promise<Entry> {
    return this.#entry(await this.#around.stat(this.#outer(name), algorithm));
  }

  /** See {@linkcode Storage.find}. */
  async find(name: FileName | "", algorithm?: Algorithm): Promise<Entry | undefined> {
    const entry = await this.#around.find(this.#outer(name), algorithm);
    return entry && this.#entry(entry);
  }

  /** See {@linkcode Storage.findAll}. */
  async findAll(
    names: readonly FileName[],
    algorithm?: Algorithm,
  ): Promise<(Entry | FerryError | undefined)[]> {
    const found = await this.#around.findAll(names.map((name) => this.#outer(name)), algorithm);
    return found.map((each) => !each || each instanceof FerryError ? each : this.#entry(each));
  }

  /** See {@linkcode Storage.list}. */
  async *list(name: FileName | "", options: ListOptions): AsyncGenerator<Listed> {
    try {
      for await (const listed of this.#around.list(this.#outer(name), options)) {
        yield { ...listed, filename: this.#inner(listed.filename) } as Listed;
      }
    } catch (error) {
      // Another program may have removed the directory, which is made again for the next file.
      if (name !== "" || toFerryError(error).code !== "not_found") throw error;
    }
  }

  /** See {@linkcode Storage.open}. */
  async open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    const file = await this.#around.open(this.#outer(name), algorithm);
    return new SubtreeFile(file, this.#entry(file.entry));
  }

  /** See {@linkcode Storage.checksum}. */
  checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    return this.#around.checksum(this.#outer(name), algorithm);
  }

  /** See {@linkcode Storage.assertFits}. */
  assertFits(
    name: FileName,
    size: number | null,
    options?: Pick<CreateOptions, "sparse">,
  ): Promise<void> {
    return this.#around.assertFits(this.#outer(name), size, options);
  }

  /** See {@linkcode Storage.create}. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    return this.#around.create(this.#outer(name), options);
  }

  /** See {@linkcode Storage.remove}. */
  remove(name: FileName, options: RemoveOptions): Promise<void> {
    return this.#around.remove(this.#outer(name), options);
  }

  /** See {@linkcode Storage.move}. */
  move(from: FileName, to: FileName, options: MoveOptions): Promise<void> {
    return this.#around.move(this.#outer(from), this.#outer(to), options);
  }

  /** See {@linkcode Storage.mkdir}. */
  mkdir(name: FileName, options?: ChangeOptions): Promise<void> {
    return this.#around.mkdir(this.#outer(name), options);
  }

  /** Does nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** The partial uploads of files in a directory, which have owners of their own: no client sees them among its own. */
class SubtreeUploads implements PartialUploads {
  readonly #around: PartialUploads;
  readonly #directory: FileName;

  constructor(around: PartialUploads, directory: FileName) {
    this.#around = around;
    this.#directory = directory;
  }

  #owned<Options extends { owner?: string | undefined }>(options?: Options): Options {
    return { ...options, owner: this.#ownerOf(options?.owner) } as Options;
  }

  #ownerOf(owner = ""): string {
    return `${this.#directory}:${owner}`;
  }

  #inner<Upload extends PartialUpload>(upload: Upload): Upload {
    const filename = upload.entry.filename.slice(this.#directory.length + 1);
    const owner = upload.owner.slice(this.#ownerOf().length);
    return { ...upload, owner, entry: { ...upload.entry, filename } };
  }

  async find(name: FileName, options: FindOptions): Promise<PartialUpload[]> {
    const found = this.#around.find(joinName(this.#directory, name), this.#owned(options));
    return (await found).map((each) => this.#inner(each));
  }

  async list(owner?: string): Promise<PartialUpload[]> {
    return (await this.#around.list(this.#ownerOf(owner))).map((each) => this.#inner(each));
  }

  async listAll(): Promise<PartialUpload[]> {
    const all = await this.#around.listAll();
    return all.filter(({ owner }) => owner.startsWith(this.#ownerOf()))
      .map((each) => this.#inner(each));
  }

  async look(id: string, options?: LookOptions): Promise<DescribedUpload | undefined> {
    const found = await this.#around.look(id, this.#owned(options));
    return found && this.#inner(found);
  }

  create(name: FileName, options: CreateResumableOptions): Promise<ResumableWrite> {
    return this.#around.create(joinName(this.#directory, name), this.#owned(options));
  }

  resume(id: string, options: ResumeOptions): Promise<ResumableWrite | undefined> {
    return this.#around.resume(id, this.#owned(options));
  }

  discard(id: string, options?: DiscardOptions): Promise<void> {
    return this.#around.discard(id, this.#owned(options));
  }

  expire(ttl: number): Promise<void> {
    return this.#around.expire(ttl);
  }
}

/** An open file, with the name that it has in the directory. */
class SubtreeFile implements StoredFile {
  readonly entry: Entry;
  readonly #file: StoredFile;

  constructor(file: StoredFile, entry: Entry) {
    this.#file = file;
    this.entry = entry;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  seek(offset: number): void {
    this.#file.seek(offset);
  }

  async assertUnchanged(whole?: Checksum): Promise<void> {
    await this.#file.assertUnchanged?.(whole);
  }

  known(algorithm: Algorithm): Checksum | null {
    return this.#file.known(algorithm);
  }

  find(algorithm: Algorithm): Promise<Checksum | null> {
    return this.#file.find(algorithm);
  }

  expected(): Promise<Checksum | null> {
    return this.#file.expected();
  }

  remember(checksum: Checksum): Promise<void> {
    return this.#file.remember(checksum);
  }

  get version(): string | undefined {
    return this.#file.version;
  }

  findHashes(): Promise<BlockHashes | undefined> {
    return this.#file.findHashes();
  }

  rememberHashes(blocks: BlockHashes): Promise<void> {
    return this.#file.rememberHashes(blocks);
  }

  forgetHashes(): Promise<void> {
    return this.#file.forgetHashes();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
