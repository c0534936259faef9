/**
 * The record of a staged tree on the disk: whose it is, which name it will get, and how far its publication has come.
 *
 * @module
 */

import { bootTime, readExactly, replaceExactly } from "../../../lib/files/partial_file.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import type { Directory } from "./open_directory.ts";

/** The maximum size of a record in bytes. */
const MAX_RECORD_BYTES = 64 * 1024;

/** The file name of the record. */
const RECORD = "record.json";

/** What is recorded of a staged tree. */
export interface TreeRecord {
  /** The name of the directory. */
  readonly filename: string;
  /** The owner. */
  readonly owner: string;
  /** When the machine was booted on which it was begun, in milliseconds since 1970; null if unknown. */
  readonly boot: number | null;
  /** Whether the name is being given to it: what has the name is moved away first. */
  readonly publishing: boolean;
  /** Whether everything in it was flushed before that. */
  readonly durable: boolean;
}

/** The record of a new tree. */
export function newRecord(filename: string, owner: string): TreeRecord {
  return { filename, owner, boot: bootTime(), publishing: false, durable: false };
}

/**
 * Writes a record into the directory of a tree, atomically.
 *
 * @throws what the runtime throws
 */
export function writeTreeRecord(directory: Directory, record: TreeRecord): void {
  const bytes = new TextEncoder().encode(JSON.stringify({ version: 1, ...record }));
  replaceExactly(directory.at(RECORD), bytes);
}

/**
 * Flushes a record and its name, so that they survive a loss of power.
 *
 * @throws what the runtime throws; {FerryError} `io`, `no_space`, …
 */
export async function flushTreeRecord(directory: Directory): Promise<void> {
  using file = openExactly(directory.at(RECORD), { write: true });
  await file.syncData();
  await directory.sync();
}

/** Reads the record from the directory of a tree; undefined if there is no valid one. */
export function readTreeRecord(directory: Directory): TreeRecord | undefined {
  try {
    const text = readExactly(directory.at(RECORD), MAX_RECORD_BYTES);
    const { version, filename, owner, boot, publishing, durable } = JSON.parse(text);
    const whole = version === 1 && typeof filename === "string" && typeof owner === "string" &&
      (boot === null || typeof boot === "number") && typeof publishing === "boolean" &&
      typeof durable === "boolean";
    return whole ? { filename, owner, boot, publishing, durable } : undefined;
  } catch {
    return undefined;
  }
}

/** The path of the record in the directory of a tree. */
export function recordPath(directory: Directory): string {
  return directory.at(RECORD);
}
