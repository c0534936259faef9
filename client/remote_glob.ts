/**
 * Patterns for names on the server, as a shell has them for local ones.
 *
 * @module
 */

import { FerryError, quote } from "../lib/errors.ts";
import type { Entry } from "../lib/header.ts";
import { globToRegExp, isGlob } from "../lib/path.ts";

/** Who knows what is on the server. */
export interface Lister {
  /** The entries of a directory; see `Client.list`. */
  list(
    directory: string,
    options: { recursive: boolean; signal?: AbortSignal | undefined },
  ): AsyncIterable<Entry>;
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
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<string[]> {
  const names: string[] = [];
  for (const arg of args) {
    names.push(...(isGlob(arg) ? await matchesOf(lister, arg, signal) : [arg]));
  }
  return [...new Set(names)];
}

async function matchesOf(
  lister: Lister,
  glob: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const parts = glob.split("/");
  const fixed = parts.findIndex((part) => isGlob(part));
  const patterns = parts.slice(fixed);
  const deep = patterns.includes("**");
  const matching: string[] = [];
  const listing = lister.list(parts.slice(0, fixed).join("/"), {
    recursive: deep || patterns.length > 1,
    signal,
  });
  for await (const { filename, type } of listing) {
    if (filename === glob) return [glob];
    if (deep && type === "directory") continue;
    if (matches(filename.split("/").slice(fixed), patterns)) matching.push(filename);
  }
  if (matching.length === 0) {
    throw new FerryError("not_found", "nothing on the server matches it", {
      action: `get ${quote(glob)}`,
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
