/**
 * Creates the parent directories of files.
 *
 * @module
 */

import { FerryError, fileError } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import { namingError } from "./file_errors.ts";
import { isDirectory } from "./path_lookup.ts";

/**
 * Creates a directory and missing parent directories.
 *
 * @returns the directories that got a new entry, to be flushed
 * @throws {FerryError} `not_a_file` if a part of the path is not a directory, `denied`, `no_space`
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
