/**
 * What a server knows of the entries of a staged tree: which of them an earlier client has left, and which directories
 * exist. Names are relative to the tree.
 *
 * @module
 */

import { type FileName, joinName } from "../../../lib/core/remote_name.ts";
import type { Directory } from "./open_directory.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** A file that is being written under its own name. */
export interface OpenTreeFile {
  /** Ends the write and removes the file: another one takes its place. */
  supersede(): void;
}

/** What is known of the entries of a staged tree. */
export class TreeContents {
  /** See `StagedTree.doubtful`. */
  readonly doubtful: boolean;
  /** The directories that are known to exist. */
  readonly #directories = new Set<string>([""]);
  /** What an earlier client has left, and this one has not confirmed. */
  readonly #unconfirmed = new Set<string>();
  /** The files that are being written under their own names. */
  readonly #open = new Map<string, OpenTreeFile>();
  /** How many files are being written. */
  writers = 0;
  /** The files in it; undefined if an earlier client has left some, so that they have to be counted. */
  #tally: { files: number; bytes: number } | undefined = { files: 0, bytes: 0 };
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
    this.#tally = undefined;
    const pace = new Pace();
    const left: (FileName | "")[] = [""];
    for (let directory; (directory = left.pop()) !== undefined;) {
      for (const { name, isDirectory } of Deno.readDirSync(pathIn(top, directory))) {
        const entry = joinName(directory, name);
        this.#unconfirmed.add(entry);
        if (isDirectory) left.push(entry);
        if (pace.isDue) await pace.rest();
      }
    }
    this.used = this.#unconfirmed.size > 0;
  }

  /** How many files are in it, and their size in bytes; undefined if that is not known. */
  get tally(): { readonly files: number; readonly bytes: number } | undefined {
    return this.#tally;
  }

  /** Counts a file that is in it now, or with `files: -1` one that no longer is. `bytes` is its size. */
  count(bytes: number, files: 1 | -1 = 1): void {
    if (!this.#tally) return;
    this.#tally.files += files;
    this.#tally.bytes += files * bytes;
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

  /**
   * Records that a file is being written under its own name.
   *
   * @returns called when it no longer is
   */
  opened(name: string, file: OpenTreeFile): () => void {
    this.#open.set(name, file);
    return () => {
      if (this.#open.get(name) === file) this.#open.delete(name);
    };
  }

  /** Ends the write of a file of that name. Its client may send it again before the first connection is known to be lost. */
  supersede(name: string): void {
    this.#open.get(name)?.supersede();
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
