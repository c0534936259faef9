/**
 * A walk through a directory tree, without following links. It uses little memory and few descriptors, however deep and
 * wide the tree is.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { type MergeQueue, type NameQueue, NameStore } from "./sorted_names.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** The errors of a directory that is gone, may not be read, or is too deep for a path. */
const NOT_READABLE: readonly ErrorCode[] = ["not_found", "not_a_file", "denied", "bad_name"];

/** How many of the directories entered last stay open. Of those further up, fewer stay open. */
const HELD = 16;

/** A directory that the walk has entered but not left yet. */
interface Step {
  /** Its name in its parent directory. */
  name: string;
  /** Device and inode, by which it is recognised when it is opened again. */
  inode: string;
  /** The open directory; undefined while it is closed. */
  directory: Directory | undefined;
  names: NameQueue;
}

/** Options of {@linkcode TreeWalk.begin}. */
export interface TreeWalkOptions {
  /** The only entry of the first directory to visit. Default: undefined, all. */
  only?: string | undefined;
  /** Ends the walk with the signal's abort reason. */
  signal?: AbortSignal | undefined;
  /** Serialises the sorting of large directories with that of other walks. Default: a new queue, not shared. */
  merges?: MergeQueue | undefined;
}

/** A walk through a directory tree. It has one current directory at a time. */
export class TreeWalk implements Disposable {
  readonly #store: NameStore;
  readonly #steps: Step[] = [];
  readonly #signal: AbortSignal | undefined;

  private constructor(merges: MergeQueue | undefined, signal: AbortSignal | undefined) {
    this.#store = new NameStore(merges);
    this.#signal = signal;
  }

  /**
   * Begins a walk in a directory, which stays open until the walk ends.
   *
   * @throws the runtime's error if its names cannot be read
   */
  static async begin(
    directory: Directory,
    { only, signal, merges }: TreeWalkOptions = {},
  ): Promise<TreeWalk> {
    const walk = new TreeWalk(merges, signal);
    try {
      await walk.#goTo(directory.hold(), "", only === undefined ? undefined : [only]);
      return walk;
    } catch (error) {
      walk[Symbol.dispose]();
      throw error;
    }
  }

  /** The depth of the current directory below the first one. */
  get depth(): number {
    return this.#steps.length - 1;
  }

  /** The names of the directories on the path to the current one, outermost first. */
  get names(): string[] {
    return this.#steps.slice(1).map(({ name }) => name);
  }

  /**
   * The current directory.
   *
   * @returns undefined if it was moved or removed while the walk was further down
   * @throws what the runtime throws
   */
  async here(): Promise<Directory | undefined> {
    let at = this.#steps.length - 1;
    while (!this.#steps[at]!.directory) at--;
    let here = this.#steps[at]!.directory;
    const pace = new Pace();
    while (here && ++at < this.#steps.length) {
      const step = this.#steps[at]!;
      here = step.directory = enterSame(here, step);
      this.#letGo(at);
      if (pace.isDue) await pace.rest();
    }
    return here;
  }

  /**
   * Enters a subdirectory of the current directory, and reads its names.
   *
   * @param info the attributes that it was seen with
   * @returns whether it was entered; another entry may have the name by now
   * @throws what the runtime throws; the current directory does not change then
   */
  async enter(name: string, info: Deno.FileInfo): Promise<boolean> {
    const directory = (await this.here())?.enter(name, info);
    if (directory) await this.#goTo(directory, name);
    return directory !== undefined;
  }

  /** Makes a directory, which the walk now owns, the current one. */
  async #goTo(directory: Directory, name: string, only?: readonly string[]): Promise<void> {
    let names: NameQueue;
    try {
      names = await this.#store.read(only ?? this.#namesIn(directory));
    } catch (error) {
      directory[Symbol.dispose]();
      throw error;
    }
    this.#steps.push({ name, inode: directory.inode, directory, names });
    this.#letGo(this.depth);
  }

