/**
 * Makes the directories that files are to stand in.
 *
 * @module
 */

import { FerryError, fileError } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import { namingError } from "./file_errors.ts";
import { isDirectory } from "./path_lookup.ts";

/**
 * Makes a directory and those above it.
 *
 * @returns the directories that got a new entry, to be flushed
 * @throws {FerryError} `not_a_file` where a part of the path is not a directory, `denied`, `no_space`
 */
export function makeDirectories(path: string): string[] {
  try {
    Deno.mkdirSync(path);
    return [dirname(path)];
  } catch (error) {
    const parent = dirname(path);
    if (error instanceof Deno.errors.NotFound && !isDirectory(parent)) {
      if (parent === path) throw fileError(error);
      return [...makeDirectories(parent), ...makeDirectories(path)];
    }
    if (error instanceof Deno.errors.AlreadyExists) {
      if (isDirectory(path)) return [];
      throw new FerryError("not_a_file", "a part of the path is not a directory", { cause: error });
    }
    throw namingError(error, path);
  }
}
