/**
 * A tree of files and directories in memory.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import { sortNames } from "../../../lib/core/name_order.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { type FileName, joinName, parentName } from "../../../lib/core/remote_name.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import type { BlockHashes } from "../storage.ts";

/**
 * The maximum number of files and directories, so that empty ones do not fill the memory. It corresponds to the number
 * of inodes of a file system.
 */
const MAX_NODES = 100_000;

/** The content of a file. It never changes: a file that is replaced gets a new content object. */
export class MemoryContent {
  /** The bytes, which must not be changed. */
  readonly bytes: Uint8Array;
  /** Names it; no other content has that name. */
  readonly version: string = crypto.randomUUID();
  /** The hashes of its blocks; undefined if they are not known. */
  blocks: BlockHashes | undefined;
  readonly #checksums = new Map<Algorithm | undefined, Checksum>();

  /** Creates a content, which owns the bytes from now on. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Its checksum; undefined if it is not known. */
  known(algorithm: Algorithm): Checksum | undefined {
    return this.#checksums.get(algorithm);
  }

  /** Stores a checksum of it. */
  remember(checksum: Checksum): void {
    this.#checksums.set(algorithmOf(checksum), checksum);
  }
}

/** A buffer that bytes are appended to. */
export class GrowingBytes {
  #buffer = new ArrayBuffer(0);
  #size = 0;

