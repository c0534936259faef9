/**
 * A process that swaps names, as fast as it can.
 *
 * @module
 */

import { assert } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { PROJECT } from "../support/programs.ts";

/** The process that swaps names. */
export class Swapper implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #ended = false;
  #count = 0;

  /** Swaps each two of the paths. */
  constructor(names: readonly string[]) {
    this.#child = new Deno.Command("python3", {
      args: [`${PROJECT}tests/swaps/swapper.py`, ...names],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    const lines = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of lines) this.#count = Number(line);
    this.#ended = true;
  }

  /** How many swaps it has made; fails where it has ended by itself. */
  get count(): number {
    assert(!this.#ended, "nothing is swapped any more");
    return this.#count;
  }

  /** Stops it when every entry has its own name again. */
  async stop(): Promise<void> {
    await this.#child.stdin.close();
    const { success } = await this.#child.status;
    await this.#reading;
    assert(success, "the swaps failed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await this.#reading;
  }
}
