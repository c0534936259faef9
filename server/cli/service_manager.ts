/**
 * Tells the service manager how the server is, by the protocol of sd_notify(3): datagrams to the socket that
 * `NOTIFY_SOCKET` names. systemd starts other units when the server is ready, and restarts it when it hangs.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import type { Environment } from "../../lib/cli/permissions.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";

const logger = getLogger(["ferry", "server"]);

/** How much longer than the transfers under way the end of the server may take, in milliseconds. */
const ENDING_MS = 5000;

/** The watchdog hears of the server so many times in the time that it waits. */
const SIGNS_PER_WAIT = 2;

/** How long the service manager may take to read a message before the server goes on, in milliseconds. */
const READ_MS = 1000;

/** The datagram sockets of Deno that have a path. */
interface UnixDatagrams {
  send(bytes: Uint8Array, to: { transport: "unixpacket"; path: string }): Promise<number>;
  close(): void;
}

/** The service manager that has started this process. */
export class ServiceManager implements Disposable {
  readonly #socket: UnixDatagrams;
  readonly #path: string;
  readonly #watchdog: ReturnType<typeof setInterval> | undefined;
  #failed = false;

  private constructor(socket: UnixDatagrams, path: string, watchdog: number | undefined) {
    this.#socket = socket;
    this.#path = path;
    const sign = () => this.#tell(["WATCHDOG=1"]);
    if (watchdog !== undefined) this.#watchdog = setInterval(sign, watchdog);
  }

  /**
   * The service manager that the environment names: undefined without `NOTIFY_SOCKET`, and where that cannot be used,
   * which is logged.
   */
  static from(environment: Environment): ServiceManager | undefined {
    const named = environment("NOTIFY_SOCKET");
    if (!named) return undefined;
    const watchdog = signEvery(environment);
    try {
      if (!/^[@/]/.test(named)) {
        throw new FerryError("usage", "it is neither a path nor an abstract name");
      }
      if (Deno.listenDatagram === undefined) {
        throw new FerryError("usage", "Deno was started without --unstable-net");
      }
      // An abstract name begins with a zero byte in place of the `@`.
      const path = named.replace(/^@/, "\0");
      // A datagram needs a sender, whose name nobody looks at.
      const own = `\0ferryd-notify-${crypto.randomUUID()}`;
      const socket = Deno.listenDatagram({ transport: "unixpacket", path: own } as never);
      return new ServiceManager(socket as unknown as UnixDatagrams, path, watchdog);
    } catch (error) {
      const { reason } = toFerryError(error);
      logger.warn("NOTIFY_SOCKET={named} cannot be used: {reason}", { named, reason });
      return undefined;
    }
  }

  /** Tells that the server is ready: for the first time, or again after {@linkcode ServiceManager.reloading}. */
  async ready(status: string): Promise<void> {
    await this.#tell(["READY=1", `STATUS=${status}`]);
  }

  /** Tells that the server reads its tokens and its certificate anew. */
  async reloading(): Promise<void> {
    await this.#tell(["RELOADING=1", `MONOTONIC_USEC=${monotonicMicroseconds()}`]);
  }

  /** Tells that the server ends, and for how many milliseconds transfers under way may go on. */
  async stopping(drainTimeout: number): Promise<void> {
    const longest = (drainTimeout + ENDING_MS) * 1000;
    await this.#tell([
      "STOPPING=1",
      `EXTEND_TIMEOUT_USEC=${longest}`,
      "STATUS=Transfers under way may go on",
    ]);
  }

  /** Ends the signs of life. */
  [Symbol.dispose](): void {
    clearInterval(this.#watchdog);
    this.#socket.close();
  }

  async #tell(lines: readonly string[]): Promise<void> {
    const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new FerryError("timeout", "it reads nothing")),
      READ_MS,
    );
    try {
      const to = { transport: "unixpacket", path: this.#path } as const;
      await Promise.race([this.#socket.send(bytes, to), late.promise]);
      this.#failed = false;
    } catch (error) {
      // The service manager may be back for the next one, and what fails each time is said once.
      if (!this.#failed) {
        const { reason } = toFerryError(error);
        logger.warn("The service manager cannot be told {what}: {reason}", {
          what: lines[0],
          reason,
        });
      }
      this.#failed = true;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** How often the watchdog wants a sign of life, in milliseconds; undefined if it wants none of this process. */
function signEvery(environment: Environment): number | undefined {
  const [microseconds, pid] = [environment("WATCHDOG_USEC"), environment("WATCHDOG_PID")];
  if (pid !== undefined && Number(pid) !== Deno.pid) return undefined;
  const wait = Number(microseconds ?? NaN) / 1000;
  return wait > 0 ? Math.min(Math.max(1, wait / SIGNS_PER_WAIT), MAX_TIMEOUT_MS) : undefined;
}

/**
 * The time since the start of the machine, in microseconds, rounded up to a second. A time that the machine has slept
 * counts as well, so that it is never before that of CLOCK_MONOTONIC, with which the service manager compares it.
 */
function monotonicMicroseconds(): number {
  return (Math.floor(Deno.osUptime()) + 1) * 1_000_000;
}
