/**
 * A watcher that reads files repeatedly while they are being transferred.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { pause } from "./lane.ts";
import { md5 } from "../support/bytes.ts";

/** A file to watch. */
export interface WatchedFile {
  /** Its path. */
  path: string;
  /** The md5 of its new content. */
  md5: string;
  /** The md5 of its old content; undefined where it did not exist. */
  oldMd5: string | undefined;
}

/**
 * For each file, the watcher must see the old content until it sees the new one. It may find no file only where there
 * was no old one. It must never see a part of a file, nor the old content again.
 */
export class Watcher {
  readonly #files: readonly WatchedFile[];
  readonly #alsoTrue: () => void;
  readonly #running: Promise<void>;
  /** What was last seen under each name, so that an unchanged file is not read again. */
  readonly #seen = new Map<string, string>();
  readonly #published = new Set<string>();
  #stopped = false;

  readonly #mayMiss: boolean;

  /**
   * Watches from now on; `alsoTrue` throws where something else is wrong.
   *
   * @param options.mayMiss whether a file that is replaced may lack its name for a moment. Default: false.
   */
  constructor(
    files: readonly WatchedFile[],
    alsoTrue: () => void = () => {},
    { mayMiss = false }: { mayMiss?: boolean } = {},
  ) {
    this.#files = files;
    this.#mayMiss = mayMiss;
    this.#alsoTrue = alsoTrue;
    this.#running = this.#run();
    // stop() reports the failure; it must not be unhandled meanwhile.
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
    // Reading takes at most half of the time.
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
    if (seen === undefined && this.#mayMiss) return;
    if (seen === expected) {
      this.#published.add(path);
      return;
    }
    assert(!this.#published.has(path), `a reader saw the new ${path}, and then another one`);
    const what = `${size} bytes of ${path} that are neither the old nor the new file`;
    assertEquals(seen, oldMd5, `a reader saw ${what}`);
  }

  /** Reads once more, and throws where it ever saw something wrong. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/** Runs something while a watcher reads, and throws where either fails, with what was going on. */
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
