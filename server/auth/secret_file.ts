/**
 * Files that contain secrets: written atomically, and readable only by their owner from the start.
 *
 * @module
 */

import { quote, toFerryError } from "../../lib/core/errors.ts";
import { dirname } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { syncDirectory } from "../../lib/files/directory_flush.ts";
import { renameWithoutReplacing } from "../../lib/files/renaming.ts";

/** Options of {@linkcode writeSecretFile}. */
export interface SecretFileOptions {
  /** Whether an existing file is replaced. */
  replace: boolean;
  /** The permission bits. Default: 0o600. */
  mode?: number;
}

/**
 * Writes a file atomically. It has been flushed to the disk when this resolves.
 *
 * @throws {FerryError} `exists` if the name is taken and `replace` is false, `denied`, `no_space`, …
 */
export async function writeSecretFile(
  path: string,
  text: string,
  { replace, mode = 0o600 }: SecretFileOptions,
): Promise<void> {
  try {
    await writeSecretly(path, text, { replace, mode });
  } catch (error) {
    throw toFerryError(error).during(`write ${quote(path)}`);
  }
}

async function writeSecretly(
  path: string,
  text: string,
  { replace, mode }: Required<SecretFileOptions>,
): Promise<void> {
  // The runtime creates temporary files readable only by their owner.
  const temporary = Deno.makeTempFileSync({ dir: dirname(path), prefix: ".ferryd-" });
  try {
    using file = Deno.openSync(temporary, { write: true });
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    if (PLATFORM.permissionBits) Deno.chmodSync(temporary, mode);
    file.syncSync();
    if (replace) Deno.renameSync(temporary, path);
    else renameWithoutReplacing(temporary, path);
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
  await syncDirectory(dirname(path));
}
