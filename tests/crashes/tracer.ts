/**
 * Runs programs under strace, which logs their system calls and kills them at one of them.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { stagedIn } from "../support/programs.ts";

/** A system call of a thread: its name, and its number among the calls of that name, from 1. */
export interface Call {
  name: string;
  n: number;
}

/** The arguments of strace(1) that log calls to a file. */
export function watching(calls: readonly string[], log: string): string[] {
  // Not every architecture has all of these calls, so missing ones are ignored.
  return ["-f", "-e", `trace=${calls.map((call) => `?${call}`).join()}`, "-o", log];
}

/** The arguments of strace(1) that kill a process right before a call. */
export function killing({ name, n }: Call): string[] {
  const inject = `inject=${name}:signal=SIGKILL:error=EINTR:when=${n}`;
  return ["-f", "-e", `trace=${name}`, "-e", inject, "-o", "/dev/null"];
}

/** The calls in a log of {@linkcode watching}. strace counts the calls of each thread separately. */
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

/** A strace process that traces another process. */
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

  /** Resolves when the process is being traced. */
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

  /** Detaches from a living process, when all of its calls are in the log. */
  async detach(): Promise<void> {
    this.#child.kill("SIGINT");
    await this.#child.status;
    await this.#reading;
  }

  /** Detaches from the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // The traced process goes on by itself then. On other signals strace may wait for threads that were killed.
      this.#child.kill("SIGKILL");
    } catch {
      // The process has ended.
    }
    await this.#child.status;
    await this.#reading;
  }
}

/** Files by their names. */
export type Tree = Record<string, Uint8Array>;

/** The files below a directory, without ferry's own. */
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

/**
 * Asserts that the staging area has only staged trees and partial uploads with records, or nothing with `empty`, and no
 * visible file.
 */
export function assertStaging(root: string, { empty }: { empty: boolean }): void {
  const staged = stagedIn(root).map((name) => `${root}/.ferry/staging/${name}`);
  const seen = new Set(Object.keys(treeOf(root)).map((name) => inodeOf(`${root}/${name}`)));
  for (const path of staged) {
    if (/\.tree\//.test(path)) continue;
    assert(!seen.has(inodeOf(path)), `${path} is a file that others see`);
    const [other, there] = /\.part$/.test(path)
      ? [path.replace(/\.part$/, ".json"), "no record"]
      : [path.replace(/\.json$/, ".part"), "no part"];
    assert(other !== path && staged.includes(other), `${path} was left behind: ${there}`);
  }
  if (empty) assertEquals(staged, []);
}

async function whyNoTrace(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "only Linux has strace";
  try {
    const args = [...killing({ name: "openat", n: 1000 }), "true"];
    const { success, stderr } = await new Deno.Command("strace", { args }).output();
    return success ? undefined : new TextDecoder().decode(stderr).trim();
  } catch {
    return "there is no strace";
  }
}

/** Why nothing can be traced here; undefined where it can. */
export const noTrace: string | undefined = await whyNoTrace();
