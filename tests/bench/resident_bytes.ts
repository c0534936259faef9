/**
 * How much memory a process uses, as the system reports it.
 *
 * @module
 */

import { outcome } from "../support/programs.ts";
import { spawn } from "./peers.ts";

/** The resident memory of a process in bytes; undefined where the system does not report it. */
export function residentBytes(pid: number): Promise<number | undefined> {
  return fieldOf(pid, "VmRSS");
}

/** The peak resident memory of a process in bytes; undefined where the system does not report it. */
export function peakResidentBytes(pid: number): Promise<number | undefined> {
  return fieldOf(pid, "VmHWM");
}

async function fieldOf(pid: number, field: string): Promise<number | undefined> {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(await statusOf(pid))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Deno itself may read /proc only with all permissions. */
async function statusOf(pid: number): Promise<string> {
  try {
    return (await outcome(spawn("cat", [`/proc/${pid}/status`]))).stdout;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