  async *#namesIn(directory: Directory): AsyncGenerator<string, void, void> {
    // Another program may have removed the link to descriptors.
    directory.mend();
    for await (const { name } of Deno.readDir(directory.path)) {
      this.#signal?.throwIfAborted();
      yield name;
    }
  }

  /**
   * Closes directories far above the current one: the farther up, the more of them. It is called for each depth that is
   * reached. So a closed directory is never far below an open one, from which it can be reopened.
   */
  #letGo(depth: number): void {
    for (let [distance, every] = [HELD, 2]; distance < depth; distance *= 2, every *= 2) {
      const far = depth - distance;
      const step = this.#steps[far]!;
      if (far % every === 0) continue;
      step.directory?.[Symbol.dispose]();
      step.directory = undefined;
    }
  }

  /**
   * The next names in the current directory, in order; an empty array after the last one.
   *
   * @throws the reason with which the walk was ended
   */
  async take(most: number): Promise<string[]> {
    this.#signal?.throwIfAborted();
    return await this.#steps.at(-1)!.names.take(most);
  }

  /** Puts back names that were taken in the directory at that depth. */
  async putBack(depth: number, names: string[]): Promise<void> {
    this.#steps[depth]!.names.putBack(names);
    await this.#store.settle();
  }

  /** Leaves the current directory for its parent. */
  leave(): void {
    letGo(this.#steps.pop()!);
  }

  /**
   * Leaves the current directory for its parent.
   *
   * @returns whether the parent has another directory of that name by now
   * @throws what the runtime throws
   */
  async leaveAndCompare(): Promise<boolean> {
    const step = this.#steps.pop()!;
    try {
      const above = await this.here();
      const info = above && infoAt(above.at(step.name));
      return info?.isDirectory === true && above!.inodeAt(step.name, info) !== step.inode;
    } finally {
      // Until now it was held open: on some file systems it has another number when it is opened again.
      letGo(step);
    }
  }

  /** Closes all directories. */
  [Symbol.dispose](): void {
    for (const { directory } of this.#steps) directory?.[Symbol.dispose]();
    this.#steps.length = 0;
    this.#store[Symbol.dispose]();
  }
}

function letGo({ directory, names }: Step): void {
  names[Symbol.dispose]();
  directory?.[Symbol.dispose]();
}

/** Reopens a directory; undefined if another one, or none, has its name now. */
function enterSame(directory: Directory, { name, inode }: Step): Directory | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(directory.at(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const same = info.isDirectory && directory.inodeAt(name, info) === inode;
  return same ? directory.enter(name, info) : undefined;
}

/** Options of {@linkcode eachBelow}. */
export interface EachBelowOptions {
  /** Looks at an entry of a directory without following links; undefined if it is to be left out. */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined;
  /** Called for each entry. */
  onFound(info: Deno.FileInfo): void;
  /** Ends the walk. */
  signal: AbortSignal;
  /** Serialises the sorting of large directories with that of other walks. Default: a new queue, not shared. */
  merges?: MergeQueue | undefined;
}

/** Visits every entry below a directory that can be read, without following links. */
export async function eachBelow(
  directory: Directory,
  { peek, onFound, signal, merges }: EachBelowOptions,
): Promise<void> {
  const begun = await unlessUnreadable(() => TreeWalk.begin(directory, { signal, merges }));
  if (!begun) return;
  using walk = begun;
  const pace = new Pace();
  for (;;) {
    const here = await walk.here();
    const [child] = here ? await walk.take(1) : [];
    if (here && child !== undefined) {
      const info = peek(here, child);
      if (info) onFound(info);
      if (info?.isDirectory) await unlessUnreadable(() => walk.enter(child, info));
    } else if (walk.depth > 0) walk.leave();
    else return;
    if (pace.isDue) await pace.rest();
  }
}

/**
 * Runs `read` on a directory; undefined if the directory is gone or cannot be read.
 *
 * @throws {FerryError} `busy`, `io`, … if something else is wrong
 */
async function unlessUnreadable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (reason) {
    const error = fileError(reason);
    // When descriptors run out or the disk fails, a directory must not be taken for an empty one.
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/** Whether an error means that a directory is gone or cannot be read. */
export function isUnreadable({ code }: FerryError): boolean {
  return NOT_READABLE.includes(code);
}
