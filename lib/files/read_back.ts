/**
 * Makes sure that a file contains what was written to it, before it is acknowledged.
 *
 * @module
 */

import type { Runtime } from "../runtime/runtime.ts";
import { type Algorithm, algorithmOf, type Checksum, hexOf } from "../core/checksum.ts";
import { FerryError, fileError, systemCodeOf } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import type { StagedFile } from "./staged_file.ts";
import { checksumOfSource } from "../digest/source_digest.ts";

/** Files up to this size, in bytes, are always read back: finding out whether that is necessary would take longer. */
const SMALL_BYTES = 8 * 1024 * 1024;

/** Options of {@linkcode makeSure}. */
export interface MakeSureOptions {
  /** The checksum of everything that was written. */
  checksum: Checksum;
  /** Whether the file has to survive a power failure. */
  durable: boolean;
  /** Whether the file is read back on any file system. Default: false. */
  always?: boolean;
}

/**
 * Makes sure that everything written to a file has reached its file system and, if `durable`, that it survives a power
 * failure. If the file system is not known to report every failed write, the file is flushed in any case, its length is
 * compared, and it is read back.
 *
 * @throws {FerryError} `io`, `no_space`, `quota`, … if the content is not stored
 */
export async function makeSure(
  staged: StagedFile,
  { checksum, durable, always = false }: MakeSureOptions,
): Promise<void> {
  staged.settle();
  const { fileSystems } = staged.runtime;
  const directory = dirname(staged.path);
  const reports = fileSystems.reportsWriteErrorsAtOnce(directory) ??
    (staged.size > SMALL_BYTES && await fileSystems.reportsWriteErrors(directory));
  if (durable || !reports) await staged.sync();
  if (!reports || always) await assertKept(staged, checksum);
}

async function assertKept(
  { path, size, runtime }: StagedFile,
  checksum: Checksum,
): Promise<void> {
  try {
    const there = Deno.lstatSync(path).size;
    if (there !== size) throw lost(`${there} of ${size} bytes are there`);
    const again = await checksumOf(runtime, path, algorithmOf(checksum)!);
    if (again !== checksum) throw lost(`${hexOf(again)} is there in place of ${hexOf(checksum)}`);
  } catch (error) {
    throw fileError(error);
  }
}

/**
 * The checksum of a file's content, read bypassing the page cache (O_DIRECT) if possible: content in the cache does not
 * prove that the server of a network file system has it.
 */
async function checksumOf(runtime: Runtime, path: string, algorithm: Algorithm): Promise<Checksum> {
  const { constants: { O_DIRECT, O_NONBLOCK, O_RDONLY }, openSync } = await import("node:fs");
  const { DescriptorFile } = await import("./descriptor_file.ts");
  const read = async (flags: number) => {
    const file = new DescriptorFile(openSync(path, O_RDONLY | O_NONBLOCK | flags));
    try {
      return await checksumOfSource(runtime, { read: (into) => file.read(into) }, {
        algorithm,
      });
    } finally {
      file.close();
    }
  };
  try {
    return await read(O_DIRECT ?? 0);
  } catch (error) {
    // Not every file system supports that, and some require reads of a certain size.
    if (systemCodeOf(error) !== "EINVAL") throw error;
    return await read(0);
  }
}

function lost(what: string): FerryError {
  return new FerryError("io", `the file system has lost what was written to it: ${what}`);
}
