// deno-lint-ignore-file require-await -- a storage is asynchronous, and memory is not
/**
 * A storage in memory, for the tests of programs that use ferry.
 *
 * @module
 */

import { createRuntime, type Runtime } from "../../../lib/runtime/runtime.ts";
import { equals } from "@std/bytes/equals";
import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parseFileName, RESERVED_DIRECTORY } from "../../../lib/core/remote_name.ts";
import type { Entry, Listed } from "../../../lib/core/entry.ts";
import {
  entryOf,
  MemoryContent,
  type MemoryFile,
  type MemoryNode,
  MemoryTree,
  newDirectory,
  nodesIn,
} from "./memory_tree.ts";
import { type MemoryUpload, MemoryUploads } from "./memory_uploads.ts";
import { Quota } from "../quota.ts";
import { RECORDS_DIRECTORY, Subtree } from "../subtree.ts";
import type {
  BlockHashes,
  ChangeOptions,
  CreateOptions,
  ListOptions,
  MoveOptions,
  PartialUploads,
  PendingWrite,
  RemoveOptions,
  Storage,
  StoredFile,
  StoreOptions,
} from "../storage.ts";
import { firstFound } from "../stored_file.ts";
import type { FoundContent, WantedContent } from "../contents.ts";
import type { Committed } from "../../../lib/files/commit.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";

/** The default quota in bytes. */
const DEFAULT_QUOTA = 256 * 1024 * 1024;

/** The permission bits of a new file. */
const DEFAULT_MODE = 0o644;

/** Options of a {@linkcode MemoryStorage}. */
export interface MemoryStorageOptions {
  /** The initial files, by their names; a string is stored as UTF-8. */
  files?: Readonly<Record<string, Uint8Array | string>> | undefined;
  /** The maximum size of a file, in bytes. Default: undefined, no limit. */
  maxFileSize?: number | undefined;
  /** The maximum total size of all files and partial uploads, in bytes. Default: 268435456 (256 MiB). */
  quota?: number | undefined;
  /** Buffers, threads and the clock, which may be shared with others. Default: its own. */
  runtime?: Runtime | undefined;
}

/**
 * A {@linkcode Storage} in memory, for tests. It never touches the disk, and the garbage collector frees it. It behaves
 * as {@linkcode FsStorage} does, with limits and partial uploads.
 *
 * @example A server for a test
 * ```ts
 * import { connect, MemoryStorage, serve } from "@ferry/ferry";
 *
 * await using storage = new MemoryStorage({ files: { "conf/motd.txt": "welcome\n" } });
 * await using server = await serve({ storage, listen: "127.0.0.1:0" });
 * await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
 *
 * await client.put(new TextEncoder().encode("hello\n"), { as: "greeting.txt" });
 * console.log(new TextDecoder().decode(storage.bytes("greeting.txt"))); // hello
 * ```
 */
export class MemoryStorage implements Storage {
  readonly #tree = new MemoryTree();
  readonly #runtime: Runtime;
  readonly #quota: Quota;
  readonly #uploads: MemoryUploads;
  #records: Promise<Storage> | undefined;

