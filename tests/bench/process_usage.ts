/**
 * How much memory and processor time a process uses, as the system reports it.
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
  const status = await contentOf(`/proc/${pid}/status`);
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Ticks of the processor time in `/proc`, per second: the same on every Linux (`proc(5)`, `USER_HZ`). */
const TICKS = 100;

/** The processor time that a process has used so far, in seconds; 0 where the system does not report it. */
export async function processorSeconds(pid: number): Promise<number> {
  return secondsIn(await contentOf(`/proc/${pid}/stat`));
}

/** The same for each thread of a process that runs now, by its number. */
export async function threadSeconds(pid: number): Promise<Map<string, number>> {
  const { stdout } = await outcome(spawn("sh", ["-c", `cat /proc/${pid}/task/*/stat`]));
  const lines = stdout.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.split(" ", 1)[0]!, secondsIn(line)]));
}

function secondsIn(stat: string): number {
  // The name of the program, in parentheses, may contain spaces. Fields 14 and 15 are user and system time.
  const fields = stat.replace(/^.*\)/, "").trim().split(" ");
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS;
}

/** The text of a file; "" if it does not exist. Deno itself may read `/proc` only with all permissions. */
async function contentOf(path: string): Promise<string> {
  try {
    return (await outcome(spawn("cat", [path]))).stdout;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
