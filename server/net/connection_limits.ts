/**
 * Which connections are taken: so many, and so many of one source. Whoever is turned away is told why, where
 * that costs little.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { isLoopback } from "../../lib/core/address.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { errorReply } from "../../lib/wire/header.ts";
import { type ByteStream, Wire } from "../../lib/wire/wire.ts";
import { sourceOf } from "../auth/login_throttle.ts";

const logger = getLogger(["ferry", "server"]);

/** How many may be told at the same time that they are turned away; who comes then is not told. */
const MAX_PARTINGS = 64;

/** How long a client that is turned away may take to read why, in milliseconds. */
export const PARTING_MS = 2000;

/** How long the log says nothing after it has said that connections are turned away, in milliseconds. */
const REPORT_MS = 10_000;

/** Options of {@linkcode Admission}. */
export interface AdmissionOptions {
  /** How many connections may be open, those of all listeners together; 0 for any number. */
  maxConnections: number;
  /** How many of one source; 0 for any number. Those from this machine itself are not counted so. */
  maxConnectionsPerSource: number;
}

/** What became of a connection. */
export interface Entry extends Disposable {
  /** Why it is not taken; absent where it is. */
  refusal?: FerryError;
  /** Whether there is time to tell it. */
  isTold: boolean;
}

/** Counts connections. Each entry is disposed of at the end of its connection. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #sources = new Map<string, number>();
  #open = 0;
  #partings = 0;
  #turnedAway = 0;
  #reported = -Infinity;

  /** With nobody there. */
  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** How many connections are open that were taken. */
  get open(): number {
    return this.#open;
  }

  /** Decides about a connection from an address. */
  enter(hostname: string): Entry {
    const source = sourceOf(hostname);
    const refusal = this.#refusal(hostname, source);
    if (refusal) return this.#turnAway(refusal);
    this.#open++;
    this.#sources.set(source, (this.#sources.get(source) ?? 0) + 1);
    return entry({ isTold: false }, () => {
      this.#open--;
      const left = this.#sources.get(source)! - 1;
      if (left > 0) this.#sources.set(source, left);
      else this.#sources.delete(source);
    });
  }

  #refusal(hostname: string, source: string): FerryError | undefined {
    const { maxConnections, maxConnectionsPerSource } = this.#options;
    const action = "connect";
    if (maxConnections > 0 && this.#open >= maxConnections) {
      return new FerryError("busy", "too many connections are open", { action });
    }
    // Tunnels and proxies on this machine give many clients its address.
    if (isLoopback({ hostname, port: 0 }) || isLoopback({ hostname: source, port: 0 })) return;
    const limit = maxConnectionsPerSource;
    if (limit === 0 || (this.#sources.get(source) ?? 0) < limit) return;
    return new FerryError("busy", "too many connections of this source are open", { action });
  }

  #turnAway(refusal: FerryError): Entry {
    this.#turnedAway++;
    this.#report(refusal);
    const isTold = this.#partings < MAX_PARTINGS;
    if (!isTold) return entry({ refusal, isTold }, () => {});
    this.#partings++;
    return entry({ refusal, isTold }, () => void this.#partings--);
  }

  #report({ reason }: FerryError): void {
    const now = performance.now();
    if (now - this.#reported < REPORT_MS) return;
    this.#reported = now;
    logger.warn("Connections that were turned away: {count} ({reason})", {
      count: this.#turnedAway,
      reason,
    });
    this.#turnedAway = 0;
  }
}

function entry(about: { refusal?: FerryError; isTold: boolean }, leave: () => void): Entry {
  let here = true;
  return {
    ...about,
    [Symbol.dispose]() {
      if (here) leave();
      here = false;
    },
  };
}

/** Tells a client why its connection is not taken, as the reply to whatever it asks first, and ends it. */
export class Parting {
  readonly #wire: Wire;
  readonly #refusal: FerryError;

  /** A parting over a connection that was just made. */
  constructor(stream: ByteStream, refusal: FerryError) {
    this.#refusal = refusal;
    this.#wire = new Wire(stream, { idleTimeout: PARTING_MS });
  }

  /** Resolves when it has ended, and never fails. */
  async run(): Promise<void> {
    try {
      await this.#wire.writeFrame(errorReply(this.#refusal));
      // It waits for the client to have read that, but not for long.
      await this.#wire.closeGracefully();
    } catch {
      // The client has left.
    } finally {
      this.#wire.close();
    }
  }

  /** It ends soon by itself. */
  drain(): void {}

  /** Ends it now. */
  close(reason: FerryError): void {
    this.#wire.close(reason);
  }
}
