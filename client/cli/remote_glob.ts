/**
 * Patterns for names on the server, like those of a shell for local files.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { globToRegExp, isGlob } from "../../lib/core/paths.ts";
import { named, remoteName } from "../transfer/names.ts";
import type { OmissionHandlers } from "../transfer/omissions.ts";

/** Lists directories of the server. */
export interface Lister {
  /** The entries of a directory, as `Client.list` gives them. */
  list(
    directory: string,
    options: OmissionHandlers & { recursive: boolean; signal?: AbortSignal | undefined },
  ): AsyncIterable<Entry>;
}

/** Options of {@linkcode expandRemoteGlobs}. */
export interface GlobOptions extends OmissionHandlers {
  /** The operation that the names are for, for the error where nothing matches. */
  op: string;
  /** Called for a pattern that is used as a name, since the listing to expand it was denied. */
  onLiteral?: ((arg: string, denied: FerryError) => void) | undefined;
  /** Aborts listing. */
  signal?: AbortSignal | undefined;
}

/**
 * The names that the arguments of a command stand for. An argument with `*`, `?`, `[…]` or `{…}` that is not itself an
 * existing name is a pattern, and is matched with the names on the server component by component. `*` does not match a
 * leading dot. A component `**` matches any number of directories; a pattern with one matches only files. The handlers
 * are called for matching names that listings leave out, and for directories that cannot be read and might contain a
 * match.
 *
 * @throws {FerryError} `not_found` where a pattern matches nothing and no handler was called; what listing throws
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
 * The entries that a pattern matches.
 *
 * @returns undefined where listing is denied, so that the pattern can only be a name
 * @throws {FerryError} as {@linkcode expandRemoteGlobs}
 */
export async function entriesMatching(
  lister: Lister,
  arg: string,
  { op, onSkip, onError, onLiteral, signal }: GlobOptions,
): Promise<Entry[] | undefined> {
  const glob = new RemoteGlob(arg);
  const matching: Entry[] = [];
  /** Calls of the handlers, deferred until it is known that the argument is not the name of a file. */
  const telling: (() => void)[] = [];
  const listing = lister.list(glob.directory, {
    recursive: glob.recursive,
    onSkip(skipped) {
      const { path, type } = skipped;
      const concerned = type === "directory" ? glob.leadsOn(path) : glob.matches(path);
      if (concerned) telling.push(() => onSkip?.(skipped));
    },
    onError(filename, error) {
      if (!glob.matches(filename) && !glob.leadsOn(filename)) return;
      telling.push(() => onError?.(filename, error));
    },
    signal,
  });
  try {
    for await (const entry of listing) {
      const { filename, type } = entry;
      if (filename === arg) return [entry];
      if (glob.deep && type === "directory") continue;
      if (glob.matches(filename)) matching.push(entry);
    }
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== "denied") throw error;
    onLiteral?.(arg, error);
    return undefined;
  }
  for (const tell of telling) tell();
  if (matching.length === 0 && telling.length === 0) throw nothingMatches(arg, op);
  return matching;
}

/**
 * Selects the names that an argument stands for: the name itself, names that match the pattern, and with `recursive`
 * all names below those.
 *
 * @throws {FerryError} `not_found` where there are none
 */
export function namesMeant(
  arg: string,
  names: Iterable<string>,
  { recursive, op }: { recursive: boolean; op: string },
): string[] {
  const glob = isGlob(arg) ? new RemoteGlob(arg) : undefined;
  const isMeant = (name: string) => name === arg || glob?.matches(name);
  const found = [...names].filter((name) => {
    if (!recursive) return isMeant(name);
    return arg === "" || name.split("/").some((_, at, parts) => {
      return isMeant(parts.slice(0, at + 1).join("/"));
    });
  });
  if (found.length === 0) throw nothingMatches(arg, op);
  return found;
}

function nothingMatches(arg: string, op: string): FerryError {
  return new FerryError("not_found", "nothing on the server matches it", {
    action: `${op} ${named(arg)}`,
  });
}

/** A pattern for names. */
class RemoteGlob {
  /** The directory that contains all possible matches. */
  readonly directory: string;
  /** Whether subdirectories of it can contain matches. */
  readonly recursive: boolean;
  /** Whether it has a `**`, so that only files match. */
  readonly deep: boolean;
  readonly #fixed: number;
  readonly #patterns: readonly string[];

  constructor(glob: string) {
    const parts = glob.split("/");
    this.#fixed = parts.findIndex((part) => isGlob(part));
    this.#patterns = parts.slice(this.#fixed);
    this.directory = parts.slice(0, this.#fixed).join("/");
    this.deep = this.#patterns.includes("**");
    this.recursive = this.deep || this.#patterns.length > 1;
  }

  /** Whether it matches a name below its directory. */
  matches(name: string): boolean {
    return matches(name.split("/").slice(this.#fixed), this.#patterns, (left) => left.length === 0);
  }

  /** Whether it may match something in the directory with this name. */
  leadsOn(name: string): boolean {
    return matches(name.split("/").slice(this.#fixed), this.#patterns, (left) => left.length > 0);
  }
}

/**
 * Whether the components of a name match those of a pattern, one by one except for `**`. `willDo` decides whether the
 * rest of the pattern may be left over.
 */
function matches(
  parts: readonly string[],
  patterns: readonly string[],
  willDo: (left: readonly string[]) => boolean,
): boolean {
  const [pattern, ...further] = patterns;
  const [part, ...rest] = parts;
  if (part === undefined && willDo(patterns)) return true;
  if (pattern === undefined) return false;
  if (pattern === "**") {
    if (matches(parts, further, willDo)) return true;
    return part !== undefined && !part.startsWith(".") && matches(rest, patterns, willDo);
  }
  if (part === undefined || part.startsWith(".") && !pattern.startsWith(".")) return false;
  return globToRegExp(pattern).test(part) && matches(rest, further, willDo);
}
