/**
 * The content of a local directory, and the paths that a glob stands for.
 *
 * Directories are read asynchronously, since only then Deno reports an error in the middle of a directory. The stat of
 * an entry is synchronous: a switch to another thread would cost more than the call itself.
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
import { inodeOf } from "../../lib/core/file_identity.ts";
import { flawOfTarget } from "../../lib/core/link_target.ts";
import { globToRegExp, isGlob, parse } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { hasOtherNames, isDirectory } from "../../lib/files/path_lookup.ts";
import { kindOfSpecial } from "./destination.ts";
import type { Filter, FilteredType } from "./filter.ts";
import { identityOf } from "./local_root.ts";
import { kindOfPartialDownload } from "./partial_downloads.ts";
import type { SkippedEntry } from "./omissions.ts";

/** A file, a directory or a symbolic link in a local tree. */
export interface LocalEntry {
  /** Its path. */
  path: string;
  /** Its name relative to the root of the walk, with `/` between its components. */
  name: string;
  /** Its type. */
  type: "file" | "directory" | "link";
  /** Device and inode of a file that has several names, as hard links; undefined for anything else. */
  inode?: string;
  /** What a symbolic link says; undefined for anything else. */
  target?: string;
  /** Its size in bytes; 0 for a directory. */
  size: number;
  /** The modification time in milliseconds since 1970. */
  mtime: number;
  /** The permission bits, 0 to 0o777. */
  mode: number;
}

/** Options of {@linkcode walkLocal}. */
export interface WalkOptions {
  /** Which files are wanted. Default: all. */
  filter?: Filter | undefined;
  /** Whether symbolic links are followed instead of skipped. Default: false. */
  follow?: boolean | undefined;
  /** Whether symbolic links are entries of their own. Default: false, they are skipped. */
  links?: boolean | undefined;
  /** Called for what is skipped: special files, links that form a loop, ferry's own files, and files that vanished. */
  onSkip?: ((skipped: SkippedEntry) => void) | undefined;
  /** Called for what cannot be examined or read; the walk goes on. */
  onError?: ((path: string, error: FerryError) => void) | undefined;
  /** Called with the name of each directory whose content is walked, also if no file in it is wanted. */
  onEnter?: ((name: string) => void) | undefined;
}

/**
 * The content of a directory: each directory before its content, empty ones too, the names of one directory in the
 * order of their UTF-16 code units. The root itself is not included; where it is a link, that is followed. What cannot
 * be read, or has a name that cannot be represented, is reported, and the walk goes on.
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
  /** Its path, with a trailing slash; "" for the working directory. */
  path: string;
  /** Its name, with a trailing slash; "" for the root. */
  name: string;
  children: readonly Deno.DirEntry[];
  /** The index of the next child. */
  next: number;
  identity: string;
  above?: Level;
  /** Its entry, which is yielded only when something in it is accepted. */
  pending?: LocalEntry | undefined;
}

async function* walk(
  root: Level,
  options: WalkOptions,
): AsyncGenerator<LocalEntry, void, void> {
  const { filter, follow, onSkip } = options;
  // One generator for the whole tree: with one for each directory, each entry would pass through all those above it.
  for (let level: Level | undefined = root; level;) {
    const child: Deno.DirEntry | undefined = level.children[level.next++];
    if (!child) {
      level = level.above;
      continue;
    }
    const path = level.path + child.name;
    const name = level.name + child.name;
    // Excluded entries are not examined at all. As in git, a link counts as a file until it is followed.
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
    if (options.links && info.isSymlink) {
      const link = attempt(path, child.name, options, () => linkOf(path, name, info));
      if (link instanceof FerryError) onSkip?.({ path, reason: link.reason });
      else if (link) {
        for (const directory of pendingAbove(level)) yield directory;
        yield link;
      }
      continue;
    }
    const entry = entryOf(path, name, info);
    if (!entry) {
      onSkip?.({ path, reason: kindOfSpecial(info) });
    } else if (entry.type !== "directory") {
      for (const directory of pendingAbove(level)) yield directory;
      yield entry;
    } else {
      // A directory is read before it is yielded: one that cannot be read must not pass for an empty one.
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
      options.onEnter?.(name);
      const [below, inside] = [`${path}/`, `${name}/`];
      level = { path: below, name: inside, children, next: 0, identity, above: level, pending };
    }
  }
}

/**
 * The kind, in words, of a file that belongs to ferry and not to the user, by its name; undefined for the user's files.
 */
