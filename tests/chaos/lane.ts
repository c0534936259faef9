/**
 * What all interrupted transfers share: their directories and servers, their random numbers, and their timeouts.
 *
 * @module
 */

import { assert } from "@std/assert";
import { extentOf } from "../support/extent.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { Ferryd, TempDir } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

/** How many transfers of files are cut; other kinds of transfers are in proportion. */
export const CUTS: number = extentOf("FERRY_CHAOS_CUTS") ?? 4;

/** The seed of everything random. */
const SEED = Number(Deno.env.get("FERRY_CHAOS_SEED") ?? 2026);

/** How many transfers run in parallel, each with a server of its own. */
const LANES = 4;

/**
 * The timeout of a client on a silent network, in milliseconds. Where a busy machine causes one without a reason, the
 * client only retries.
 */
export const SILENCE = 2000;

/** How many retries there are without a transferred byte: so many that no transfer fails for lack of retries. */
export const RETRIES = 20;

/** How long to wait for something that must happen by itself, in milliseconds: the machine may be very busy. */
export const PATIENCE = 120_000;

/** The bytes that all files are pieces of: no two positions have the same content. */
const BYTES = (() => {
  const next = randomNumbers(SEED);
  const words = new Uint32Array(8 * MIB);
  for (let at = 0; at < words.length; at++) words[at] = next(2 ** 32);
  return new Uint8Array(words.buffer);
})();

/** A random piece of these bytes. */
export function piece(size: number, random: (limit: number) => number): Uint8Array {
  const from = random(BYTES.length - size);
  return BYTES.subarray(from, from + size);
}

/** The random numbers of one transfer: the same whatever ran before it. */
export function randomFor(index: number): (limit: number) => number {
  return randomNumbers(SEED ^ Math.imul(index + 1, 0x9e3779b1));
}

/** What is interrupted, and how. */
export type Cut = "kill ferryd" | "kill ferry" | "reset" | "stall";

/** All kinds of cuts, used in turn. */
export const CUT_KINDS: readonly Cut[] = ["kill ferryd", "kill ferry", "reset", "stall"];

/** A server with its directory, and a directory for the client. */
export class Lane implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root: string = this.dir.join("root");
  readonly local: string = this.dir.join("local");
  server!: Ferryd;

  static async start(): Promise<Lane> {
    const lane = new Lane();
    Deno.mkdirSync(lane.root);
    Deno.mkdirSync(lane.local);
    await lane.restart();
    return lane;
  }

  /** The staging area of the server. */
  get staging(): string {
    return `${this.root}/.ferry/staging`;
  }

  async restart(): Promise<void> {
    this.server = await Ferryd.start(this.root, ["--durability", "none"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Runs something for each number up to a limit, on all lanes, and throws all failures together. */
export async function onLanes(
  count: number,
  run: (lane: Lane, index: number) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(LANES, count) }, async () => {
    await using lane = await Lane.start();
    for (let index = next++; index < count; index = next++) {
      try {
        await run(lane, index);
      } catch (error) {
        failures.push(`${index}: ${error instanceof Error ? error.message : error}`);
        await lane.server.stop("SIGKILL");
        await lane.restart();
      }
    }
  }));
  const again = `repeat it with FERRY_CHAOS_SEED=${SEED} FERRY_CHAOS_CUTS=${CUTS}`;
  assert(
    failures.length === 0,
    `${failures.length} of ${count} failed; ${again}\n${failures.join("\n")}`,
  );
}

/** The names in a directory. */
export function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}

/** The entries below a directory, except the server's own: names of directories end in a slash. */
export function below(directory: string, prefix = ""): string[] {
  return [...Deno.readDirSync(`${directory}/${prefix}`)].flatMap(({ name, isDirectory }) => {
    if (prefix === "" && name === ".ferry") return [];
    return isDirectory
      ? [`${prefix}${name}/`, ...below(directory, `${prefix}${name}/`)]
      : [`${prefix}${name}`];
  });
}

/** Waits for a time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until a condition holds, but not forever. */
export async function eventually(what: () => boolean, patience = PATIENCE): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (!what()) {
    if (performance.now() > deadline) return false;
    await pause(5);
  }
  return true;
}
