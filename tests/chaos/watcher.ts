/**
 * A reader that looks at names again and again while files are on their way to them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { pause } from "./lane.ts";
import { md5 } from "../support/bytes.ts";

/** A file that a reader looks at. */
export interface WatchedFile {
  /** Where it appears. */
  path: string;
  /** The md5 of what it is to become. */
  md5: string;
  /** The md5 of what is there before; undefined where nothing is. */
  oldMd5: string | undefined;
}

/**
 * Of each file it sees the old one until it sees the new one, and nothing only where there was no old one:
 * never a part, and never the old one again.
 */
export class Watcher {
  readonly #files: readonly WatchedFile[];
  readonly #alsoTrue: () => void;
  readonly #running: Promise<void>;
  /** What was last seen under a name, so that it is not read again as long as it is that. */
  readonly #seen = new Map<string, string>();
  readonly #published = new Set<string>();
  #stopped = false;

  /** Looks from now on; `alsoTrue` fails where something else is wrong. */
  constructor(files: readonly WatchedFile[], alsoTrue: () => void = () => {}) {
    this.#files = files;
    this.#alsoTrue = alsoTrue;
    this.#running = this.#run();
    // Whoever stops it hears of it; nothing is unhandled meanwhile.
    this.#running.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#lookAtAll();
      await pause(5);
    }
    await this.#lookAtAll();
  }

  async #lookAtAll(): Promise<void> {
    const started = performance.now();
    for (const file of this.#files) await this.#look(file);
    this.#alsoTrue();
    // Looking takes at most half of the time.
    await pause(performance.now() - started);
  }

  async #look({ path, md5: expected, oldMd5 }: WatchedFile): Promise<void> {
    let seen: string | undefined;
    let size = 0;
    try {
      const info = await Deno.stat(path);
      const state = `${info.ino} ${info.size} ${info.mtime?.getTime()}`;
      if (this.#seen.get(path) === state) return;
      const bytes = await Deno.readFile(path);
      this.#seen.set(path, state);
      size = bytes.length;
      seen = md5(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (seen === expected) {
      this.#published.add(path);
      return;
    }
    assert(!this.#published.has(path), `a reader saw the new ${path}, and then another one`);
    const what = `${size} bytes of ${path} that are neither the old nor the new file`;
    assertEquals(seen, oldMd5, `a reader saw ${what}`);
  }

  /** Looks once more, and fails where it ever saw what it must not see. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/** Runs something while a reader looks, and fails where either does, saying what was going on. */
export async function watched(
  watcher: Watcher,
  what: string,
  run: () => Promise<void>,
): Promise<void> {
  try {
    const [ran] = await Promise.allSettled([run()]);
    await watcher.stop();
    if (ran.status === "rejected") throw ran.reason;
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : error}`);
  }
}
