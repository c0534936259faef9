/**
 * Whether a file system tells of each write that it could not make.
 *
 * Those in user space (FUSE) and of other machines may tell only where a descriptor is closed. The runtime makes an
 * awaited write by way of a second descriptor, which it closes behind it, and drops the error of that: the write,
 * the flush and the close of the file all succeed then, while bytes are missing.
 *
 * @module
 */

import { PLATFORM } from "../core/platform.ts";

/**
 * To ask for the type of a file system takes node:fs, and to load that takes as long as starting the program. So it is
 * loaded where somebody waits for the answer, or where so many have done without it.
 */
const WORTH_LOADING = 32;

/** How long an answer holds, in milliseconds: another file system may be mounted there by then. */
const HOLDS_MS = 1000;

/** How many answers are kept. */
const MAX_ANSWERS = 64;

interface Answer {
  /** Undefined where nothing can tell yet. */
  honest: boolean | undefined;
  until: number;
}

const answers = new Map<string, Answer>();
let loaded: typeof import("./file_system.ts") | undefined;
let unanswered = 0;

/**
 * Whether the file system of a directory tells each error at the latest when a file is flushed, whatever the runtime
 * does; undefined where that takes {@linkcode isHonest}.
 */
export function isKnownHonest(directory: string): boolean | undefined {
  const now = performance.now();
  const known = answers.get(directory);
  if (known && now < known.until && (known.honest !== undefined || !loaded)) return known.honest;
  if (answers.size >= MAX_ANSWERS) answers.clear();
  const honest = look(directory);
  answers.set(directory, { honest, until: now + HOLDS_MS });
  if (honest === undefined && ++unanswered === WORTH_LOADING) void load();
  return honest;
}

/** The same, with whatever it takes to tell. */
export async function isHonest(directory: string): Promise<boolean> {
  const known = isKnownHonest(directory);
  if (known !== undefined) return known;
  await load();
  return isKnownHonest(directory) ?? false;
}

function look(directory: string): boolean | undefined {
  if (!PLATFORM.leadsToDescriptors) return true;
  if (loaded) return loaded.fileSystemAt(directory).honestWrites;
  try {
    // What has a disk of its own fails where it is written to, also in user space.
    return isOfDisk(Deno.statSync(directory).dev) || undefined;
  } catch {
    return undefined;
  }
}

/** Whether Linux gave a number to a file system for its disk: those without one have the major number 0. */
function isOfDisk(device: number): boolean {
  return Math.floor(device / 0x100) % 0x1000 !== 0;
}

async function load(): Promise<void> {
  if (mayAsk()) loaded = await import("./file_system.ts");
}

/** Whether the program may ask about file systems; the runtime would ask the user otherwise. */
function mayAsk(): boolean {
  return Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state === "granted";
}

/** Whether nothing is left for this user where a path is; false also where nothing tells. */
export async function isFull(path: string): Promise<boolean> {
  if (!mayAsk()) return false;
  const { statfsSync } = await import("node:fs");
  try {
    return statfsSync(path).bavail === 0;
  } catch {
    return false;
  }
}
