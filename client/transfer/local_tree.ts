/**
 * What is in a directory of this machine, and which paths a glob stands for.
 *
 * Directories are read on another thread, since only so the runtime tells of an error in the middle of one. To
 * look at an entry is synchronous: a hop to another thread for each would cost more than the look at it.
 *
 * @module
 */

import { type ErrorCode, FerryError, fileError, quote } from "../../lib/core/errors.ts";
import {
  isRemovedName,
  isStagingName,
  mayBeNoText,
  notText,
  RESERVED_DIRECTORY,
} from "../../lib/core/remote_name.ts";
import { globToRegExp, isGlob, parse } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { kindOfSpecial } from "./destination.ts";
import type { Filter, FilteredType } from "./filter.ts";
import { kindOfPartialDownload } from "./partial_downloads.ts";
import type { SkippedEntry } from "./omissions.ts";

/** A file or a directory that was found. */
export interface LocalEntry {
  /** Where it is. */
  path: string;
  /** Its name relative to the root of the walk, with `/` between its parts. */
  name: string;
  /** What it is. */
  type: "file" | "directory";
  /** Bytes; 0 for a directory. */
  size: number;
  /** The modification time in milliseconds since 1970. */
  mtime: number;
  /** The permission bits, 0 to 0o777. */
  mode: number;
}

/** Options of {@linkcode walkLocal}. */
export interface WalkOptions {
  /** Which files are meant; all of them unless told otherwise. */
  filter?: Filter | undefined;
  /** Whether symbolic links are followed; they are skipped unless told otherwise. */
  follow?: boolean | undefined;
  /** Told what is skipped: it is no file or directory, leads back to where we are, is ferry's own, or vanished. */
  onSkip?: ((skipped: SkippedEntry) => void) | undefined;
  /** Told what cannot be looked at or read; the walk goes on with what comes after it. */
  onError?: ((path: string, error: FerryError) => void) | undefined;
}

/**
 * What is below a directory: each directory before its content, empty ones too, the names of one
 * directory in the order of their UTF-16 units. The root itself is not among them; where it is a link,
 * that is followed. What cannot be read or told by name is reported, and the rest goes on.
 *
 * @throws {FerryError} `not_found`, `not_a_file`, `denied` where the root itself cannot be walked
 */
export async function* walkLocal(
  root: string,
  options: WalkOptions = {},
): AsyncGenerator<LocalEntry, void, void> {
  let info: Deno.FileInfo;
  let children: Deno.DirEntry[];
  try {
    info = Deno.statSync(root);
    if (!info.isDirectory) throw new FerryError("not_a_file", "it is not a directory");
    children = await childrenOf(root);
  } catch (error) {
    throw fileError(error);
  }
  const prefix = root === "." ? "" : /[/\\]$/.test(root) ? root : `${root}/`;
  const identity = identityOf(root, info);
  yield* walk({ path: prefix, name: "", children, next: 0, identity }, options);
}

/** A directory that is being walked. */
interface Level {
  /** Its path, with the slash that a child's name goes behind; "" for the working directory. */
  path: string;
  /** Its name, with such a slash; "" for the root. */
  name: string;
  children: readonly Deno.DirEntry[];
  /** Which of them comes next. */
  next: number;
  identity: string;
  above?: Level;
  /** What is to be told of it as soon as something in it is meant. */
  pending?: LocalEntry | undefined;
}