  /**
   * Creates a storage that contains only the given `files`.
   *
   * @throws {FerryError} `bad_name`, `not_a_file`, `too_large`, `quota` if one of the files cannot be stored
   */
  constructor(
    { files = {}, quota = DEFAULT_QUOTA, maxFileSize, runtime = createRuntime() }:
      MemoryStorageOptions = {},
  ) {
    this.#runtime = runtime;
    this.#quota = new Quota({ quota, maxFileSize });
    this.#uploads = new MemoryUploads({
      runtime,
      quota: this.#quota,
      assertPlaceable: (name) => void this.#tree.lookForFile(name),
      publish: (upload, options) => this.#publish(upload, options),
    });
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      try {
        this.#add(parseFileName(name), bytes);
      } catch (error) {
        throw toFerryError(error).during(`store ${JSON.stringify(name)}`);
      }
    }
  }

  #add(name: FileName, bytes: Uint8Array): void {
    this.#tree.lookForFile(name);
    using reserved = this.#quota.reserve(bytes.length);
    const content = new MemoryContent(bytes.slice());
    this.#tree.put(name, {
      type: "file",
      content,
      mtime: this.#runtime.clock.now(),
      mode: DEFAULT_MODE,
    });
    reserved.settle(bytes.length);
  }

  /**
   * A copy of a file's content.
   *
   * @throws {FerryError} `not_found`, `not_a_file` for a directory, `bad_name`
   */
  bytes(name: string): Uint8Array<ArrayBuffer> {
    return this.#tree.file(parseFileName(name)).content.bytes.slice();
  }

  /** How many bytes count against the quota: files, partial uploads, and the announced sizes of running uploads. */
  get used(): number {
    return this.#quota.used;
  }

  /** See {@linkcode Storage.internal}. */
  internal(): Promise<Storage> {
    return this.#records ??= Subtree.open(this, RECORDS_DIRECTORY);
  }

  /** Returns this storage itself, since it has no links: see {@linkcode Storage.within}. */
  within(): MemoryStorage {
    return this;
  }

  /** See {@linkcode Storage.assertServing}. */
  async assertServing(): Promise<void> {}

  /** See {@linkcode Storage.stat}. */
  async stat(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry> {
    return entryOf(name, this.#tree.find(name), algorithm);
  }

  /** See {@linkcode Storage.find}. */
  async find(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry | undefined> {
    const node = this.#tree.look(name);
    return node && entryOf(name, node, algorithm);
  }

  /** See {@linkcode Storage.findAll}. */
  findAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): Promise<(Entry | FerryError | undefined)[]> {
    return Promise.all(names.map((name) => this.find(name, algorithm).catch(toFerryError)));
  }

  /** See {@linkcode Storage.findContents}. It knows all files. */
  async findContents(
    wanted: readonly WantedContent[],
    below: readonly (FileName | "")[],
  ): Promise<(FoundContent | undefined)[]> {
    const bySize = Map.groupBy(
      this.#tree.below("", { recursive: true }).filter(([name, { type }]) =>
        type === "file" && below.some((at) => at === "" || name.startsWith(`${at}/`)) &&
        !name.startsWith(`${RESERVED_DIRECTORY}/`)
      ),
      ([, node]) => (node as MemoryFile).content.bytes.length,
    );
    const found: (FoundContent | undefined)[] = [];
    for (const { size, checksum } of wanted) {
      const algorithm = checksum === null ? "md5" : algorithmOf(checksum)!;
      let there: FoundContent | undefined;
      for (const [name] of bySize.get(size) ?? []) {
        const same = checksum === null || await this.checksum(name, algorithm) === checksum;
        if (same) there = { name, version: this.#open(name, algorithm).version };
        if (there) break;
      }
      found.push(there);
    }
    return found;
  }

  /** See {@linkcode Storage.list}. */
  async *list(name: FileName | "", options: ListOptions): AsyncGenerator<Listed> {
    const hidden = name === "" ? `${RESERVED_DIRECTORY}/` : undefined;
    for (const [filename, node] of this.#tree.below(name, options)) {
      if (hidden && `${filename}/`.startsWith(hidden)) continue;
      yield entryOf(filename, node, "md5");
    }
  }

  /** See {@linkcode Storage.open}. */
  async open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    return this.#open(name, algorithm);
  }

  #open(name: FileName, algorithm: Algorithm): MemoryStoredFile {
    const file = this.#tree.file(name);
    return new MemoryStoredFile(entryOf(name, file, algorithm), file.content);
  }

  /** See {@linkcode Storage.checksum}. */
  async checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    const file = this.#open(name, algorithm);
    if (file.entry.checksum !== null) return file.entry.checksum;
    const checksum = await checksumOfSource(this.#runtime, file, { algorithm });
    await file.remember(checksum);
    return checksum;
  }

  /** See {@linkcode Storage.assertFits}. */
  async assertFits(name: FileName, size: number | null): Promise<void> {
    this.#tree.lookForFile(name);
    using _room = this.#quota.reserve(size);
  }

  /** See {@linkcode Storage.create}. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    return this.#uploads.create(name, options);
  }

  /** See {@linkcode Storage.partialUploads}. */
  get partialUploads(): PartialUploads {
    return this.#uploads;
  }

  async #publish(
    { filename, bytes }: MemoryUpload,
    { checksum, replace, mtime = this.#runtime.clock.now(), mode, assertMay, condition, blocks }:
      StoreOptions,
  ): Promise<Committed> {
    const algorithm = algorithmOf(checksum)!;
    if (condition) await this.#know(filename, algorithm);
    const there = this.#tree.lookForFile(filename);
    condition?.(there && entryOf(filename, there, algorithm));
    const { size } = bytes;
    if (there && !replace) {
      if (equals(there.content.bytes, bytes.view())) return { checksum, size, unchanged: true };
      throw new FerryError("exists", "another file has that name");
    }
    assertMay?.();
    const content = new MemoryContent(bytes.whole());
    content.remember(checksum);
    content.blocks = blocks;
    this.#tree.put(filename, {
      type: "file",
      content,
      mtime,
      mode: mode ?? there?.mode ?? DEFAULT_MODE,
    });
    if (there) this.#quota.count(-there.content.bytes.length);
    return { checksum, size, unchanged: false };
  }

  /** Makes the checksum of a file known, if there is one. A file that replaces it meanwhile comes with its own. */
  async #know(name: FileName, algorithm: Algorithm): Promise<void> {
    if (this.#tree.look(name)?.type === "file") await this.checksum(name, algorithm);
  }

  /** See {@linkcode Storage.remove}. */
  async remove(name: FileName, { recursive, signal, condition }: RemoveOptions): Promise<void> {
    signal?.throwIfAborted();
    if (condition) await this.#know(name, "md5");
    const node = this.#tree.find(name);
    if (node.type === "directory" && !recursive) {
      throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
    }
    condition?.(entryOf(name, node, "md5"));
    this.#tree.take(name);
    for (const below of nodesIn(node)) {
      if (below.type === "file") this.#quota.count(-below.content.bytes.length);
    }
  }

  /** See {@linkcode Storage.move}. */
  async move(
    from: FileName,
    to: FileName,
    { replace, keep, assertMay }: MoveOptions,
  ): Promise<void> {
    const node = this.#tree.find(from);
    if (from === to) return;
    if (keep) return this.#keep(node, to, assertMay);
    if (node.type === "directory" && `${to}/`.startsWith(`${from}/`)) {
      throw new FerryError("bad_name", "a directory cannot be moved into itself");
    }
    const there = this.#tree.look(to);
    if (there && !(replace && node.type === "file" && there.type === "file")) {
      throw new FerryError("exists", "it exists already");
    }
    assertMay?.();
    this.#tree.move(from, to);
    if (there?.type === "file") this.#quota.count(-there.content.bytes.length);
  }

  /** Gives a file another name as well. */
  #keep(node: MemoryNode, to: FileName, assertMay: MoveOptions["assertMay"]): void {
    if (node.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const there = this.#tree.look(to);
    if (there?.type === "file" && there.content === node.content) return;
    if (there) throw new FerryError("exists", "it exists already");
    assertMay?.();
    const { length } = node.content.bytes;
    using reserved = this.#quota.reserve(length);
    this.#tree.put(to, { ...node });
    reserved.settle(length);
  }

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    const there = this.#tree.look(name);
    if (there?.type === "directory") return;
    if (there) throw new FerryError("exists", "a file has that name");
    assertMay?.();
    this.#tree.put(name, newDirectory());
  }

  /** Ends writes that are in progress. Stored files stay, and can be used again, for example by another server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#uploads.close();
  }
}

class MemoryStoredFile implements StoredFile {
  readonly entry: Entry;
  readonly #content: MemoryContent;
  #at = 0;

  constructor(entry: Entry, content: MemoryContent) {
    this.entry = entry;
    this.#content = content;
  }

  async read(into: Uint8Array): Promise<number | null> {
    const piece = this.#content.bytes.subarray(this.#at, this.#at + into.length);
    into.set(piece);
    this.#at += piece.length;
    return piece.length > 0 || into.length === 0 ? piece.length : null;
  }

  seek(offset: number): void {
    this.#at = offset;
  }

  known(algorithm: Algorithm): Checksum | null {
    return this.#content.known(algorithm) ?? null;
  }

  async find(algorithm: Algorithm): Promise<Checksum | null> {
    return this.known(algorithm);
  }

  expected(): Promise<Checksum | null> {
    return firstFound((algorithm) => this.find(algorithm));
  }

  async remember(checksum: Checksum): Promise<void> {
    this.#content.remember(checksum);
  }

  get version(): string {
    return this.#content.version;
  }

  async findHashes(): Promise<BlockHashes | undefined> {
    return this.#content.blocks;
  }

  async rememberHashes(blocks: BlockHashes): Promise<void> {
    this.#content.blocks = blocks;
  }

  async forgetHashes(): Promise<void> {
    this.#content.blocks = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
