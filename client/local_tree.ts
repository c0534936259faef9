/**
 * What is in a directory of this machine, and which paths a glob stands for.
 *
 * All of it is synchronous: a hop to another thread for each file would cost more than the look at it.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import { globToRegExp, isGlob, parse } from "../lib/path.ts";
import { PLATFORM } from "../lib/platform.ts";
import { kindOfSpecial } from "./destination.ts";
import type { Filter } from "./filter.ts";

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

/** Something that was found and is neither a file nor a directory, or leads back to where we are. */
export interface SkippedEntry {
  /** Where it is. */
  path: string;
  /** What it is, such as `symbolic link`. */
  reason: string;
}

/** Options of {@linkcode walkLocal}. */
export interface WalkOptions {
  /** Which files are meant; all of them unless told otherwise. */
  filter?: Filter | undefined;
  /** Whether symbolic links are followed; they are skipped unless told otherwise. */
  follow?: boolean | undefined;
  /** Told what is skipped. */
  onSkip?: ((skipped: SkippedEntry) => void) | undefined;
  /** Told what cannot be looked at or read; the walk goes on with what comes after it. */
  onError?: ((path: string, error: FerryError) => void) | undefined;
}

/**
 * What is below a directory: each directory before its content, empty ones too, the names of one
 * directory in the order of their UTF-16 units. The root itself is not among them; where it is a link,
 * that is followed. What disappears meanwhile is left out, and so is what cannot be read or told by name.
 *
 * @throws {FerryError} `not_found`, `not_a_file`, `denied` where the root itself cannot be walked
 */
export function* walkLocal(
  root: string,
  options: WalkOptions = {},
): Generator<LocalEntry, void, void> {
  let info: Deno.FileInfo;
  let children: Deno.DirEntry[];
  try {
    info = Deno.statSync(root);
    if (!info.isDirectory) throw new FerryError("not_a_file", "it is not a directory");
    children = childrenOf(root);
  } catch (error) {
    throw toFerryError(error);
  }
  const prefix = root === "." ? "" : /[/\\]$/.test(root) ? root : `${root}/`;
  yield* walk({ path: prefix, name: "", children, identity: identityOf(root, info) }, options);
}

/** A directory that is being walked. */
interface Level {
  /** Its path, with the slash that a child's name goes behind; "" for the working directory. */
  path: string;
  /** Its name, with such a slash; "" for the root. */
  name: string;
  children: readonly Deno.DirEntry[];
  identity: string;
  above?: Level;
  /** What is to be told of it as soon as something in it is meant. */
  pending?: LocalEntry | undefined;
}

