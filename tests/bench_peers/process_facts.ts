/**
 * What a process takes, as the system tells it.
 *
 * @module
 */

import { outcome } from "../programs.ts";
import { spawn } from "./peers.ts";

/** The resident memory of a process; undefined where the system does not tell. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await told(pid, "status"))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** How long a process has been running on processors, in the system's ticks; 0 where the system does not tell. */
export async function ticks(pid: number): Promise<number> {
  const [user = 0, system = 0] = (await told(pid, "stat")).split(" ").slice(13, 15).map(Number);
  return user + system;
}

async function told(pid: number, what: string): Promise<string> {
  try {
    return (await outcome(spawn("cat", [`/proc/${pid}/${what}`]))).stdout;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
