/**
 * Detects files of one run whose names differ only in case or in Unicode normalization: a file system that takes such
 * names for the same would let one file replace the other.
 * @module
 */

import { FerryError, fileError, quote, toFerryError } from "../../lib/core/errors.ts";
import { foldName, parentName } from "../../lib/core/remote_name.ts";
import { basename, dirname } from "../../lib/core/paths.ts";

/** The names of a run. */
export class NameCollisions {
  readonly #first = new Map<string, string>();

  /**
   * Adds a name. Returns the earlier name that some file system may take for the same; undefined where there is none.
   */
  before(name: string): string | undefined {
    const folded = foldName(name);
    const first = this.#first.get(folded);
    if (first === undefined) this.#first.set(folded, name);
    return first === name ? undefined : first;
  }
}

/** Requests about names on a server. Both fail with `not_found` where nothing has the name. */
export interface RemoteLookup {
  /** The metadata of a name. */
  stat(filename: string): Promise<unknown>;
  /** The entries of a directory. */
  list(directory: string): AsyncIterable<{ filename: string }>;
}

/**
 * Checks that a server does not take a name for that of an earlier file of the same run.
 *
 * @throws {FerryError} `bad_name`; `denied` where the server does not answer
 */
export async function assertDistinctOnServer(
  filename: string,
  first: string,
  server: RemoteLookup,
): Promise<void> {
  const directory = parentName(filename);
  try {
    // Where exactly this name is listed, it is a file of its own.
    for await (const entry of server.list(directory)) if (entry.filename === filename) return;
    await server.stat(filename);
  } catch (error) {
    if (toFerryError(error).code === "not_found") return;
    throw error;
  }
  throw clash(first).at({ side: "server", path: filename });
}

/**
 * Checks that the local file system does not take a path for that of an earlier file of the same run, which exists
 * already.
 *
 * @throws {FerryError} `bad_name`, `denied`, `io`
 */
export async function assertDistinctHere(path: string, first: string): Promise<void> {
  try {
    Deno.lstatSync(path);
    // Where exactly this name is listed, it is a file of its own.
    for await (const { name } of Deno.readDir(dirname(path))) if (name === basename(path)) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw fileError(error);
  }
  throw clash(first).at({ side: "here", path });
}

function clash(first: string): FerryError {
  return new FerryError(
    "bad_name",
    `the file system takes its name for that of ${quote(first)}, which came before it`,
  );
}
