// deno-lint-ignore-file require-await -- a storage is asynchronous, and memory is not
/**
 * Files in memory: a storage for the tests of what uses ferry.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../../lib/runtime/runtime.ts";
import { equals } from "@std/bytes/equals";
import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../../lib/core/remote_name.ts";
import type { Entry, Listed, PartEntry } from "../../../lib/core/entry.ts";
import {
  entryOf,
  GrowingBytes,
  MemoryContent,
  MemoryTree,
  newDirectory,
  nodesIn,
} from "./memory_tree.ts";
import { PartWriter } from "../partial_writer.ts";
import { Quota, type Reservation } from "../quota.ts";
import type {
  ChangeOptions,
  CreateOptions,
  DiscardOptions,
  ListOptions,
  MoveOptions,
  PendingWrite,
  RemoveOptions,
  ResumeOptions,
  Storage,
  StoredFile,
} from "../storage.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";

/** How much a storage holds unless told otherwise, in bytes. */
const DEFAULT_QUOTA = 256 * 1024 * 1024;

/** The permission bits of a new file. */
const DEFAULT_MODE = 0o644;

/** Options of a {@linkcode MemoryStorage}. */
export interface MemoryStorageOptions {
  /** Files that are there from the beginning, by their names; a text is stored as UTF-8. */
  files?: Readonly<Record<string, Uint8Array | string>> | undefined;
  /** How large a file may be in bytes; any size unless told otherwise. */
  maxFileSize?: number | undefined;
  /** How many bytes all files and partial uploads may have together; 256 MiB unless told otherwise. */
  quota?: number | undefined;
}

/** A part of a file: what is being written, and what is kept of it. */
interface Part {
  readonly filename: FileName;
  readonly owner: string;
  /** The announced size in bytes; null for a stream. */
  readonly size: number | null;
  readonly bytes: GrowingBytes;
  /** How many bytes were there at the last checkpoint. */
  received: number;
  /** When that was, in milliseconds since 1970. */
  mtime: number;
  /** Who had it last, and may have it still. */
  writer: PartWriter;
}