async function* walk(
  root: Level,
  options: WalkOptions,
): AsyncGenerator<LocalEntry, void, void> {
  const { filter, follow, onSkip } = options;
  // There is no generator for each directory, since each entry would pass through all those above it.
  for (let level: Level | undefined = root; level;) {
    const child: Deno.DirEntry | undefined = level.children[level.next++];
    if (!child) {
      level = level.above;
      continue;
    }
    const path = level.path + child.name;
    const name = level.name + child.name;
    // What is excluded is not even looked at. To git, too, a link is a file until it is followed.
    const type = child.isDirectory ? "directory" : "file";
    const followed = child.isSymlink && follow === true;
    const types: readonly FilteredType[] = followed ? ["file", "directory"] : [type];
    if (filter && !types.some((type) => filter.accepts(name, type))) continue;
    const own = kindOfOwn(name, child.name);
    if (own !== undefined) {
      onSkip?.({ path, reason: own });
      continue;
    }
    const info = attempt(path, child.name, options, () => lookAt(path, options));
    if (!info) continue;
    if (followed && filter && !filter.accepts(name, info.isDirectory ? "directory" : "file")) {
      continue;
    }
    const entry = entryOf(path, name, info);
    if (!entry) {
      onSkip?.({ path, reason: kindOfSpecial(info) });
    } else if (entry.type === "file") {
      for (const directory of pendingAbove(level)) yield directory;
      yield entry;
    } else {
      // A directory is read before it is given: one that cannot be read must not pass for an empty one.
      let children: readonly Deno.DirEntry[];
      try {
        children = await childrenOf(path);
      } catch (error) {
        reportFailure(path, child.name, options, error);
        continue;
      }
      const identity = attempt(path, child.name, options, () => identityOf(path, info));
      if (identity === undefined) continue;
      if (follow && isAbove(identity, level)) {
        onSkip?.({ path, reason: "a directory that it is in itself" });
        continue;
      }
      const kept = !filter || filter.keeps(name);
      if (kept) {
        for (const directory of pendingAbove(level)) yield directory;
        yield entry;
      }
      const pending = kept ? undefined : entry;
      const [below, inside] = [`${path}/`, `${name}/`];
      level = { path: below, name: inside, children, next: 0, identity, above: level, pending };
    }
  }
}

/** What something is that belongs to ferry and not to the user, by its name; undefined where it is the user's. */
function kindOfOwn(name: string, own: string): string | undefined {
  // Case is folded because some file systems do.
  const isReserved = name.toLowerCase() === RESERVED_DIRECTORY || isStagingName(own);
  if (isReserved) return "ferryd's own directory";
  return isRemovedName(own) ? "removed, but still open" : kindOfPartialDownload(own);
}

/** The directories above something that is meant, unless they have been told of. */
function pendingAbove(level: Level): LocalEntry[] {
  const entries: LocalEntry[] = [];
  for (let at: Level | undefined = level; at; at = at.above) {
    if (at.pending) entries.unshift(at.pending);
    at.pending = undefined;
  }
  return entries;
}

/** What is at a path, a link followed where that is wanted. */
function lookAt(path: string, { follow }: WalkOptions): Deno.FileInfo {
  const info = Deno.lstatSync(path);
  if (!info.isSymlink || !follow) return info;
  try {
    return Deno.statSync(path);
  } catch (error) {
    // One that leads nowhere stays a link, and is skipped as one.
    if (error instanceof Deno.errors.NotFound) return info;
    throw error;
  }
}

/** Looks at something that was in a directory a moment ago; undefined where that failed and was reported. */
function attempt<T>(
  path: string,
  name: string,
  options: WalkOptions,
  look: () => T,
): T | undefined {
  try {
    return look();
  } catch (error) {
    reportFailure(path, name, options, error);
    return undefined;
  }
}

/** Reports that something that was in a directory a moment ago cannot be looked at or read. */
function reportFailure(
  path: string,
  name: string,
  { onError, onSkip }: WalkOptions,
  reason: unknown,
): void {
  const error = fileError(reason);
  if (error.code !== "not_found") onError?.(path, error);
  else if (mayBeNoText(name)) onError?.(path, notText());
  else onSkip?.({ path, reason: "it vanished meanwhile" });
}

function entryOf(path: string, name: string, info: Deno.FileInfo): LocalEntry | undefined {
  const { isFile, isDirectory, size, mtime, mode } = info;
  if (!isFile && !isDirectory) return undefined;
  return {
    path,
    name,
    type: isFile ? "file" : "directory",
    size: isFile ? size : 0,
    mtime: mtime?.getTime() ?? 0,
    mode: (mode ?? (isFile ? 0o644 : 0o755)) & 0o777,
  };
}

/** The same for two paths that lead to one directory. */
function identityOf(path: string, { dev, ino }: Deno.FileInfo): string {
  // Windows tells no inode.
  return ino === null ? Deno.realPathSync(path) : `${dev}:${ino}`;
}

function isAbove(identity: string, level: Level): boolean {
  for (let at: Level | undefined = level; at; at = at.above) {
    if (at.identity === identity) return true;
  }
  return false;
}