  /** Its length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Appends a copy of the bytes; the caller may reuse the buffer afterwards. */
  push(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    const room = this.#buffer.byteLength;
    if (size > room) this.#buffer = this.#buffer.transfer(Math.max(size, 2 * room));
    new Uint8Array(this.#buffer, this.#size).set(bytes);
    this.#size = size;
  }

  /** Keeps only the first `size` bytes, and frees the spare capacity. */
  truncate(size: number): void {
    this.#size = size;
    this.#buffer = this.#buffer.transfer(size);
  }

  /** The bytes, not copied; valid until more are appended. */
  view(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer, 0, this.#size);
  }

  /** The bytes, not copied; nothing may be appended afterwards. */
  whole(): Uint8Array<ArrayBuffer> {
    this.truncate(this.#size);
    return this.view();
  }
}

/** A regular file. */
export interface MemoryFile {
  readonly type: "file";
  /** Its content. */
  readonly content: MemoryContent;
  /** When it was modified, in milliseconds since 1970. */
  readonly mtime: number;
  /** Its permission bits. */
  readonly mode: number;
}

/** A directory. */
export interface MemoryDirectory {
  readonly type: "directory";
  /** Its entries, by the last component of their names. */
  readonly children: Map<string, MemoryNode>;
  /** When an entry was last added or removed, in milliseconds since 1970. */
  mtime: number;
}

/** A file or a directory. */
export type MemoryNode = MemoryFile | MemoryDirectory;

/** Creates an empty directory. */
export function newDirectory(): MemoryDirectory {
  return { type: "directory", children: new Map(), mtime: Date.now() };
}

/** A node and all nodes below it. */
export function* nodesIn(node: MemoryNode): Generator<MemoryNode, void, void> {
  yield node;
  if (node.type === "file") return;
  for (const child of node.children.values()) yield* nodesIn(child);
}

/** The entry that describes a node. */
export function entryOf(filename: FileName | "", node: MemoryNode, algorithm: Algorithm): Entry {
  const { type, mtime } = node;
  if (type === "directory") {
    return { filename, type, size: 0, mtime, mode: 0o755, checksum: null };
  }
  const { content, mode } = node;
  const checksum = content.known(algorithm) ?? null;
  return { filename, type, size: content.bytes.length, mtime, mode, checksum };
}

/** A tree of files and directories. Its methods do no I/O, and each change is complete when the method returns. */
export class MemoryTree {
  readonly #root = newDirectory();
  #nodes = 0;

  /**
   * The node with a name; undefined if there is none.
   *
   * @throws {FerryError} `not_a_file` if a parent directory is a file
   */
  look(name: FileName | ""): MemoryNode | undefined {
    let node: MemoryNode = this.#root;
    for (const part of partsOf(name)) {
      if (node.type === "file") {
        throw new FerryError("not_a_file", "a part of the name is not a directory");
      }
      const child = node.children.get(part);
      if (!child) return undefined;
      node = child;
    }
    return node;
  }

  /**
   * Like {@linkcode MemoryTree.look}, but the node has to exist.
   *
   * @throws {FerryError} `not_found`, `not_a_file` if a parent directory is a file
   */
  find(name: FileName | ""): MemoryNode {
    const node = this.look(name);
    if (!node) throw new FerryError("not_found", "no such file or directory");
    return node;
  }

  /**
   * The file that has a name.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.find}; `not_a_file` for a directory
   */
  file(name: FileName): MemoryFile {
    return assertFile(this.find(name));
  }

  /**
   * The file that has a name; undefined if nothing has it.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.look}; `not_a_file` for a directory
   */
  lookForFile(name: FileName): MemoryFile | undefined {
    const node = this.look(name);
    return node && assertFile(node);
  }

  /**
   * The contents of a directory, each subdirectory before its contents, the names of one directory in the order of
   * their UTF-8 bytes. Entries that disappear before their turn are left out.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.find}; `not_a_file` for a file
   */
  *below(
    name: FileName | "",
    { recursive }: { recursive: boolean },
  ): Generator<[FileName, MemoryNode], void, void> {
    const directory = this.find(name);
    if (directory.type === "file") throw new FerryError("not_a_file", "it is not a directory");
    for (const part of sortNames([...directory.children.keys()])) {
      const filename = joinName(name, part);
      const node = this.#lookAgain(filename);
      if (!node) continue;
      yield [filename, node];
      // The consumer of the list may have removed it.
      if (recursive && this.#lookAgain(filename)?.type === "directory") {
        yield* this.below(filename, { recursive });
      }
    }
  }

  /** The node with a name that existed before; undefined also if a parent directory has become a file. */
  #lookAgain(name: FileName): MemoryNode | undefined {
    try {
      return this.look(name);
    } catch {
      return undefined;
    }
  }

  /**
   * Puts a node under a name, replacing the node that has it, and creates missing parent directories.
   *
   * @throws {FerryError} `not_a_file` if a parent directory is a file, `no_space` if there are too many nodes; nothing
   * is changed then
   */
  put(name: FileName, node: MemoryNode): void {
    const missing = this.look(name) ? 0 : this.#missing(name);
    if (this.#nodes + missing > MAX_NODES) {
      throw new FerryError("no_space", `no space left for more than ${MAX_NODES} files`);
    }
    this.take(name);
    const directory = this.#directory(parentName(name));
    directory.children.set(lastPart(name), node);
    directory.mtime = Date.now();
    this.#nodes += count(node);
  }

  /** How many nodes have to be created for a name that is not taken. */
  #missing(name: FileName): number {
    const above = parentName(name);
    return 1 + (above === "" || this.look(above) ? 0 : this.#missing(above));
  }

  /** The directory with a name, which is created if it is missing. */
  #directory(name: FileName | ""): MemoryDirectory {
    if (name === "") return this.#root;
    if (!this.look(name)) this.put(name, newDirectory());
    return this.look(name) as MemoryDirectory;
  }

  /** Removes the node that has a name. */
  take(name: FileName): void {
    const node = this.look(name);
    if (!node) return;
    const directory = this.#directory(parentName(name));
    directory.children.delete(lastPart(name));
    directory.mtime = Date.now();
    this.#nodes -= count(node);
  }

  /**
   * Renames a node, replacing the node that has the new name.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.find} and {@linkcode MemoryTree.put}; nothing is changed then
   */
  move(from: FileName, to: FileName): void {
    const node = this.find(from);
    this.look(to);
    this.take(from);
    try {
      this.put(to, node);
    } catch (error) {
      this.put(from, node);
      throw error;
    }
  }
}

/** The number of nodes in a subtree, including its top. */
function count(node: MemoryNode): number {
  return [...nodesIn(node)].length;
}

function assertFile(node: MemoryNode): MemoryFile {
  if (node.type === "directory") throw new FerryError("not_a_file", "it is a directory");
  return node;
}

function partsOf(name: FileName | ""): string[] {
  return name === "" ? [] : name.split("/");
}

function lastPart(name: FileName): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