function* walk(level: Level, options: WalkOptions): Generator<LocalEntry, void, void> {
  const { filter } = options;
  for (const child of level.children) {
    const path = level.path + child.name;
    const name = level.name + child.name;
    // What is excluded is not even looked at. To git, too, a link is a file until it is followed.
    const type = child.isDirectory ? "directory" : "file";
    const followed = child.isSymlink && options.follow === true;
    if (!followed && filter && !filter.accepts(name, type)) continue;
    const info = lookAt(path, options);
    if (!info) {
      // Deno puts this character where a name is not UTF-8, and the file is not found by that name.
      if (child.name.includes("\ufffd")) {
        options.onError?.(path, new FerryError("bad_name", "its name is not UTF-8"));
      }
      continue;
    }
    if (followed && filter && !filter.accepts(name, info.isDirectory ? "directory" : "file")) {
      continue;
    }
    const entry = entryOf(path, name, info);
    if (!entry) {
      options.onSkip?.({ path, reason: kindOfSpecial(info) });
    } else if (entry.type === "file") {
      yield* pendingAbove(level);
      yield entry;
    } else {
      // It is read before it is told of: one that cannot be read must not pass for an empty one.
      const read = attempt(path, options, () => ({
        children: childrenOf(path),
        identity: identityOf(path, info),
      }));
      if (!read) continue;
      if (options.follow && isAbove(read.identity, level)) {
        options.onSkip?.({ path, reason: "a directory that it is in itself" });
        continue;
      }
      const kept = !filter || filter.keeps(name);
      if (kept) {
        yield* pendingAbove(level);
        yield entry;
      }
      const pending = kept ? undefined : entry;
      yield* walk({ path: `${path}/`, name: `${name}/`, above: level, pending, ...read }, options);
    }
  }
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

/** What is at a path; undefined where nothing is any more, or where that was reported. */
function lookAt(path: string, options: WalkOptions): Deno.FileInfo | undefined {
  const info = attempt(path, options, () => Deno.lstatSync(path));
  if (!info?.isSymlink || !options.follow) return info;
  return attempt(path, options, () => {
    try {
      return Deno.statSync(path);
    } catch (error) {
      // One that leads nowhere stays a link, and is skipped as one.
      if (error instanceof Deno.errors.NotFound) return info;
      throw error;
    }
  });
}

/** Runs something on the file system: what is gone is left out, any other failure is reported. */
function attempt<T>(path: string, { onError }: WalkOptions, run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    const failure = toFerryError(error);
    if (failure.code !== "not_found") onError?.(path, failure);
    return undefined;
  }
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

function childrenOf(path: string): Deno.DirEntry[] {
  return [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * The paths that the arguments of a command stand for. One that has `*`, `?`, `[…]` or `{…}` in it and
 * is not the path of anything itself is expanded as a shell would do it, for those that do not and for
 * globs in quotes: `*` leaves out what begins with a dot, and `**` as a whole part stands for any number
 * of directories. The parts of a path are matched one by one, so braces hold no slash. No path comes
 * twice from one glob.
 *
 * @throws {FerryError} `not_found` where a glob matches nothing
 */
export function expandGlobs(args: readonly string[]): string[] {
  return args.flatMap((arg) => {
    if (!isGlob(arg) || isThere(arg)) return [arg];
    const { root } = parse(arg);
    // An empty last part stays: behind a slash only a directory is found.
    const parts = arg.slice(root.length).split(PLATFORM.separators)
      .filter((part, at, { length }) => part !== "" || at === length - 1);
    const paths = [...new Set(expand(root, parts))];
    if (paths.length === 0) {
      const place = { side: "here", path: arg } as const;
      throw new FerryError("not_found", `nothing matches ${quote(arg)}`, { place });
    }
    return paths;
  });
}

/** What the parts of a glob match below a directory, whose path ends with a slash or is "". */
function* expand(directory: string, parts: readonly string[]): Generator<string, void, void> {
  const [part = "", ...rest] = parts;
  if (part === "**") {
    yield* expand(directory, rest.length > 0 ? rest : ["*"]);
    for (const { name, isDirectory } of readableIn(directory)) {
      // As in a shell, a link is matched but not descended into: it may lead back up.
      if (isDirectory && !name.startsWith(".")) yield* expand(`${directory}${name}/`, parts);
    }
    return;
  }
  if (part === "") {
    if (isDirectory(directory)) yield directory;
    return;
  }
  // A part with a backslash may be literal, but is not written as the name is.
  const isPattern = isGlob(part) || part.includes("\\");
  for (const name of isPattern ? matchesOf(part, directory) : [part]) {
    const path = directory + name;
    if (rest.length > 0) yield* expand(`${path}/`, rest);
    else if (isThere(path)) yield path;
  }
}

function matchesOf(part: string, directory: string): string[] {
  const pattern = globToRegExp(part);
  return readableIn(directory).map(({ name }) => name)
    .filter((name) => pattern.test(name) && (part.startsWith(".") || !name.startsWith(".")));
}

/** What is in a directory; nothing where it is none or cannot be read. */
function readableIn(directory: string): Deno.DirEntry[] {
  try {
    return childrenOf(directory || ".");
  } catch {
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
