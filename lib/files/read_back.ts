/**
 * What was written is read again before anybody is told that it is there.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../runtime/runtime.ts";
import { type Algorithm, algorithmOf, type Checksum, hexOf } from "../core/checksum.ts";
import { FerryError, fileError, systemCodeOf } from "../core/errors.ts";
import { isHonest, isKnownHonest } from "./write_errors.ts";
import { dirname } from "../core/paths.ts";
import type { StagedFile } from "./staged_file.ts";
import { checksumOfSource } from "../digest/source_digest.ts";

/** To read files up to this size again takes less time than to find out whether that is needed. */
const SMALL_BYTES = 8 * 1024 * 1024;

/** Options of {@linkcode makeSure}. */
export interface MakeSureOptions {
  /** That of all that was written. */
  checksum: Checksum;
  /** Whether it has to survive a loss of power. */
  durable: boolean;
  /** Whether it is read again whatever file system it is on. Default: false. */
  always?: boolean;
}

/**
 * Makes sure that all that was written to a file is on its file system, and where it is to be durable that it
 * survives a loss of power. Where the file system is not known to tell of each write that failed, the file is
 * flushed in any case, its length is compared, and it is read again.
 *
 * @throws {FerryError} `io`, `no_space`, `quota`, … where it is not there
 */
export async function makeSure(
  staged: StagedFile,
  { checksum, durable, always = false }: MakeSureOptions,
): Promise<void> {
  const directory = dirname(staged.path);
  const honest = isKnownHonest(directory) ??
    (staged.size > SMALL_BYTES && await isHonest(directory));
  if (durable || !honest) await staged.sync();
  if (!honest || always) await assertKept(staged, checksum);
}

async function assertKept({ path, size }: StagedFile, checksum: Checksum): Promise<void> {
  try {
    const there = Deno.lstatSync(path).size;
    if (there !== size) throw lost(`${there} of ${size} bytes are there`);
    const again = await checksumOf(path, algorithmOf(checksum)!);
    if (again !== checksum) throw lost(`${hexOf(again)} is there in place of ${hexOf(checksum)}`);
  } catch (error) {
    throw fileError(error);
  }
}

/**
 * The checksum of what a file holds, read past the system's memory of what was written where that can be had: what is
 * there does not show that the other side of a network has it.
 */
async function checksumOf(path: string, algorithm: Algorithm): Promise<Checksum> {
  const { constants: { O_DIRECT, O_NONBLOCK, O_RDONLY }, openSync } = await import("node:fs");
  const { DescriptorFile } = await import("./descriptor_file.ts");
  const read = async (flags: number) => {
    const file = new DescriptorFile(openSync(path, O_RDONLY | O_NONBLOCK | flags));
    try {
      return await checksumOfSource(SHARED_RUNTIME, { read: (into) => file.read(into) }, {
        algorithm,
      });
    } finally {
      file.close();
    }
  };
  try {
    return await read(O_DIRECT ?? 0);
  } catch (error) {
    // Not every file system knows of that, and some want pieces of their own size.
    if (systemCodeOf(error) !== "EINVAL") throw error;
    return await read(0);
  }
}

function lost(what: string): FerryError {
  return new FerryError("io", `the file system has lost what was written to it: ${what}`);
}
