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

/** The records of a server of that storage. Where nothing can be written, they end with the server. */
export function recordsOf(storage: Storage, runtime: Runtime): Records {
  return new Records(() => open(storage), runtime);
}

async function open(storage: Storage): Promise<Storage> {
  try {
    if (storage.internal) return await storage.internal();
  } catch (error) {
    const { code, reason } = toFerryError(error);
    if (code !== "denied" && code !== "no_space") throw error;
    logger.warn("Logins over HTTP and share links end with this server: {reason}", { reason });
  }
  // Loaded on demand, since few servers need it.
  const { MemoryStorage } = await import("./storage/memory/memory_storage.ts");
  return new MemoryStorage();
}
