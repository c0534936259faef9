/**
 * Limits how many connections may be open, in total and from one source.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { isLoopback } from "../../lib/core/address.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { sourceOf } from "../../lib/core/source_address.ts";

const logger = getLogger(["ferry", "server"]);

/** At most this many rejected clients get a reply at the same time; the connections of others are just closed. */
const MAX_REPLIES = 64;

/** The shortest interval between two reports of rejected connections in the log, in milliseconds. */
const REPORT_MS = 10_000;

/** Options of {@linkcode ConnectionLimits}. */
export interface ConnectionLimitsOptions {
  /** The maximum number of open connections of all listeners together; 0 for no limit. */
  maxConnections: number;
  /**
   * The maximum number of open connections of one source; 0 for no limit. Connections from this machine do not count.
   */
  maxConnectionsPerSource: number;
  /** The clock. */
  clock: Clock;
}

/** The decision about a connection. It has to be disposed of when the connection has ended. */
export interface Admission extends Disposable {
  /** Why the connection is rejected; undefined if it is admitted. */
  rejection?: FerryError;
  /** Whether a rejected client may be sent a reply. */
  mayReply: boolean;
}

/** Counts open connections, and rejects those that exceed a limit. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #sources = new Map<string, number>();
  #open = 0;
  #replies = 0;
  #rejected = 0;
  #reported = -Infinity;

  /** Creates limits without open connections. */
  constructor(options: ConnectionLimitsOptions) {
    this.#options = options;
  }

  /** The number of admitted connections that are open. */
  get open(): number {
    return this.#open;
  }

  /** Decides whether a connection from an address is admitted. */
  admit(hostname: string): Admission {
    const source = sourceOf(hostname);
    const rejection = this.#rejection(hostname, source);
    if (rejection) return this.#reject(rejection);
    this.#open++;
    this.#sources.set(source, (this.#sources.get(source) ?? 0) + 1);
    return admission({ mayReply: false }, () => {
      this.#open--;
      const left = this.#sources.get(source)! - 1;
      if (left > 0) this.#sources.set(source, left);
      else this.#sources.delete(source);
    });
  }

  #rejection(hostname: string, source: string): FerryError | undefined {
    const { maxConnections, maxConnectionsPerSource } = this.#options;
    const action = "connect";
    if (maxConnections > 0 && this.#open >= maxConnections) {
      return new FerryError("busy", "too many connections are open", { action });
    }
    // Clients behind a tunnel or proxy on this machine all have its address.
    if (isLoopback({ hostname, port: 0 }) || isLoopback({ hostname: source, port: 0 })) return;
    const limit = maxConnectionsPerSource;
    if (limit === 0 || (this.#sources.get(source) ?? 0) < limit) return;
    return new FerryError("busy", "too many connections of this source are open", { action });
  }

  #reject(rejection: FerryError): Admission {
    this.#rejected++;
    this.#report(rejection);
    const mayReply = this.#replies < MAX_REPLIES;
    if (!mayReply) return admission({ rejection, mayReply }, () => {});
    this.#replies++;
    return admission({ rejection, mayReply }, () => void this.#replies--);
  }

  #report({ reason }: FerryError): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#reported < REPORT_MS) return;
    this.#reported = now;
    logger.warn("Connections that were turned away: {count} ({reason})", {
      count: this.#rejected,
      reason,
    });
    this.#rejected = 0;
  }
}

function admission(
  decided: { rejection?: FerryError; mayReply: boolean },
  leave: () => void,
): Admission {
  let open = true;
  return {
    ...decided,
    [Symbol.dispose]() {
      if (open) leave();
      open = false;
    },
  };
}
