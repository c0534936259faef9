/**
 * A walk through the directories below one that is held, without following a link. It takes little memory and
 * few descriptors, however deep and wide the tree is.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, fileError } from "../../../lib/core/errors.ts";
import { type MergeQueue, type NameQueue, NameStore } from "./sorted_names.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** What says that a directory is gone, or may not or cannot be read, since no path is long enough. */
const NOT_READABLE: readonly ErrorCode[] = ["not_found", "not_a_file", "denied", "bad_name"];

/** So many of the directories that a walk has come through last stay open, and fewer of those before them. */
const HELD = 16;

/** A directory that the walk has come to and not left yet. */
interface Step {
  /** Its name in the one above. */
  name: string;
  /** Its device and inode: where another one is put in its place that has the same, the walk goes on there. */
  inode: string;
  /** Undefined where it was let go of. */
  directory: Directory | undefined;
  names: NameQueue;
}

/** Options of {@linkcode TreeWalk.begin}. */
export interface TreeWalkOptions {
  /** The only name of the first directory that matters; all of them unless told otherwise. */
  only?: string | undefined;
  /** Ends the walk with the reason of the abort. */
  signal?: AbortSignal | undefined;
  /** Makes the sorting of large directories take turns with that of other walks. Default: it waits for none. */
  merges?: MergeQueue | undefined;
}

/** A walk, which is in one directory at a time. */
export class TreeWalk implements Disposable {
  readonly #store: NameStore;
  readonly #steps: Step[] = [];
  readonly #signal: AbortSignal | undefined;

  private constructor(merges: MergeQueue | undefined, signal: AbortSignal | undefined) {
    this.#store = new NameStore(merges);
    this.#signal = signal;
  }

  /**
   * Begins in a directory, which is held for as long as the walk takes.
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

  /** How many directories the walk is below its first one. */
  get depth(): number {
    return this.#steps.length - 1;
  }

  /** The names of those directories, the outermost first. */
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
   * Goes into a directory where it is, and reads the names of all that stands in it.
   *
   * @param info what was seen there
   * @returns whether it did: there may be something else by now
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
    // Somebody may have cleared away what leads to it.
    directory.mend();
    for await (const { name } of Deno.readDir(directory.path)) {
      this.#signal?.throwIfAborted();
      yield name;
    }
  }

  /**
   * Called for each depth that is come to: lets go of directories that are far above, the more of them the
   * farther they are. So one that was let go of is never far below one that is held.
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
   * The next names in the directory that the walk is in, in their order; none behind the last one.
   *
   * @throws what the walk was ended with
   */
  async take(most: number): Promise<string[]> {
    this.#signal?.throwIfAborted();
    return await this.#steps.at(-1)!.names.take(most);
  }

  /** Gives names back, to be taken again in the directory of that depth. */
  async putBack(depth: number, names: string[]): Promise<void> {
    this.#steps[depth]!.names.putBack(names);
    await this.#store.settle();
  }

  /** Leaves the directory for the one above. */
  leave(): void {
    const { directory, names } = this.#steps.pop()!;
    names[Symbol.dispose]();
    directory?.[Symbol.dispose]();
  }

  /** Lets go of all. */
  [Symbol.dispose](): void {
    for (const { directory } of this.#steps) directory?.[Symbol.dispose]();
    this.#steps.length = 0;
    this.#store[Symbol.dispose]();
  }
}

/** Enters a directory once more; undefined where another one, or none, has its name. */
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
  /** What stands in a directory, a link not followed; undefined where nothing does that matters. */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined;
  /** Told of everything. */
  onFound(info: Deno.FileInfo): void;
  /** Ends it. */
  signal: AbortSignal;
  /** Makes the sorting of large directories take turns with that of other walks. Default: it waits for none. */
  merges?: MergeQueue | undefined;
}

/** Goes through all that is below a directory and can be read, without following a link. */
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
    // Where descriptors are used up, or the disk is broken, a directory must not pass for empty.
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/** Whether an error says of a directory that it is gone, or may not or cannot be read. */
export function isUnreadable({ code }: FerryError): boolean {
  return NOT_READABLE.includes(code);
}
