/**
 * Lists the contents of a directory in order. It uses little memory, and gives other requests a turn.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { FerryError, fileError, quote } from "../../../lib/core/errors.ts";
import {
  type FileName,
  isTooLong,
  joinName,
  MAX_NAME_BYTES,
} from "../../../lib/core/remote_name.ts";
import type { Listed, Omitted } from "../../../lib/core/entry.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import type { MergeQueue } from "./sorted_names.ts";
import { isUnreadable, TreeWalk, type TreeWalkOptions } from "./tree_walk.ts";

/** How many entries are looked at in one batch, which is faster than one by one. */
const LOOK_AT_ONCE = 64;

/** In how many directories above the current one entries that were already looked at may be kept. */
const AHEAD = 16;

/** An entry of a directory. */
export interface Seen {
  /** Its name in the directory. */
  child: string;
  /** Its attributes; undefined if it is hidden. */
  info?: Deno.FileInfo | undefined;
  /** Its line in the list; undefined if it is silently left out. */
  listed?: Listed | undefined;
}

/** Options of {@linkcode listTree}. */
export interface ListTreeOptions {
  /** Whether the list includes the contents of subdirectories. */
  recursive: boolean;
  /** Whether entries that cannot be shown get a line with the reason. */
  omitted: boolean;
  /** Looks at an entry of a directory with that name. */
  look(name: FileName | "", directory: Directory, child: string): Seen;
  /** Opens the directory that has the name of the listed one by now. */
  enter(): Directory;
  /** `closing` ends the list; `merges` serialises the sorting of large directories with that of other walks. */
  served: { readonly closing: AbortSignal; readonly merges: MergeQueue };
}

/**
 * Lists the contents of a directory, as `Storage.list` does. A link to a directory is listed but not followed: it may
 * lead to one of its parent directories.
 *
 * What is missing in a directory that was replaced meanwhile may be in the one that has its name now: a client must not
 * take it for removed.
 *
 * @param name the name of the directory
 * @throws {FerryError} `bad_name` if a name is longer than a request may contain and `omitted` is false; `denied` if
 * the directory itself cannot be read; `not_found` or `busy` if it was removed or replaced meanwhile; `io`
 */
export async function* listTree(
  directory: Directory,
  name: FileName | "",
  { recursive, omitted, look, enter: again, served }: ListTreeOptions,
): AsyncGenerator<Listed, void, void> {
  const { closing: signal, merges } = served;
  using walk = await begin(directory, { signal, merges });
  const pace = new Pace();
  const levels: Level[] = [{ name, ahead: [] }];
  for (let level; (level = levels.at(-1));) {
    if (level.ahead.length === 0) {
      const here = await walk.here();
      const children = here ? await walk.take(LOOK_AT_ONCE) : [];
      if (!here || children.length === 0) {
        levels.pop();
        if (levels.length === 0) break;
        if (await walk.leaveAndCompare() && omitted) {
          yield { filename: level.name, omitted: replaced() };
        }
        continue;
      }
      for (const child of children) level.ahead.push(look(level.name, here, child));
    }
    const { child, info, listed } = level.ahead.shift()!;
    if (pace.isDue) await pace.rest();
    if (!listed || listed.type === undefined && !omitted && !listed.link) continue;
    const next = joinName(level.name, child);
    if (omitted && isTooLong(next)) {
      yield { filename: next, omitted: tooLong() };
      continue;
    }
    if (!recursive || !info?.isDirectory) {
      const leads = recursive && omitted && info?.isSymlink && listed.type === "directory";
      yield leads ? Object.assign(listed, { omitted: "link" }) : listed;
      continue;
    }
    if (isTooLong(next)) {
      yield listed;
      throw new FerryError(
        "bad_name",
        `names in ${quote(next)} are longer than ${MAX_NAME_BYTES} bytes`,
      );
    }
    // It is read before it is listed: a directory that cannot be read must not be taken for an empty one.
    const content = await enter(walk, child, { info, omitted });
    if (content !== true) {
      if (content !== undefined) {
        yield omitted ? Object.assign(listed, { omitted: content }) : listed;
      }
      continue;
    }
    levels.push({ name: next, ahead: [] });
    const far = levels.length - 1 - AHEAD;
    if (far >= 0) await walk.putBack(far, levels[far]!.ahead.splice(0).map(({ child }) => child));
    yield listed;
  }
  using now = again();
  if (now.inode !== directory.inode) throw replaced();
}

/** A directory that is being listed. */
interface Level {
  name: FileName | "";
  /** Entries that were looked at but not listed yet. */
  ahead: Seen[];
}

async function begin(directory: Directory, options: TreeWalkOptions): Promise<TreeWalk> {
  try {
    return await TreeWalk.begin(directory, options);
  } catch (error) {
    throw fileError(error);
  }
}

/**
 * Enters a directory and reads its names.
 *
 * @returns true, or why its content is left out
 * @throws {FerryError} an error that affects other directories, too; if omissions are not listed, also `io`
 */
async function enter(
  walk: TreeWalk,
  child: string,
  { info, omitted }: { info: Deno.FileInfo; omitted: boolean },
): Promise<true | Omitted> {
  try {
    return await walk.enter(child, info) || "vanished";
  } catch (reason) {
    const error = fileError(reason);
    if (error.code === "not_found") return "vanished";
    if (isUnreadable(error) || omitted && error.code === "io") return error;
    throw error;
  }
}

function replaced(): FerryError {
  return new FerryError("busy", "another directory has got its name while it was listed");
}

function tooLong(): FerryError {
  return new FerryError("bad_name", `the name is longer than ${MAX_NAME_BYTES} bytes`);
}
