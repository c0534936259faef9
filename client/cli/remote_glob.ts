/**
 * Patterns for names on the server, as a shell has them for local ones.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { globToRegExp, isGlob } from "../../lib/core/paths.ts";
import { named, remoteName } from "../transfer/names.ts";
import type { OmissionHandlers } from "../transfer/omissions.ts";

/** Who knows what is on the server. */
export interface Lister {
  /** The entries of a directory, and what is left out of them; see `Client.list`. */
  list(
    directory: string,
    options: OmissionHandlers & { recursive: boolean; signal?: AbortSignal | undefined },
  ): AsyncIterable<Entry>;
}

/** Options of {@linkcode expandRemoteGlobs}. */
export interface GlobOptions extends OmissionHandlers {
  /** What is to be done with what matches, for the message where nothing does. */
  op: string;
  /** Told of a pattern that is taken for a name, since the list that it needs was denied. */
  onLiteral?: ((arg: string, denied: FerryError) => void) | undefined;
  /** Gives up. */
  signal?: AbortSignal | undefined;
}

/**
 * The names that the arguments of a command stand for. One that has `*`, `?`, `[…]` or `{…}` in it and is not
 * itself the name of anything is matched with the names on the server, part by part: `*` leaves out what begins
 * with a dot, and `**` as a whole part stands for any number of directories, of which only the files are meant.
 * What matches and is left out of lists is told, and each directory that something in it might match and that
 * cannot be read or is not descended into.
 *
 * @throws {FerryError} `not_found` where a pattern matches nothing and nothing was told, and what the server says
 * to listing
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
 * @returns undefined where nobody may look what there is, so that only the name itself can be meant; that is told
 * @throws {FerryError} as {@linkcode expandRemoteGlobs}
 */
export async function entriesMatching(
  lister: Lister,
  arg: string,
  { op, onSkip, onError, onLiteral, signal }: GlobOptions,
): Promise<Entry[] | undefined> {
  const glob = new RemoteGlob(arg);
  const matching: Entry[] = [];
  /** Tells what is left out: not before it is known that a pattern is meant, and not the name of a file. */
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
 * Those of some names that an argument stands for: the name itself, what matches a pattern, and with `recursive`
 * what is below that.
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
  /** The directory below which everything is that it can match. */
  readonly directory: string;
  /** Whether it can match something in the directories of that one. */
  readonly recursive: boolean;
  /** Whether it has a `**`, so that only files are meant. */
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

  /** Whether a name is what it stands for; one of something below its directory. */
  matches(name: string): boolean {
    return matches(name.split("/").slice(this.#fixed), this.#patterns, (left) => left.length === 0);
  }

  /** Whether something in a directory of that name may be what it stands for. */
  leadsOn(name: string): boolean {
    return matches(name.split("/").slice(this.#fixed), this.#patterns, (left) => left.length > 0);
  }
}

/**
 * Whether the parts of a name are what parts of a pattern stand for, one for one but for `**`, so that those that are
 * left of the pattern will do.
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
