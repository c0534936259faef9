/**
 * A command and all that it starts, as one process group: what is killed is killed as a whole.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../../lib/core/errors.ts";

const logger = getLogger(["ferry", "server"]);

/** How long the processes of a group have to end themselves after SIGTERM, before SIGKILL, in milliseconds. */
export const KILL_GRACE_MS = 1000;

/** The first and the longest pause between two looks at whether a group has ended, in milliseconds. */
const LOOK = { first: 2, longest: 50 };

/** The longest pause between two tries to signal processes that live and cannot be signalled, in milliseconds. */
const LONGEST_RETRY_MS = 1000;

/** How often, and after which pause in milliseconds, that is tried while this program ends. */
const LAST_TRIES = { count: 10, pause: 50 };

/** What is run. */
export interface SpawnOptions {
  /** The program's path. */
  path: string;
  /** Its arguments. */
  args: readonly string[];
  /** The working directory. */
  cwd: string;
  /** All of its environment. */
  env: Readonly<Record<string, string>>;
  /** Whether something will be written to its standard input; it is at its end otherwise. */
  stdin: boolean;
  /** The program `setsid`, where there is one. */
  setsid: string | undefined;
  /** The program `kill`, by which signals are sent; where it is undefined, Deno sends them. */
  kill: string | undefined;
}

/** What became of a signal: nobody is left to get it, or it could not be sent for now. */
type Delivery = "sent" | "gone" | "failed";

/** The groups that may have processes. */
const groups = new Set<ProcessGroup>();

// Whoever leaves without waiting, as after a second Ctrl-C, leaves nothing behind all the same.
globalThis.addEventListener("unload", () => {
  let left = [...groups];
  for (let tries = 0; left.length > 0 && tries < LAST_TRIES.count; tries++) {
    if (tries > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_TRIES.pause);
    left = left.filter((group) => group.signal("SIGKILL") === "failed");
  }
});

/**
 * A process that leads a group of its own, and whatever it starts that does not leave the group on purpose.
 * Its owner MUST call {@linkcode ProcessGroup.end}.
 */
export class ProcessGroup {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #kill: string | undefined;
  #exited = false;
  #ending: Promise<void> | undefined;
  /** How the leader ended; never fails. */
  readonly status: Promise<ProcessEnd>;

  /**
   * Starts it.
   *
   * @throws {FerryError} `not_found`, `denied`, `io`, `busy`
   */
  constructor({ path, args, cwd, env, stdin, setsid, kill }: SpawnOptions) {
    try {
      // What setsid would only say on standard error.
      Deno.statSync(path);
      // Deno's own way of making a session is to fork, which copies the tables of all its memory: 2 ms in
      // which it serves nobody. setsid becomes the program, so that the process stays the same.
      const [command, all] = setsid === undefined ? [path, args] : [setsid, [path, ...args]];
      this.#child = new Deno.Command(command, {
        args: [...all],
        cwd,
        env: { ...env },
        clearEnv: true,
        detached: setsid === undefined,
        stdin: stdin ? "piped" : "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      throw toFerryError(error);
    }
    this.#kill = kill;
    groups.add(this);
    this.#input = stdin ? this.#child.stdin.getWriter() : undefined;
    // A program that reads nothing more is no failure of ours.
    this.#input?.closed.catch(() => {});
    this.status = this.#child.status.catch(endOfUnknown).then(({ code, signal }) => {
      this.#exited = true;
      return { code, signal };
    });
  }

  /** The leader's number, which is the group's. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What all of them write. */
  get output(): Readonly<Record<"stdout" | "stderr", ReadableStream<Uint8Array>>> {
    return this.#child;
  }

  /** Writes to standard input; waits while the program does not read, and does nothing once it never will. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#input?.write(bytes).catch(() => {});
  }

  /** Ends standard input. */
  async closeInput(): Promise<void> {
    await this.#input?.close().catch(() => {});
  }

  /** Sends a signal to all of them. */
  signal(signal: Deno.Signal): Delivery {
    const delivery = this.#send(-this.pid, signal);
    if (delivery !== "gone" || this.#exited) return delivery;
    // The group comes about a moment after the process. One that has not exited, as far as is known, is not gone.
    return this.#send(this.pid, signal) === "sent" ? "sent" : "failed";
  }

  /** Sends a signal to a process, or to a group where the number is negative. */
  #send(pid: number, signal: Deno.Signal): Delivery {
    try {
      if (this.#kill === undefined) {
        Deno.kill(pid, signal);
        return "sent";
      }
      const { code } = new Deno.Command(this.#kill, {
        args: ["-s", signal.replace("SIG", ""), "--", String(pid)],
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).outputSync();
      // With another status it has not got as far as to try.
      return code === 0 ? "sent" : code === 1 ? "gone" : "failed";
    } catch (error) {
      return error instanceof Deno.errors.NotFound && this.#kill === undefined ? "gone" : "failed";
    }
  }

  /**
   * Ends all that is left of the group: SIGTERM, and after {@linkcode KILL_GRACE_MS} SIGKILL. Resolves when
   * nothing is left, or what is left has been killed; it goes on trying for as long as that takes, and never fails.
   */
  end(): Promise<void> {
    return this.#ending ??= this.#end().finally(() => groups.delete(this));
  }

  async #end(): Promise<void> {
    const start = performance.now();
    let pause = LOOK.first;
    let told = false;
    let failing = false;
    for (;;) {
      const late = performance.now() - start >= KILL_GRACE_MS;
      // A process that is stopped sees the signal only when it goes on. What goes on already does not care.
      const delivery = this.signal(late ? "SIGKILL" : told ? "SIGCONT" : "SIGTERM");
      if (delivery === "gone" || delivery === "sent" && late) break;
      if (delivery === "sent" && !told) {
        told = true;
        continue;
      }
      if (delivery === "failed" && late && !failing) {
        failing = true;
        logger.error("Cannot end the processes of group {pid} yet; trying on", { pid: this.pid });
      }
      await delay(pause);
      pause = Math.min(pause * 2, delivery === "failed" ? LONGEST_RETRY_MS : LOOK.longest);
    }
    await this.status;
    this.#input?.abort().catch(() => {});
  }
}

/** How a process ended. */
export interface ProcessEnd {
  /** Its exit status; 128 and the number of the signal that ended it. */
  code: number;
  /** That signal. */
  signal: string | null;
}

/** The first of the real-time signals, as programs on Linux count them. */
const SIGRTMIN = 34;

/**
 * How a process ended of which Deno does not say it: its `status` fails for the signals that it has no name for,
 * which are the real-time ones. Where not even the number is known, the exit status is 128.
 */
function endOfUnknown(error: unknown): ProcessEnd {
  const number = Number(/^Invalid signal: (\d+)$/.exec((error as Error).message)?.[1] ?? 0);
  if (number === 0) logger.error("Cannot tell how a command ended: {error}", { error });
  if (number < SIGRTMIN) return { code: 128 + number, signal: null };
  const offset = number - SIGRTMIN;
  return { code: 128 + number, signal: offset === 0 ? "SIGRTMIN" : `SIGRTMIN+${offset}` };
}
