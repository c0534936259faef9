/**
 * A command and all processes that it starts, as one process group that is ended as a whole.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../../lib/core/errors.ts";

const logger = getLogger(["ferry", "server"]);

/** How long the processes of a group may take to end after SIGTERM before SIGKILL is sent, in milliseconds. */
const KILL_GRACE_MS = 1000;

/** The first and the longest pause between checks whether a group has ended, in milliseconds. */
const LOOK = { first: 2, longest: 50 };

/** The longest pause between two attempts to signal running processes that could not be signalled, in milliseconds. */
const LONGEST_RETRY_MS = 1000;

/** The number of such attempts while this program exits, and the pause between them in milliseconds. */
const FINAL_ATTEMPTS = { count: 10, pause: 50 };

/** Options of {@linkcode ProcessGroup.start}. */
export interface SpawnOptions {
  /** The program's path. */
  path: string;
  /** Its arguments. */
  args: readonly string[];
  /** The working directory. */
  cwd: string;
  /** Its complete environment. */
  env: Readonly<Record<string, string>>;
  /** Whether data will be written to its standard input. If not, standard input is empty. */
  stdin: boolean;
  /** The path of the program `setsid`; undefined if there is none. */
  setsid: string | undefined;
  /** The path of the program `kill`, by which signals are sent; undefined if Deno sends them itself. */
  kill: string | undefined;
}

/**
 * The result of sending a signal: `gone` if no process is left to receive it, `failed` if it could not be sent for now.
 */
type Delivery = "sent" | "gone" | "failed";

/** The groups that may still have processes. The set is global, since this process is the parent of all of them. */
const groups = new Set<ProcessGroup>();

// Even if this program exits without waiting, as after a second Ctrl-C, it leaves no process behind.
globalThis.addEventListener("unload", () => {
  let left = [...groups];
  for (let attempts = 0; left.length > 0 && attempts < FINAL_ATTEMPTS.count; attempts++) {
    if (attempts > 0) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FINAL_ATTEMPTS.pause);
    }
    left = left.filter((group) => group.signal("SIGKILL") === "failed");
  }
});

/**
 * A process that leads its own process group, with all processes that it starts, except those that leave the group on
 * purpose. Its owner MUST call {@linkcode ProcessGroup.end}.
 */
export class ProcessGroup {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #kill: string | undefined;
  #exited = false;
  #ending: Promise<void> | undefined;
  /** Resolves to how the leader ended; never fails. */
  readonly status: Promise<ProcessEnd>;

  private constructor(
    child: Deno.ChildProcess,
    { stdin, kill }: Pick<SpawnOptions, "stdin" | "kill">,
  ) {
    this.#child = child;
    this.#kill = kill;
    groups.add(this);
    this.#input = stdin ? child.stdin.getWriter() : undefined;
    // It is not a failure if the program stops reading its input.
    this.#input?.closed.catch(() => {});
    this.status = child.status.catch(endOfUnknown).then(({ code, signal }) => {
      this.#exited = true;
      return { code, signal };
    });
  }

  /**
   * Starts a command.
   *
   * @throws {FerryError} `not_found`, `denied`, `io`, `busy`
   */
  static start(options: SpawnOptions): ProcessGroup {
    const { path, args, cwd, env, stdin, setsid } = options;
    let child: Deno.ChildProcess;
    try {
      // With setsid, a missing program would only be reported on standard error.
      Deno.statSync(path);
      // Deno would create a session by fork(2), which copies the page tables of its whole memory: 2 ms in which it
      // serves nobody. setsid runs the program by exec, so that the process id stays the same.
      const [command, all] = setsid === undefined ? [path, args] : [setsid, [path, ...args]];
      child = new Deno.Command(command, {
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
    return new ProcessGroup(child, options);
  }

  /** The process id of the leader, which is the id of the group. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The output of all processes of the group. */
  get output(): Readonly<Record<"stdout" | "stderr", ReadableStream<Uint8Array>>> {
    return this.#child;
  }

  /** Writes to standard input. Waits while the program does not read, and does nothing once it has ended. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#input?.write(bytes).catch(() => {});
  }

  /** Closes standard input. */
  async closeInput(): Promise<void> {
    await this.#input?.close().catch(() => {});
  }

  /** Sends a signal to all processes of the group. */
  signal(signal: Deno.Signal): Delivery {
    const delivery = this.#send(-this.pid, signal);
    if (delivery !== "gone" || this.#exited) return delivery;
    // The group is created a moment after the process. While the leader is not known to have exited, the group is not
    // gone.
    return this.#send(this.pid, signal) === "sent" ? "sent" : "failed";
  }

  /** Sends a signal to a process, or to a group if the number is negative. */
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
      // With any other status, kill failed before it could send the signal.
      return code === 0 ? "sent" : code === 1 ? "gone" : "failed";
    } catch (error) {
      return error instanceof Deno.errors.NotFound && this.#kill === undefined ? "gone" : "failed";
    }
  }

  /**
   * Ends all processes that are left in the group: by SIGTERM, and after {@linkcode KILL_GRACE_MS} by SIGKILL. Resolves
   * when no process is left, or all that are left have been killed. Retries for as long as necessary, and never fails.
   */
  end(): Promise<void> {
    return this.#ending ??= this.#end().finally(() => groups.delete(this));
  }

  async #end(): Promise<void> {
    const start = performance.now();
    let pause = LOOK.first;
    let terminated = false;
    let failing = false;
    for (;;) {
      const late = performance.now() - start >= KILL_GRACE_MS;
      // A stopped process handles SIGTERM only after SIGCONT, which has no effect on the others.
      const delivery = this.signal(late ? "SIGKILL" : terminated ? "SIGCONT" : "SIGTERM");
      if (delivery === "gone" || delivery === "sent" && late) break;
      if (delivery === "sent" && !terminated) {
        terminated = true;
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
  /** Its exit status; 128 plus the number of the signal if one ended it. */
  code: number;
  /** The signal that ended it; null if it exited by itself. */
  signal: string | null;
}

/** The number of the first real-time signal, as programs on Linux see it. */
const SIGRTMIN = 34;

/**
 * How a process ended if Deno cannot report it: its `status` fails for signals without a name, which are the real-time
 * signals. If the number is not known, the exit status is 128.
 */
function endOfUnknown(error: unknown): ProcessEnd {
  const number = Number(/^Invalid signal: (\d+)$/.exec((error as Error).message)?.[1] ?? 0);
  if (number === 0) logger.error("Cannot tell how a command ended: {error}", { error });
  if (number < SIGRTMIN) return { code: 128 + number, signal: null };
  const offset = number - SIGRTMIN;
  return { code: 128 + number, signal: offset === 0 ? "SIGRTMIN" : `SIGRTMIN+${offset}` };
}
