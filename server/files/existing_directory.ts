/**
 * Directories that requests name.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { type FileName, parseDirectoryName } from "../../lib/core/remote_name.ts";
import type { Storage } from "../storage/storage.ts";

/**
 * The name of a directory that exists; "" is the root.
 *
 * @param text the name as the client gave it
 * @throws {FerryError} `bad_name`, `not_found`, `not_a_file`
 */
export async function existingDirectory(storage: Storage, text: string): Promise<FileName | ""> {
  const name = parseDirectoryName(text);
  const { type } = await storage.stat(name);
  if (type !== "directory") throw new FerryError("not_a_file", "it is not a directory");
  return name;
}
