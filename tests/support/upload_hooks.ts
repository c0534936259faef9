/**
 * A server that runs scripts before and after uploads, and what these scripts have been told.
 *
 * @module
 */

import { ferry, Ferryd, type Outcome, TempDir } from "./programs.ts";

/** What a script was told: the JSON that it got. */
// deno-lint-ignore no-explicit-any
export type Told = Record<string, any>;

/** A root, a working directory for clients, and scripts with a directory for what they write. */
export class HookedServer implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = this.#dir.join("root");
  readonly cwd = this.#dir.join("cwd");
  /** The directory that scripts write to, by `$OUT`. */
  readonly out = this.#dir.join("out");
  #server: Ferryd | undefined;
  #scripts = 0;

  constructor() {
    for (const path of [this.root, this.cwd, this.out]) Deno.mkdirSync(path);
  }

  /**
   * Writes a script for `sh` and returns its path. Each has a path of its own: what a server had begun when it was killed
   * must not run the script of the next one.
   */
  script(text: string): string {
    const path = this.#dir.write(
      `script-${++this.#scripts}`,
      `#!/bin/sh\nOUT=${this.out}\n${text}\n`,
    );
    Deno.chmodSync(path, 0o755);
    return path;
  }

  /** A script that keeps what it is told for {@linkcode HookedServer.told}. */
  keeping(before = ""): string {
    return this.script(`${before}\ncat >>"$OUT/told"`);
  }

  /** Starts the server. */
  async start(args: string[]): Promise<Ferryd> {
    return this.#server = await Ferryd.start(this.root, args);
  }

  /** Writes a file for clients. */
  write(name: string, content: string | Uint8Array): void {
    this.#dir.write(`cwd/${name}`, content);
  }

  /** Runs `ferry`. */
  run(...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.cwd, server: this.#server!.address });
  }

  /** The content of a file that scripts have written; "" if there is none. */
  read(name: string): string {
    try {
      return Deno.readTextFileSync(`${this.out}/${name}`);
    } catch {
      return "";
    }
  }

  /** What was kept by a script of {@linkcode HookedServer.keeping}. */
  get told(): Told[] {
    return this.read("told").split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  /** Waits until scripts have been told so often, and returns what. */
  async untilTold(count: number): Promise<Told[]> {
    await this.until(() => this.told.length >= count);
    return this.told;
  }

  /** Waits until what scripts write makes a condition true. */
  async until(condition: () => boolean): Promise<void> {
    using watcher = Deno.watchFs(this.out);
    if (condition()) return;
    for await (const _ of watcher) if (condition()) return;
  }

  /** What is in the queue of the server. */
  queue(name = ""): string {
    const directory = `${this.root}/.ferry/hooks`;
    return [...Deno.readDirSync(directory)].filter((entry) => entry.name.startsWith(name))
      .map((entry) => Deno.readTextFileSync(`${directory}/${entry.name}`)).join("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}
