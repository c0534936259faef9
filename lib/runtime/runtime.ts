/**
 * The runtime: resources that servers, clients and storages use. These are memory for buffers, threads, knowledge of
 * file systems, and the clock. Nothing of it is global: each server, client or storage has a runtime of its own unless
 * it is given one.
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
   * The maximum total memory of all buffers larger than 4096 bytes, in bytes. If it is used up, buffers are smaller,
   * and transfers slower. Default: 8388608 (8 MiB).
   */
  bufferBytes?: number | undefined;
  /**
   * The maximum number of threads that compute md5 of large files. Default: one less than the number of processors, at
   * most 4.
   */
  digestThreads?: number | undefined;
  /** From which size in bytes on they do so. Default: 536870912 (512 MiB). */
  threadedBytes?: number | undefined;
  /** The clock. Default: that of the system. */
  clock?: Clock | undefined;
}

/** The resources that a server, a client or a storage uses. Several may share a runtime. */
export interface Runtime {
  /** The clock, for timeouts, expiry and waiting. */
  readonly clock: Clock;
  /**
   * Memory for buffers.
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
   * What was found out about file systems.
   *
   * @ignore
   */
  readonly fileSystems: KnownFileSystems;
}

/**
 * Creates a runtime, to share it between several servers, clients or storages, or to set other limits than the default.
 * It uses neither memory nor threads before they are needed, and need not be closed.
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
 * @throws {FerryError} `usage` for an option that is negative or not a number
 */
export function createRuntime(
  { bufferBytes = ALL_BUFFERS, digestThreads, threadedBytes, clock = SYSTEM_CLOCK }:
    RuntimeOptions = {},
): Runtime {
  assertNumbers({ bufferBytes, digestThreads, threadedBytes });
  return {
    clock,
    buffers: new BufferBudget(bufferBytes),
    digests: new Digests(new Md5Threads({ limit: digestThreads, least: threadedBytes })),
    fileSystems: new KnownFileSystems(clock),
  };
}
