/**
 * What is at the local path of a download, and whether it may stay or be replaced.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { FerryError, fileError, quote } from "../../lib/core/errors.ts";
import { decideOverwrite, type FileState, type Overwrite } from "../../lib/core/overwrite.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { bitsOf } from "../../lib/files/permission_bits.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { kindOfSpecial } from "./destination.ts";

/** An existing local file at the path of a download. */
export interface ExistingFile extends FileState {
  readonly path: string;
  readonly size: number;
  /** Its permission bits, where it has any. */
  readonly bits: number | undefined;
}

/**
 * The file at a local path; undefined where there is nothing.
 *
 * @throws {FerryError} `not_a_file` for anything else, which no file may replace, whatever the policy
 */
export function existingFileAt(path: string): ExistingFile | undefined {
  try {
    const info = Deno.statSync(path);
    assertRegular(path, info);
    const { size, mtime } = info;
    return { path, size, mtime: mtime?.getTime(), checksum: null, bits: bitsOf(info) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw fileError(error);
  }
}

function assertRegular(path: string, info: Deno.FileInfo): void {
  if (info.isFile) return;
  const kind = info.isDirectory ? "directory" : kindOfSpecial(info);
  throw new FerryError("not_a_file", `${quote(path)} is a ${kind}`);
}

/**
 * Whether a file is wanted in place of an existing one. Checksums are computed or requested only where the answer
 * depends on them. The checksum of the existing file is stored in `existing` when it was computed.
 *
 * @throws {FerryError} `exists` where the existing file differs and must not be replaced
 */
export async function isWanted(
  overwrite: Overwrite,
  incoming: FileState,
  existing: ExistingFile,
  hash: { here(): Promise<Checksum>; there(): Promise<Checksum | null> },
): Promise<boolean> {
  let decision = decideOverwrite(overwrite, incoming, existing);
  if (decision === "hash") {
    existing.checksum ??= await hash.here();
    const checksum = incoming.checksum ?? await hash.there();
    decision = decideOverwrite(overwrite, { ...incoming, checksum }, existing);
  }
  if (decision === "exists") throw another(existing.path);
  return decision !== "have";
}

/**
 * The checksum of a local file.
 *
 * @throws {FerryError} as `LocalFile.open`; `io` where it changes meanwhile
 */
export async function checksumOfFile(
  path: string,
  algorithm: Algorithm,
  runtime: Runtime,
): Promise<Checksum> {
  await using file = LocalFile.open(path, runtime);
  return await checksumOfSource(runtime, file, { algorithm });
}

/**
 * Checks that a path that turned out to be taken has the very same file: another process may have downloaded it
 * meanwhile.
 *
 * @throws {FerryError} `exists` where the file is another one
 */
export async function assertSameFile(
  path: string,
  { size, checksum }: { size: number; checksum: Checksum },
  runtime: Runtime,
): Promise<void> {
  const same = existingFileAt(path)?.size === size &&
    await checksumOfFile(path, algorithmOf(checksum)!, runtime) === checksum;
  if (!same) throw another(path);
}

/**
 * Checks that no dangling symbolic link has the name. A download would fail there only when all its bytes have arrived;
 * with this, a dry run reports the failure too.
 *
 * @throws {FerryError} `exists`
 */
export function assertNameFree(path: string, overwrite: Overwrite): void {
  if (overwrite !== "never" || !isTaken(path)) return;
  throw new FerryError("exists", `a symbolic link is at ${quote(path)}`);
}

function another(path: string): FerryError {
  return new FerryError("exists", `another file is at ${quote(path)}`);
}
