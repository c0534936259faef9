/**
 * Runs programs under strace, which tells their system calls and kills them at one of them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { stagedIn } from "../support/programs.ts";

export interface Call {
  name: string;
  n: number;
}

/** What lets strace(1) write calls to a file. */
export function watching(calls: readonly string[], log: string): string[] {
  // Not every architecture has all of them.
  return ["-f", "-e", `trace=${calls.map((call) => `?${call}`).join()}`, "-o", log];
}

/** What lets strace(1) kill a process at a call, before it is made. */
export function killing({ name, n }: Call): string[] {
  const inject = `inject=${name}:signal=SIGKILL:error=EINTR:when=${n}`;
  return ["-f", "-e", `trace=${name}`, "-e", inject, "-o", "/dev/null"];
}

/** The calls in what {@linkcode watching} wrote. strace counts those of each thread by themselves. */
export function callsIn(log: string): Call[] {
  const threads = new Map<string, number>();
  const calls = new Map<string, Call>();
  for (const [, thread, name] of Deno.readTextFileSync(log).matchAll(/^(\d+) +(\w+)\(/gm)) {
    const n = (threads.get(`${thread} ${name}`) ?? 0) + 1;
    threads.set(`${thread} ${name}`, n);
    calls.set(`${name} ${n}`, { name: name!, n });
  }
  return [...calls.values()];
}

/** A process that is being traced. */
export class Tracer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #attached = Promise.withResolvers<void>();

  private constructor(pid: number, args: readonly string[]) {
    this.#child = new Deno.Command("strace", {
      args: [...args, "-p", String(pid)],
      stdin: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  /** Resolves when it is being traced. */
  static async attach(pid: number, args: readonly string[]): Promise<Tracer> {
    const tracer = new Tracer(pid, args);
    await tracer.#attached.promise;
    return tracer;
  }

  async #read(): Promise<void> {
    let said = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (/attached/.test(said)) this.#attached.resolve();
    }
    this.#attached.reject(new Error(`strace: ${said}`));
  }

  /** Lets a process go that is alive, when all of its calls are written down. */
  async detach(): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#child.status;
    await this.#reading;
  }

  /** Lets the process go. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // It goes on by itself then. On other signals strace may wait for threads that were killed.
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#reading;
  }
}

/** Files by their names. */
export type Tree = Record<string, Uint8Array>;

/** What is below a directory, but for ferry's own. */
export function treeOf(directory: string, prefix = ""): Tree {
  return Object.assign(
    {},
    ...[...Deno.readDirSync(`${directory}/${prefix}`)].map(({ name, isDirectory }) => {
      const path = `${prefix}${name}`;
      if (path === ".ferry") return {};
      return isDirectory
        ? treeOf(directory, `${path}/`)
        : { [path]: Deno.readFileSync(`${directory}/${path}`) };
    }),
  );
}

export function inodeOf(path: string): string {
  const { dev, ino } = Deno.lstatSync(path);
  return `${dev}:${ino}`;
}

/** Asserts that what is left of uploads is either a part with its record or nothing, and no file that others see. */
export function assertStaging(root: string, { empty }: { empty: boolean }): void {
  const staged = stagedIn(root).map((name) => `${root}/.ferry/staging/${name}`);
  const seen = new Set(Object.keys(treeOf(root)).map((name) => inodeOf(`${root}/${name}`)));
  for (const path of staged) {
    assert(!seen.has(inodeOf(path)), `${path} is a file that others see`);
    const [other, there] = /\.part$/.test(path)
      ? [path.replace(/\.part$/, ".json"), "no record"]
      : [path.replace(/\.json$/, ".part"), "no part"];
    assert(other !== path && staged.includes(other), `${path} was left behind: ${there}`);
  }
  if (empty) assertEquals(staged, []);
}
