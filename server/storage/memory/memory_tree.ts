/**
 * Files and directories in memory, by their names.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../../lib/core/checksum.ts";
import { sortNames } from "../../../lib/core/name_order.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { type FileName, joinName, parentName } from "../../../lib/core/remote_name.ts";
import type { Entry } from "../../../lib/core/entry.ts";

/**
 * How many files and directories there may be, so that empty ones do not fill the memory: as a file system has
 * only so many inodes.
 */
const MAX_NODES = 100_000;

/** The content of a file. It never changes: a file that is replaced gets another one. */
export class MemoryContent {
  /** The bytes, which must not be changed. */
  readonly bytes: Uint8Array;
  readonly #checksums = new Map<Algorithm | undefined, Checksum>();

  /** A content, which owns the bytes from now on. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Its checksum, where that is known. */
  known(algorithm: Algorithm): Checksum | undefined {
    return this.#checksums.get(algorithm);
  }

  /** Remembers a checksum of it. */
  remember(checksum: Checksum): void {
    this.#checksums.set(algorithmOf(checksum), checksum);
  }
}

/** A buffer that bytes are appended to. */
export class GrowingBytes {
  #buffer = new ArrayBuffer(0);
  #size = 0;

  /** How many bytes it has. */
  get size(): number {
    return this.#size;
  }

  /** Appends bytes; the caller may overwrite them afterwards. */
  push(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    const room = this.#buffer.byteLength;
    if (size > room) this.#buffer = this.#buffer.transfer(Math.max(size, 2 * room));
    new Uint8Array(this.#buffer, this.#size).set(bytes);
    this.#size = size;
  }

  /** Keeps the first bytes only, and no room for more. */
  truncate(size: number): void {
    this.#size = size;
    this.#buffer = this.#buffer.transfer(size);
  }

  /** The bytes without a copy; valid until more are appended. */
  view(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer, 0, this.#size);
  }

  /** The bytes without a copy; nothing may be appended afterwards. */
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
  /** What stands in it, by the last part of the name. */
  readonly children: Map<string, MemoryNode>;
  /** When a name was last given or taken in it, in milliseconds since 1970. */
  mtime: number;
}

/** What stands under a name. */
export type MemoryNode = MemoryFile | MemoryDirectory;

/** A directory with nothing in it. */
export function newDirectory(): MemoryDirectory {
  return { type: "directory", children: new Map(), mtime: Date.now() };
}

/** A node and all below it. */
export function* nodesIn(node: MemoryNode): Generator<MemoryNode, void, void> {
  yield node;
  if (node.type === "file") return;
  for (const child of node.children.values()) yield* nodesIn(child);
}

/** What a storage tells of a node. */
export function entryOf(filename: FileName | "", node: MemoryNode, algorithm: Algorithm): Entry {
  const { type, mtime } = node;
  if (type === "directory") {
    return { filename, type, size: 0, mtime, mode: 0o755, checksum: null };
  }
  const { content, mode } = node;
  const checksum = content.known(algorithm) ?? null;
  return { filename, type, size: content.bytes.length, mtime, mode, checksum };
}

/** A tree of files and directories. Nothing in it does I/O, and each change is whole when it returns. */
export class MemoryTree {
  readonly #root = newDirectory();
  #nodes = 0;

  /**
   * What stands under a name; undefined where nothing does.
   *
   * @throws {FerryError} `not_a_file` where a part of the name is a file
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
   * The same where something has to be there.
   *
   * @throws {FerryError} `not_found`, `not_a_file` where a part of the name is a file
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
   * The file that has a name; undefined where nothing does.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.look}; `not_a_file` for a directory
   */
  lookForFile(name: FileName): MemoryFile | undefined {
    const node = this.look(name);
    return node && assertFile(node);
  }

  /**
   * What is below a directory, each directory before its content, the names of one directory in the order of their
   * UTF-8 bytes. What disappears before its turn is left out.
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
      // The reader of the list may have removed it.
      if (recursive && this.#lookAgain(filename)?.type === "directory") {
        yield* this.below(filename, { recursive });
      }
    }
  }

  /** What stands under a name that something had; undefined also where a directory above it became a file. */
  #lookAgain(name: FileName): MemoryNode | undefined {
    try {
      return this.look(name);
    } catch {
      return undefined;
    }
  }

  /**
   * Gives a name to a node, in the place of what has it, and makes the directories above it.
   *
   * @throws {FerryError} `not_a_file` where a part of the name is a file, `no_space` for one node too many; nothing
   * has changed then
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

  /** How many nodes have to be made for a name that is free. */
  #missing(name: FileName): number {
    const above = parentName(name);
    return 1 + (above === "" || this.look(above) ? 0 : this.#missing(above));
  }

  /** The directory of a name, which is made where it is missing. */
  #directory(name: FileName | ""): MemoryDirectory {
    if (name === "") return this.#root;
    if (!this.look(name)) this.put(name, newDirectory());
    return this.look(name) as MemoryDirectory;
  }

  /** Takes a name from what has it. */
  take(name: FileName): void {
    const node = this.look(name);
    if (!node) return;
    const directory = this.#directory(parentName(name));
    directory.children.delete(lastPart(name));
    directory.mtime = Date.now();
    this.#nodes -= count(node);
  }

  /**
   * Gives a node another name, in the place of what has that.
   *
   * @throws {FerryError} as {@linkcode MemoryTree.find} and {@linkcode MemoryTree.put}; nothing has changed then
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

/** How many nodes a node and all below it are. */
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
