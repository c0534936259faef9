/**
 * What servers, clients and storages use of the machine they run on: memory for bytes on their way, threads, what is
 * known of file systems, and the time. Nothing of it is shared by the whole process: each of them has a runtime of
 * its own unless it is given one.
 *
 * @module
 */

import { ALL_BUFFERS, BufferBudget } from "../core/buffer_budget.ts";
import { type Clock, SYSTEM_CLOCK } from "../core/clock.ts";
import { assertNumbers } from "../core/number_options.ts";
import { Digests } from "../digest/digests.ts";
import { KnownFileSystems } from "../file_system/known_file_systems.ts";
import { Md5Threads } from "../digest/md5_thread.ts";

/** Options of {@linkcode createRuntime}. */
export interface RuntimeOptions {
  /**
   * How much memory all buffers of more than 4096 bytes may take together, in bytes. Where it is short, buffers are
   * smaller, and transfers slower. Default: 8388608.
   */
  bufferBytes?: number | undefined;
  /**
   * How many threads may compute checksums at a time, of files of 512 MiB and more. Default: one for each processor
   * but the first, at most 4.
   */
  digestThreads?: number | undefined;
  /** The time. Default: that of the system. */
  clock?: Clock | undefined;
}

/** What a server, a client or a storage uses of the machine. Several may share one. */
export interface Runtime {
  /** Tells the time, for timeouts, expiry and waiting. */
  readonly clock: Clock;
  /**
   * Memory for bytes on their way.
   *
   * @ignore
   */
  readonly buffers: BufferBudget;
  /**
   * Computes checksums.
   *
   * @ignore
   */
  readonly digests: Digests;
  /**
   * What is known of file systems.
   *
   * @ignore
   */
  readonly fileSystems: KnownFileSystems;
}

/**
 * Makes a runtime, which is to be shared by several servers, clients or storages, or has other limits than usual. It
 * takes neither memory nor threads before they are needed, and need not be closed.
 *
 * @example Two servers that share their memory
 * ```ts
 * import { createRuntime, MemoryStorage, serve } from "@ferry/ferry";
 *
 * const runtime = createRuntime({ bufferBytes: 16 * 1024 * 1024 });
 * await using storage = new MemoryStorage();
 * await using one = await serve({ storage, listen: "127.0.0.1:0", runtime });
 * await using two = await serve({ storage, listen: "127.0.0.1:0", runtime });
 * ```
 *
 * @throws {FerryError} `usage` for a number that is negative or none
 */
export function createRuntime(
  { bufferBytes = ALL_BUFFERS, digestThreads, clock = SYSTEM_CLOCK }: RuntimeOptions = {},
): Runtime {
  assertNumbers({ bufferBytes, digestThreads });
  return {
    clock,
    buffers: new BufferBudget(bufferBytes),
    digests: new Digests(new Md5Threads(digestThreads)),
    fileSystems: new KnownFileSystems(clock),
  };
}
