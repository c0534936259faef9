/**
 * The entries below a directory, in order, in little memory and in slices of time.
 *
 * @module
 */

import type { Directory } from "./directory.ts";
import { FerryError, quote } from "./errors.ts";
import { type FileName, joinName, MAX_NAME_BYTES } from "./file_name.ts";
import type { Entry } from "./header.ts";
import { Pace } from "./turns.ts";
import { TreeWalk, unlessUnreadable } from "./tree_walk.ts";

/** How many entries are looked at together: one by one takes longer. */
const LOOK_AT_ONCE = 64;

/** In how many directories entries that were looked at may wait for what is below one of them. */
const AHEAD = 16;

/** What stands in a directory. */
export interface Seen {
  /** Its name in the directory. */
  child: string;
  /** What it is itself; undefined where it is none of the user's business. */
  info?: Deno.FileInfo | undefined;
  /** What is told of it; nothing where it is undefined. */
  entry?: Entry | undefined;
}

/** Options of {@linkcode listTree}. */
export interface ListTreeOptions {
  /** Whether what is further down is told of, too. */
  recursive: boolean;
  /** Looks at an entry of a directory with that name. */
  look(name: FileName | "", directory: Directory, child: string): Seen;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

/**
 * The entries below a directory, as `Storage.list` tells them. A link to a directory is shown and not
 * descended into: it may lead back up.
 *
 * @param name the name of the directory
 * @throws {FerryError} `bad_name` where a name is too long to be asked for, `busy`, `io`
 */
export async function* listTree(
  directory: Directory,
  name: FileName | "",
  { recursive, look, signal }: ListTreeOptions,
): AsyncGenerator<Entry, void, void> {
  const begun = await unlessUnreadable(() => TreeWalk.begin(directory, { signal }));
  if (!begun) return;
  using walk = begun;
  const pace = new Pace();
  const levels: Level[] = [{ name, ahead: [] }];
  for (let level; (level = levels.at(-1));) {
    if (level.ahead.length === 0) {
      const here = await walk.here();
      const children = here ? await walk.take(LOOK_AT_ONCE) : [];
      if (!here || children.length === 0) {
        levels.pop();
        if (levels.length > 0) walk.leave();
        continue;
      }
      for (const child of children) level.ahead.push(look(level.name, here, child));
    }
    const { child, info, entry } = level.ahead.shift()!;
    if (pace.isDue) await pace.rest();
    if (!entry) continue;
    yield entry;
    if (!recursive || !info?.isDirectory) continue;
    if (!await unlessUnreadable(() => walk.enter(child, info))) continue;
    const next = joinName(level.name, child);
    assertNotTooLong(next);
    levels.push({ name: next, ahead: [] });
    const far = levels.length - 1 - AHEAD;
    if (far < 0) continue;
    await walk.putBack(far, levels[far]!.ahead.splice(0).map(({ child }) => child));
  }
}

/** A directory that is being listed. */
interface Level {
  name: FileName | "";
  /** Entries that were looked at and not told of yet. */
  ahead: Seen[];
}

/** Fails where no request could ask for what is in a directory. */
function assertNotTooLong(name: string): void {
  // A UTF-16 unit is at most three bytes of UTF-8, so most names need no encoding to be measured.
  if (name.length * 3 <= MAX_NAME_BYTES) return;
  if (new TextEncoder().encode(name).length <= MAX_NAME_BYTES) return;
  throw new FerryError(
    "bad_name",
    `names in ${quote(name)} are longer than ${MAX_NAME_BYTES} bytes`,
  );
}
