/**
 * What transfers that are cut have in common: where they take place, what they follow from, how long is
 * waited.
 *
 * @module
 */

import { assert } from "@std/assert";
import { extentOf } from "../support/extent.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { Ferryd, TempDir } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

/** How many transfers of files are cut; of others there are as many for so many. */
export const CUTS: number = extentOf("FERRY_CHAOS_CUTS") ?? 8;

/** What all else follows from. */
const SEED = Number(Deno.env.get("FERRY_CHAOS_SEED") ?? 2026);

/** How many transfers run side by side, each with a server of its own. */
const LANES = 4;

/**
 * When a client gives up on a network that has gone silent, in milliseconds. Where this machine is so busy
 * that one does so for no reason, it only tries once more.
 */
export const SILENCE = 2000;

/** How often is tried again without a byte that moved: never is this what a transfer fails for. */
export const RETRIES = 20;

/** How long is waited for what follows by itself, in milliseconds: a machine may be very busy. */
export const PATIENCE = 120_000;

/** Bytes that all files are pieces of: no two places in it are alike. */
const BYTES = (() => {
  const next = randomNumbers(SEED);
  const words = new Uint32Array(8 * MIB);
  for (let at = 0; at < words.length; at++) words[at] = next(2 ** 32);
  return new Uint8Array(words.buffer);
})();

/** Some bytes from somewhere. */
export function piece(size: number, random: (limit: number) => number): Uint8Array {
  const from = random(BYTES.length - size);
  return BYTES.subarray(from, from + size);
}

/** Random numbers for one transfer: the same whatever ran before it. */
export function randomFor(index: number): (limit: number) => number {
  return randomNumbers(SEED ^ Math.imul(index + 1, 0x9e3779b1));
}

/** What is cut, and how. */
export type Cut = "kill ferryd" | "kill ferry" | "reset" | "stall";

/** All of them, in turn. */
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

  /** Where the server keeps what it has not published. */
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

/** Runs something for each number up to a limit, on all lanes, and fails with all failures. */
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

/** What is below a directory of either program, but for the server's own: names of directories end in a slash. */
export function below(directory: string, prefix = ""): string[] {
  return [...Deno.readDirSync(`${directory}/${prefix}`)].flatMap(({ name, isDirectory }) => {
    if (prefix === "" && name === ".ferry") return [];
    return isDirectory
      ? [`${prefix}${name}/`, ...below(directory, `${prefix}${name}/`)]
      : [`${prefix}${name}`];
  });
}

/** Lets others run. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something is so, but not for ever. */
export async function eventually(what: () => boolean, patience = PATIENCE): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (!what()) {
    if (performance.now() > deadline) return false;
    await pause(5);
  }
  return true;
}
