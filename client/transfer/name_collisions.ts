/**
 * Files of one run whose names differ in upper and lower case only, or in how a letter is composed: a file system that
 * takes those for the same would let one replace the other.
 *
 * @module
 */

import { FerryError, fileError, quote, toFerryError } from "../../lib/core/errors.ts";
import { foldName } from "../../lib/core/remote_name.ts";
import { basename, dirname } from "../../lib/core/paths.ts";

/** The names of a run. */
export class NameCollisions {
  readonly #first = new Map<string, string>();

  /** Takes a name; what came before it that some file system may take for the same, undefined where nothing did. */
  before(name: string): string | undefined {
    const folded = foldName(name);
    const first = this.#first.get(folded);
    if (first === undefined) this.#first.set(folded, name);
    return first === name ? undefined : first;
  }
}

/** How it is asked what a server has; either fails with `not_found` where nothing has the name. */
export interface RemoteLookup {
  /** What has a name. */
  stat(filename: string): Promise<unknown>;
  /** What is in a directory. */
  list(directory: string): AsyncIterable<{ filename: string }>;
}

/**
 * Fails where a server takes a name for that of another file of the same run, which it has got before.
 *
 * @throws {FerryError} `bad_name`; `denied` where the server does not tell
 */
export async function assertDistinctOnServer(
  filename: string,
  first: string,
  server: RemoteLookup,
): Promise<void> {
  const directory = filename.slice(0, Math.max(0, filename.lastIndexOf("/")));
  try {
    // What is listed by that very name is another file.
    for await (const entry of server.list(directory)) if (entry.filename === filename) return;
    await server.stat(filename);
  } catch (error) {
    if (toFerryError(error).code === "not_found") return;
    throw error;
  }
  throw clash(first).at({ side: "server", path: filename });
}

/**
 * Fails where the file system takes a path for that of another file of the same run, which is there already.
 *
 * @throws {FerryError} `bad_name`, `denied`, `io`
 */
export async function assertDistinctHere(path: string, first: string): Promise<void> {
  try {
    Deno.lstatSync(path);
    // What is listed by that very name is another file.
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
