/**
 * Where the records of a server are kept: in the storage of its files, or else in memory.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../lib/core/errors.ts";
import type { Runtime } from "../lib/runtime/runtime.ts";
import { Records } from "./files/records.ts";
import type { Storage } from "./storage/storage.ts";

const logger = getLogger(["ferry", "server"]);

/**
 * The records of a server of that storage. Where nothing can be written, they end with the server, which the log says.
 *
 * @param what the records are about, as the beginning of a sentence
 */
export function recordsOf(storage: Storage, runtime: Runtime, what: string): Records {
  return new Records(() => open(storage, what), runtime);
}

async function open(storage: Storage, what: string): Promise<Storage> {
  try {
    if (storage.internal) return await storage.internal();
  } catch (error) {
    const { code, reason } = toFerryError(error);
    if (code !== "denied" && code !== "no_space") throw error;
    logger.warn("{what} ends with this server: {reason}", { what, reason });
  }
  // Loaded on demand, since few servers need it.
  const { MemoryStorage } = await import("./storage/memory/memory_storage.ts");
  return new MemoryStorage();
}
