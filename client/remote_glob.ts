/**
 * Patterns for names on the server, as a shell has them for local ones.
 *
 * @module
 */

import { FerryError, quote } from "../lib/errors.ts";
import type { Entry } from "../lib/header.ts";
import { globToRegExp, isGlob } from "../lib/path.ts";
import { remoteName } from "./names.ts";

/** Who knows what is on the server. */
export interface Lister {
  /** The entries of a directory; see `Client.list`. */
  list(
    directory: string,
    options: { recursive: boolean; signal?: AbortSignal | undefined },
  ): AsyncIterable<Entry>;
}

/** Options of {@linkcode expandRemoteGlobs}. */
export interface GlobOptions {
  /** What is to be done with what matches, for the message where nothing does. */
  op: string;
  /** Gives up. */
  signal?: AbortSignal | undefined;
}

/**
 * The names that the arguments of a command stand for. One that has `*`, `?`, `[…]` or `{…}` in it and is not
 * itself the name of anything is matched with the names on the server, part by part: `*` leaves out what begins
 * with a dot, and `**` as a whole part stands for any number of directories, of which only the files are meant.
 *
 * @throws {FerryError} `not_found` where a pattern matches nothing, and what the server says to listing
 */
export async function expandRemoteGlobs(
  lister: Lister,
  args: readonly string[],
  options: GlobOptions,
): Promise<string[]> {
  const names: string[] = [];
  for (const arg of args.map(remoteName)) {
    const entries = isGlob(arg) ? await entriesMatching(lister, arg, options) : undefined;
    names.push(...entries?.map(({ filename }) => filename) ?? [arg]);
  }
  return [...new Set(names)];
}

/**
 * What a pattern stands for.
 *
 * @returns undefined where nobody may look what there is, so that only the name itself can be meant
 * @throws {FerryError} as {@linkcode expandRemoteGlobs}
 */
export async function entriesMatching(
  lister: Lister,
  glob: string,
  { op, signal }: GlobOptions,
): Promise<Entry[] | undefined> {
  const parts = glob.split("/");
  const fixed = parts.findIndex((part) => isGlob(part));
  const patterns = parts.slice(fixed);
  const deep = patterns.includes("**");
  const matching: Entry[] = [];
  const listing = lister.list(parts.slice(0, fixed).join("/"), {
    recursive: deep || patterns.length > 1,
    signal,
  });
  try {
    for await (const entry of listing) {
      const { filename, type } = entry;
      if (filename === glob) return [entry];
      if (deep && type === "directory") continue;
      if (matches(filename.split("/").slice(fixed), patterns)) matching.push(entry);
    }
  } catch (error) {
    if (error instanceof FerryError && error.code === "denied") return undefined;
    throw error;
  }
  if (matching.length === 0) {
    throw new FerryError("not_found", "nothing on the server matches it", {
      action: `${op} ${quote(glob)}`,
    });
  }
  return matching;
}

/** Whether the parts of a name are what the parts of a pattern stand for, one for one but for `**`. */
function matches(parts: readonly string[], patterns: readonly string[]): boolean {
  const [pattern, ...further] = patterns;
  if (pattern === undefined) return parts.length === 0;
  const [part, ...rest] = parts;
  if (pattern === "**") {
    if (matches(parts, further)) return true;
    return part !== undefined && !part.startsWith(".") && matches(rest, patterns);
  }
  if (part === undefined || part.startsWith(".") && !pattern.startsWith(".")) return false;
  return globToRegExp(pattern).test(part) && matches(rest, further);
}