export function kindOfOwn(name: string, own: string): string | undefined {
  // Case is folded because some file systems do so.
  const isReserved = name.toLowerCase() === RESERVED_DIRECTORY || isStagingName(own);
  if (isReserved) return "ferryd's own directory";
  return isRemovedName(own) ? "removed, but still open" : kindOfPartialDownload(own);
}

/** The parent directories of an accepted entry that have not been yielded yet. */
function pendingAbove(level: Level): LocalEntry[] {
  const entries: LocalEntry[] = [];
  for (let at: Level | undefined = level; at; at = at.above) {
    if (at.pending) entries.unshift(at.pending);
    at.pending = undefined;
  }
  return entries;
}

/** The metadata of a path; links are followed where the options say so. */
function lookAt(path: string, { follow }: WalkOptions): Deno.FileInfo {
  const info = Deno.lstatSync(path);
  if (!info.isSymlink || !follow) return info;
  try {
    return Deno.statSync(path);
  } catch (error) {
    // A dangling link counts as a link, and is skipped as one.
    if (error instanceof Deno.errors.NotFound) return info;
    throw error;
  }
}

/** Examines an entry that was listed a moment ago; undefined where that failed and was reported. */
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

/** Reports that an entry that was listed a moment ago cannot be examined or read. */
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

/** The entry of a symbolic link; the reason why it is skipped if it is none that any server keeps. */
function linkOf(path: string, name: string, info: Deno.FileInfo): LocalEntry | FerryError {
  const target = Deno.readLinkSync(path);
  const flaw = flawOfTarget(target);
  if (flaw !== undefined) return new FerryError("denied", `symbolic link whose target ${flaw}`);
  return { path, name, type: "link", target, size: 0, mtime: timeOf(info), mode: 0o777 };
}

function timeOf({ mtime }: Deno.FileInfo): number {
  return mtime?.getTime() ?? 0;
}

function entryOf(path: string, name: string, info: Deno.FileInfo): LocalEntry | undefined {
  const { isFile, isDirectory, size, mode, dev, ino } = info;
  const several = isFile && hasOtherNames(info) && ino !== null;
  if (!isFile && !isDirectory) return undefined;
  return {
    path,
    name,
    type: isFile ? "file" : "directory",
    size: isFile ? size : 0,
    ...(several ? { inode: inodeOf({ dev, ino }) } : {}),
    mtime: timeOf(info),
    mode: (mode ?? (isFile ? 0o644 : 0o755)) & 0o777,
  };
}

function isAbove(identity: string, level: Level): boolean {
  for (let at: Level | undefined = level; at; at = at.above) {
    if (at.identity === identity) return true;
  }
  return false;
}

/** The entries of a directory, sorted. Deno's synchronous listing would take an error for the end. */
async function childrenOf(path: string): Promise<Deno.DirEntry[]> {
  const children = await Array.fromAsync(Deno.readDir(path));
  return children.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Errors that mean there is no directory, so that nothing in it can match. */
const NO_DIRECTORY: readonly ErrorCode[] = ["not_found", "not_a_file"];

/** Options of {@linkcode expandGlobs}. */
export interface GlobOptions {
  /**
   * Called for directories that cannot be read, and for matches whose names are not UTF-8; the other matches are
   * returned.
   */
  onError?: ((path: string, error: FerryError) => void) | undefined;
}

/**
 * The paths that the arguments of a command stand for. An argument with `*`, `?`, `[…]` or `{…}` that is not itself an
 * existing path is expanded as a shell would do it, for shells that do not and for quoted globs. `*` does not match a
 * leading dot, and a component `**` matches any number of directories. Paths are matched component by component, so
 * braces contain no slash. Each glob yields a path only once.
 *
 * @throws {FerryError} `not_found` where a glob matches nothing, and every directory that it had to look into could be
 * read
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
    // An empty last component is kept: with a trailing slash, only directories match.
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

/** The matches of the components of a glob below a directory, whose path ends with a slash or is "". */
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
  // A component with a backslash may be literal, but differs from the name that it matches.
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

/** Whether an entry can be accessed by the name that was listed; where it cannot, that is reported. */
function isText(directory: string, name: string, { onError }: GlobOptions): boolean {
  const path = directory + name;
  if (!mayBeNoText(name) || isThere(path)) return true;
  onError?.(path, notText());
  return false;
}

/** The entries of a directory; none where it no longer exists, or cannot be read, which is reported. */
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
