/**
 * Reads the bytes of a stored file again and compares them with the checksum that was recorded when they were stored:
 * the only way to find out that a disk has lost or changed some.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { turn } from "../../lib/core/time_slices.ts";
import type { Verdict } from "../../lib/core/verdict.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";

const logger = getLogger(["ferry", "server"]);

/** The result of {@linkcode reread}. */
export interface Reread {
  /** What it has shown. */
  readonly verdict: Verdict;
  /** The checksum of the bytes as they are now. */
  readonly checksum: Checksum;
  /** The checksum that was recorded; null if there was none. It may be of another algorithm. */
  readonly recorded: Checksum | null;
}

/** Options of {@linkcode reread}. */
export interface RereadOptions {
  /** The algorithm of the resulting checksum. Default: that of the recorded one, or MD5. */
  algorithm?: Algorithm | undefined;
  /** Called after each read with the number of bytes; the next read begins when it resolves. Default: nothing. */
  pause?: ((bytes: number) => Promise<void>) | undefined;
}

/** How many bytes are read at a time. It is memory of its own, since a slow reader would hold that of transfers. */
const READ_BYTES = 256 * 1024;

/** After this many bytes other work gets a turn. */
const YIELD_BYTES = 8 * 1024 * 1024;

/**
 * Reads a file from its first byte to its last one. What the system has in memory may be read from there. The log tells
 * of a file that is damaged.
 *
 * @throws {FerryError} `io` if it cannot be read or is changed meanwhile
 */
export async function reread(
  { digests }: Pick<Runtime, "digests">,
  file: StoredFile,
  { algorithm, pause = () => Promise.resolve() }: RereadOptions = {},
): Promise<Reread> {
  const recorded = await file.expected();
  const comparing = recorded === null ? undefined : algorithmOf(recorded);
  const wanted = algorithm ?? comparing ?? "md5";
  const algorithms = [...new Set([wanted, comparing ?? wanted])];
  const running = await Promise.all(algorithms.map((each) => digests.create(each)));
  file.seek(0);
  const buffer = new Uint8Array(Math.min(READ_BYTES, Math.max(file.entry.size, 1)));
  let yielded = 0;
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) break;
    for (const digest of running) digest.update(buffer.subarray(0, count));
    await pause(count);
    yielded += count;
    if (yielded < YIELD_BYTES) continue;
    yielded = 0;
    await turn();
  }
  const [checksum, ...others] = running.map((digest) => digest.checksum());
  await file.assertUnchanged?.(checksum);
  const read = [checksum!, ...others];
  const verdict = recorded === null ? "unrecorded" : read.includes(recorded) ? "intact" : "damaged";
  if (verdict === "damaged") {
    logger.error(
      "{name} is damaged: its bytes are not those that were stored, and no program has changed " +
        "it ({code}). They have {checksum} and had {recorded}. Restore it from a backup; if it " +
        "was changed on purpose, touch it",
      { name: file.entry.filename, code: "checksum_mismatch", checksum, recorded },
    );
  } else {
    for (const each of read) {
      if (await file.find(algorithmOf(each)!) === null) await file.remember(each);
    }
  }
  return { verdict, checksum: checksum!, recorded };
}
