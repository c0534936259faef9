/**
 * A walk through the directories below another one, without following links. It takes little memory and few descriptors,
 * however deep and wide the tree is.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import { type MergeQueue, type NameQueue, NameStore } from "./sorted_names.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** The errors that say that a directory is gone, may not be read, or is too deep for a path. */
const NOT_READABLE: readonly ErrorCode[] = ["not_found", "not_a_file", "denied", "bad_name"];

/** This many of the directories that a walk went through last stay open, and fewer of those before them. */
const HELD = 16;

/** A directory that the walk has entered and not left yet. */
interface Step {
  /** Its name in the one above. */
  name: string;
  /** Device and inode, by which it is recognised when it is opened again. */
  inode: string;
  /** Undefined while it is closed. */
  directory: Directory | undefined;
  names: NameQueue;
}

/** Options of {@linkcode TreeWalk.begin}. */
export interface TreeWalkOptions {
  /** The only name of the first directory that is walked. Default: all. */
  only?: string | undefined;
  /** Ends the walk with the reason of the abort. */
  signal?: AbortSignal | undefined;
  /** Makes the sorting of large directories take turns with that of other walks. Default: it waits for none. */
  merges?: MergeQueue | undefined;
}

/** A walk; it is in one directory at a time. */
export class TreeWalk implements Disposable {
  readonly #store: NameStore;
  readonly #steps: Step[] = [];
  readonly #signal: AbortSignal | undefined;

  private constructor(merges: MergeQueue | undefined, signal: AbortSignal | undefined) {
    this.#store = new NameStore(merges);
    this.#signal = signal;
  }

  /**
   * Begins in a directory, which stays open until the walk ends.
   *
   * @throws what the runtime throws where its names cannot be read
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

  /** How deep below its first directory the walk is. */
  get depth(): number {
    return this.#steps.length - 1;
  }

  /** The names of the directories on the way there, the outermost first. */
  get names(): string[] {
    return this.#steps.slice(1).map(({ name }) => name);
  }

  /**
   * The directory that the walk is in.
   *
   * @returns undefined where it was moved or removed while the walk was further down
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
   * Enters a directory of the one that the walk is in, and reads its names.
   *
   * @param info what was seen there
   * @returns whether it did; something else may have the name by now
   * @throws what the runtime throws; the walk stays where it was then
   */
  async enter(name: string, info: Deno.FileInfo): Promise<boolean> {
    const directory = (await this.here())?.enter(name, info);
    if (directory) await this.#goTo(directory, name);
    return directory !== undefined;
  }

  /** Takes a directory over as the next step. */
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
   * Closes directories far above, called for each depth that is reached: the farther they are, the more of them. So a
   * directory that was closed is never far below one that is open.
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
   * The next names in the directory that the walk is in, in order; none after the last one.
   *
   * @throws what the walk was ended with
   */
  async take(most: number): Promise<string[]> {
    this.#signal?.throwIfAborted();
    return await this.#steps.at(-1)!.names.take(most);
  }

  /** Gives names back that were taken in the directory at that depth. */
  async putBack(depth: number, names: string[]): Promise<void> {
    this.#steps[depth]!.names.putBack(names);
    await this.#store.settle();
  }

  /** Leaves the directory that the walk is in. */
  leave(): void {
    const { directory, names } = this.#steps.pop()!;
    names[Symbol.dispose]();
    directory?.[Symbol.dispose]();
  }

  /** Closes all directories. */
  [Symbol.dispose](): void {
    for (const { directory } of this.#steps) directory?.[Symbol.dispose]();
    this.#steps.length = 0;
    this.#store[Symbol.dispose]();
  }
}

/** Opens a directory again; undefined where another one, or none, has its name. */
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
  /** What stands in a directory, links not followed; undefined for what is to be left out. */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined;
  /** Told of everything. */
  onFound(info: Deno.FileInfo): void;
  /** Ends it. */
  signal: AbortSignal;
  /** Makes the sorting of large directories take turns with that of other walks. Default: it waits for none. */
  merges?: MergeQueue | undefined;
}

/** Visits everything below a directory that can be read, without following links. */
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
 * Reads a directory; undefined where it is gone, or may not or cannot be read.
 *
 * @throws {FerryError} `busy`, `io`, … where something else is wrong
 */
async function unlessUnreadable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (reason) {
    const error = fileError(reason);
    // When descriptors run out or the disk fails, a directory must not pass for an empty one.
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/** Whether an error says of a directory that it is gone, or may not or cannot be read. */
export function isUnreadable({ code }: FerryError): boolean {
  return NOT_READABLE.includes(code);
}
