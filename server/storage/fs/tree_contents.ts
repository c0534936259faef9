/**
 * What a server knows of the entries of a staged tree: which of them an earlier client has left, and which directories
 * exist. Names are relative to the tree.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** What is known of the entries of a staged tree. */
export class TreeContents {
  /** See `StagedTree.doubtful`. */
  readonly doubtful: boolean;
  /** The directories that are known to exist. */
  readonly #directories = new Set<string>([""]);
  /** What an earlier client has left, and this one has not confirmed. */
  readonly #unconfirmed = new Set<string>();
  /** How many files are being written. */
  writers = 0;
  /** Whether anything was ever put into it, as far as is known. */
  used = false;
  /** Whether it is being published, so that nothing can be put into it any more. */
  closed = false;

  /** The contents of an empty tree, or of one that was not looked at yet. */
  constructor({ doubtful }: { doubtful: boolean }) {
    this.doubtful = doubtful;
  }

  /** Looks at all entries: none of them is confirmed. */
  async load(top: Directory): Promise<void> {
    this.#directories.clear();
    this.#directories.add("");
    this.#unconfirmed.clear();
    const pace = new Pace();
    const left = [""];
    for (let directory; (directory = left.pop()) !== undefined;) {
      for (const { name, isDirectory } of Deno.readDirSync(pathIn(top, directory))) {
        const entry = directory === "" ? name : `${directory}/${name}`;
        this.#unconfirmed.add(entry);
        if (isDirectory) left.push(entry);
        if (pace.isDue) await pace.rest();
      }
    }
    this.used = this.#unconfirmed.size > 0;
  }

  /** Whether anything is left of an earlier client that was not confirmed. */
  get resumed(): boolean {
    return this.#unconfirmed.size > 0;
  }

  /** Whether an entry is one that an earlier client has left. */
  isLeft(name: string): boolean {
    return this.#unconfirmed.has(name);
  }

  /** Confirms an entry and the directories above it. */
  confirm(name: string): void {
    this.used = true;
    if (this.#unconfirmed.size === 0) return;
    for (let end = name.length; end > 0; end = name.lastIndexOf("/", end - 1)) {
      this.#unconfirmed.delete(name.slice(0, end));
    }
  }

  /** Forgets an entry that was removed: a file, or a directory that had nothing in it any more. */
  removed(name: string): void {
    this.#unconfirmed.delete(name);
    this.#directories.delete(name);
  }

  /** Forgets a directory that was removed, with everything in it. This looks at all entries of the tree. */
  removedWhole(name: string): void {
    const isIn = (entry: string) => entry === name || entry.startsWith(`${name}/`);
    for (const set of [this.#unconfirmed, this.#directories]) {
      for (const entry of set) if (isIn(entry)) set.delete(entry);
    }
  }

  /** Whether a directory is known to exist. */
  hasDirectory(name: string): boolean {
    return this.#directories.has(name);
  }

  /** Records that a directory exists. */
  madeDirectory(name: string): void {
    this.#directories.add(name);
  }

  /** What was not confirmed, each directory after its contents. */
  get left(): string[] {
    return [...this.#unconfirmed].sort((a, b) => b.length - a.length);
  }
}

/** The path of an entry of a directory; "" is the directory itself. */
export function pathIn(top: Directory, name: string): string {
  return name === "" ? top.path : top.at(name);
}
