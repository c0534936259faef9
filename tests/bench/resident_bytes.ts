/**
 * How much memory a process takes, as the system tells it.
 *
 * @module
 */

import { outcome } from "../support/programs.ts";
import { spawn } from "./peers.ts";

/** The resident memory of a process; undefined where the system does not tell. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await statusOf(pid))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

async function statusOf(pid: number): Promise<string> {
  try {
    return (await outcome(spawn("cat", [`/proc/${pid}/status`]))).stdout;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