/** What is in a directory, in order: the runtime's own synchronous list takes an error for the end. */
async function childrenOf(path: string): Promise<Deno.DirEntry[]> {
  const children = await Array.fromAsync(Deno.readDir(path));
  return children.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** What says that there is no directory, so that nothing in it can match. */
const NO_DIRECTORY: readonly ErrorCode[] = ["not_found", "not_a_file"];

/** Options of {@linkcode expandGlobs}. */
export interface GlobOptions {
  /** Told which directory cannot be read, and what matches by a name that is not UTF-8; the rest is given. */
  onError?: ((path: string, error: FerryError) => void) | undefined;
}

/**
 * The paths that the arguments of a command stand for. One that has `*`, `?`, `[…]` or `{…}` in it and
 * is not the path of anything itself is expanded as a shell would do it, for those that do not and for
 * globs in quotes: `*` leaves out what begins with a dot, and `**` as a whole part stands for any number
 * of directories. The parts of a path are matched one by one, so braces hold no slash. No path comes
 * twice from one glob.
 *
 * @throws {FerryError} `not_found` where a glob matches nothing, and no directory failed that it had to look into
 */
export async function expandGlobs(
  args: readonly string[],
  options: GlobOptions = {},
): Promise<string[]> {
  const expanded: string[] = [];
  for (const arg of args) {
    if (!isGlob(arg) || isThere(arg)) {
      expanded.push(arg);
      continue;
    }
    let failed = false;
    const onError = (path: string, error: FerryError) => {
      failed = true;
      options.onError?.(path, error);
    };
    const { root } = parse(arg);
    // An empty last part stays: behind a slash only a directory is found.
    const parts = arg.slice(root.length).split(PLATFORM.separators)
      .filter((part, at, { length }) => part !== "" || at === length - 1);
    const paths = new Set(await Array.fromAsync(expand(root, parts, { onError })));
    if (paths.size === 0 && !failed) {
      const place = { side: "here", path: arg } as const;
      throw new FerryError("not_found", `nothing matches ${quote(arg)}`, { place });
    }
    expanded.push(...paths);
  }
  return expanded;
}

/** What the parts of a glob match below a directory, whose path ends with a slash or is "". */
async function* expand(
  directory: string,
  parts: readonly string[],
  options: GlobOptions,
): AsyncGenerator<string, void, void> {
  const [part = "", ...rest] = parts;
  if (part === "**") {
    yield* expand(directory, rest.length > 0 ? rest : ["*"], options);
    for (const { name, isDirectory } of await readableIn(directory, options)) {
      // As in a shell, a link is matched but not descended into: it may lead back up.
      if (!isDirectory || name.startsWith(".") || !isText(directory, name, options)) continue;
      yield* expand(`${directory}${name}/`, parts, options);
    }
    return;
  }
  if (part === "") {
    if (isDirectory(directory)) yield directory;
    return;
  }
  // A part with a backslash may be literal, but is not written as the name is.
  const isPattern = isGlob(part) || part.includes("\\");
  for (const name of isPattern ? await matchesOf(part, directory, options) : [part]) {
    const path = directory + name;
    if (rest.length > 0) yield* expand(`${path}/`, rest, options);
    else if (isThere(path)) yield path;
  }
}

async function matchesOf(
  part: string,
  directory: string,
  options: GlobOptions,
): Promise<string[]> {
  const pattern = globToRegExp(part);
  return (await readableIn(directory, options)).map(({ name }) => name)
    .filter((name) => pattern.test(name) && (part.startsWith(".") || !name.startsWith(".")))
    .filter((name) => isText(directory, name, options));
}

/** Whether something can be found by the name that it was listed with; where it cannot, that is told. */
function isText(directory: string, name: string, { onError }: GlobOptions): boolean {
  const path = directory + name;
  if (!mayBeNoText(name) || isThere(path)) return true;
  onError?.(path, notText());
  return false;
}

/** What is in a directory; nothing where it is none any more, or cannot be read, which is told. */
async function readableIn(
  directory: string,
  { onError }: GlobOptions,
): Promise<Deno.DirEntry[]> {
  try {
    return await childrenOf(directory || ".");
  } catch (reason) {
    const error = fileError(reason);
    if (!NO_DIRECTORY.includes(error.code)) onError?.(directory, error);
    return [];
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
