/**
 * A command and all that it starts, as one process group: what is killed is killed as a whole.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { toFerryError } from "../lib/errors.ts";

/** How long the processes of a group have to end themselves after SIGTERM, before SIGKILL, in milliseconds. */
export const KILL_GRACE_MS = 1000;

/** The first and the longest pause between two looks at whether a group has ended, in milliseconds. */
const LOOK = { first: 2, longest: 50 };

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
}

/** The groups that may have processes. */
const groups = new Set<ProcessGroup>();

// Whoever leaves without waiting, as after a second Ctrl-C, leaves nothing behind all the same.
globalThis.addEventListener("unload", () => {
  for (const group of groups) group.signal("SIGKILL");
});

/**
 * A process that leads a group of its own, and whatever it starts that does not leave the group on purpose.
 * Its owner MUST call {@linkcode ProcessGroup.end}.
 */
export class ProcessGroup {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #exited = false;
  #ending: Promise<void> | undefined;
  /** How the leader ended. */
  readonly status: Promise<Deno.CommandStatus>;

  /**
   * Starts it.
   *
   * @throws {FerryError} `not_found`, `denied`, `io`, `busy`
   */
  constructor({ path, args, cwd, env, stdin, setsid }: SpawnOptions) {
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
    groups.add(this);
    this.#input = stdin ? this.#child.stdin.getWriter() : undefined;
    // A program that reads nothing more is no failure of ours.
    this.#input?.closed.catch(() => {});
    this.status = this.#child.status.finally(() => this.#exited = true);
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

  /** Sends a signal to all of them; false where there is nobody left. */
  signal(signal: Deno.Signal): boolean {
    // The group comes about a moment after the process.
    return sendSignal(-this.pid, signal) || !this.#exited && sendSignal(this.pid, signal);
  }

  /**
   * Ends all that is left of the group: SIGTERM, and after {@linkcode KILL_GRACE_MS} SIGKILL. Resolves when
   * nothing is left, or what is left has been killed.
   */
  end(): Promise<void> {
    return this.#ending ??= this.#end().finally(() => groups.delete(this));
  }

  async #end(): Promise<void> {
    try {
      if (!this.signal("SIGTERM")) return;
      const start = performance.now();
      let pause = LOOK.first;
      // A process that is stopped sees the signal only when it goes on. What goes on already does not care.
      while (this.signal("SIGCONT")) {
        if (performance.now() - start >= KILL_GRACE_MS) {
          this.signal("SIGKILL");
          break;
        }
        await delay(pause);
        pause = Math.min(pause * 2, LOOK.longest);
      }
      await this.status;
    } finally {
      this.#input?.abort().catch(() => {});
    }
  }
}

/** Sends a signal to a process, or to a group where the number is negative; false where there is none. */
function sendSignal(pid: number, signal: Deno.Signal): boolean {
  // Deno itself sends signals only where it may run every command; else it may run the program that does.
  if (Deno.permissions.querySync({ name: "run" }).state !== "granted") {
    const args = ["-s", signal.replace("SIG", ""), "--", String(pid)];
    return new Deno.Command("kill", { args, clearEnv: true }).outputSync().success;
  }
  try {
    Deno.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