/**
 * A {@linkcode Storage} in memory, for tests: nothing touches the disk, and nothing is left of it once it is not
 * referred to any more. It behaves as {@linkcode FsStorage} does, limits and partial uploads among it.
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
  readonly #quota: Quota;
  /** Those that can be gone on with, and those that are being written and could be. */
  readonly #parts = new Set<Part>();
  readonly #writing = new Set<MemoryWrite>();

  /**
   * A storage with nothing in it but the `files` that are given.
   *
   * @throws {FerryError} `bad_name`, `not_a_file`, `too_large`, `quota` for one of these
   */
  constructor({ files = {}, quota = DEFAULT_QUOTA, maxFileSize }: MemoryStorageOptions = {}) {
    this.#quota = new Quota({ quota, maxFileSize });
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
    this.#tree.put(name, { type: "file", content, mtime: Date.now(), mode: DEFAULT_MODE });
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

  /** How many bytes count against the quota: files, partial uploads, and what uploads that run have announced. */
  get used(): number {
    return this.#quota.used;
  }

  /** There are no links: see {@linkcode Storage.within}. */
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

  /** See {@linkcode Storage.list}. */
  async *list(name: FileName | "", options: ListOptions): AsyncGenerator<Listed> {
    for (const [filename, node] of this.#tree.below(name, options)) {
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
    const checksum = await checksumOfSource(SHARED_RUNTIME, file, { algorithm });
    await file.remember(checksum);
    return checksum;
  }

  /** See {@linkcode Storage.assertFits}. */
  async assertFits(name: FileName, size: number | null): Promise<void> {
    this.#tree.lookForFile(name);
    using _room = this.#quota.reserve(size);
  }

  /** See {@linkcode Storage.create}. */
  async create(
    name: FileName,
    { size, owner = "", onTakenOver }: CreateOptions,
  ): Promise<PendingWrite> {
    this.#tree.lookForFile(name);
    const reserved = this.#quota.reserve(size);
    const [bytes, writer] = [new GrowingBytes(), new PartWriter(onTakenOver)];
    const part = { filename: name, owner, size, bytes, received: 0, mtime: 0, writer };
    return this.#write(part, reserved);
  }

  /** See {@linkcode Storage.resume}. */
  async resume(name: FileName, options: ResumeOptions): Promise<PendingWrite | undefined> {
    const { size, algorithm, owner = "", onTakenOver } = options;
    this.#tree.lookForFile(name);
    const candidates = this.#partsOf(owner)
      .filter((part) => part.filename === name && part.size === size)
      .sort((a, b) => b.mtime - a.mtime);
    for (const part of candidates) {
      if (part.writer.active && !await part.writer.givesUp()) continue;
      // Another one may have been quicker, or the writer has left nothing.
      if (part.writer.active || !this.#parts.has(part)) continue;
      using taken = new DisposableStack();
      const reserved = taken.use(this.#quota.reserve(size, part.received));
      part.writer = taken.use(new PartWriter(onTakenOver));
      const behind = await PrefixDigest.create({ algorithm, proof: true });
      behind.update(part.bytes.view());
      taken.move();
      return this.#write(part, reserved, behind);
    }
    return undefined;
  }

  #write(part: Part, reserved: Reservation, behind?: PrefixDigest): MemoryWrite {
    const write: MemoryWrite = new MemoryWrite(part, {
      behind,
      reserved,
      publish: (options) => this.#publish(part, options),
      onRecorded: () => this.#parts.add(part),
      onEnded: ({ kept }) => {
        if (!kept) this.#parts.delete(part);
        this.#writing.delete(write);
      },
    });
    this.#writing.add(write);
    return write;
  }

  #publish(
    { filename, bytes }: Part,
    { checksum, replace, mtime = Date.now(), mode, assertMay }: CommitOptions,
  ): Committed {
    const there = this.#tree.lookForFile(filename);
    const { size } = bytes;
    if (there && !replace) {
      if (equals(there.content.bytes, bytes.view())) return { checksum, size, unchanged: true };
      throw new FerryError("exists", "another file has that name");
    }
    assertMay?.();
    const content = new MemoryContent(bytes.whole());
    content.remember(checksum);
    this.#tree.put(filename, {
      type: "file",
      content,
      mtime,
      mode: mode ?? there?.mode ?? DEFAULT_MODE,
    });
    if (there) this.#quota.count(-there.content.bytes.length);
    return { checksum, size, unchanged: false };
  }

  #partsOf(owner: string): Part[] {
    return [...this.#parts].filter((part) => part.owner === owner);
  }

  /** See {@linkcode Storage.parts}. */
  async parts(owner = ""): Promise<PartEntry[]> {
    return this.#partsOf(owner).map(({ filename, size, received, mtime, writer: { active } }) => ({
      filename,
      size: size ?? 0,
      received,
      mtime,
      active,
    }));
  }

  /** See {@linkcode Storage.discardParts}. */
  async discardParts(
    name: FileName,
    { owner = "", assertMay }: DiscardOptions = {},
  ): Promise<void> {
    assertMay?.();
    const own = this.#partsOf(owner).filter(({ filename }) => filename === name);
    if (own.length === 0) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    const idle = own.filter(({ writer }) => !writer.active);
    for (const part of idle) this.#drop(part);
    if (idle.length < own.length) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
  }

  /** See {@linkcode Storage.expireParts}. */
  async expireParts(ttl: number): Promise<void> {
    for (const part of this.#parts) {
      if (!part.writer.active && part.mtime <= Date.now() - ttl) this.#drop(part);
    }
  }

  /** Removes a part that nobody has. */
  #drop(part: Part): void {
    this.#parts.delete(part);
    this.#quota.count(-part.received);
  }

  /** See {@linkcode Storage.remove}. */
  async remove(name: FileName, { recursive, signal }: RemoveOptions): Promise<void> {
    signal?.throwIfAborted();
    const node = this.#tree.find(name);
    if (node.type === "directory" && !recursive) {
      throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
    }
    this.#tree.take(name);
    for (const below of nodesIn(node)) {
      if (below.type === "file") this.#quota.count(-below.content.bytes.length);
    }
  }

  /** See {@linkcode Storage.move}. */
  async move(from: FileName, to: FileName, { replace, assertMay }: MoveOptions): Promise<void> {
    const node = this.#tree.find(from);
    if (from === to) return;
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

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    const there = this.#tree.look(name);
    if (there?.type === "directory") return;
    if (there) throw new FerryError("exists", "a file has that name");
    assertMay?.();
    this.#tree.put(name, newDirectory());
  }

  /** Ends what is being written. What is stored stays, and can be used again, by another server for one. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const write of this.#writing) await write[Symbol.asyncDispose]();
  }
}

/** What a {@linkcode MemoryWrite} works with. */
interface MemoryWriteOptions {
  behind: PrefixDigest | undefined;
  reserved: Reservation;
  /** Gives the bytes their name. */
  publish(options: CommitOptions): Committed;
  /** The part can be gone on with once it is kept. */
  onRecorded(): void;
  /** Nobody writes to the part any more. */
  onEnded(end: { kept: boolean }): void;
}

class MemoryWrite implements PendingWrite {
  readonly behind: PrefixDigest | undefined;
  readonly #part: Part;
  readonly #options: MemoryWriteOptions;
  #keeping = false;
  #ended = false;

  constructor(part: Part, options: MemoryWriteOptions) {
    this.behind = options.behind;
    this.#part = part;
    this.#options = options;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    const { bytes: written, writer } = this.#part;
    writer.touch();
    this.#options.reserved.grow(written.size + bytes.length);
    written.push(bytes);
  }

  async checkpoint({ size }: SavedPrefix): Promise<void> {
    this.#assertOpen();
    this.#part.received = size;
    this.#part.mtime = Date.now();
    this.#options.onRecorded();
  }

  keep(): void {
    this.#keeping = true;
  }

  async commit(options: CommitOptions): Promise<Committed> {
    this.#assertOpen();
    const committed = this.#options.publish(options);
    this.#end({ left: committed.unchanged ? 0 : committed.size, kept: false });
    return committed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    const { received, bytes } = this.#part;
    const kept = this.#keeping && received > 0;
    if (kept) bytes.truncate(received);
    this.#end({ left: kept ? received : 0, kept });
  }

  #end({ left, kept }: { left: number; kept: boolean }): void {
    this.#ended = true;
    this.#options.reserved.settle(left);
    this.#options.onEnded({ kept });
    this.#part.writer[Symbol.dispose]();
  }

  #assertOpen(): void {
    if (this.#ended) throw new FerryError("closed", "the write has ended");
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

  async remember(checksum: Checksum): Promise<void> {
    this.#content.remember(checksum);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
