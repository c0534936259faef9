/**
 * Prevents a UDP echo from being used to attack others. The source address of a datagram can be forged: the echo would
 * then answer somebody else; or another echo, and both would exchange one datagram for ever.
 *
 * @module
 */

import { type Address, isLoopback } from "../../../lib/core/address.ts";
import { sourceOf } from "../../../lib/core/source_address.ts";

/** Ports below this belong to well-known services, some of which answer any datagram (RFC 6335, section 6). */
const WELL_KNOWN_PORTS = 1024;

/**
 * The number of slots. Sources are assigned to slots by a hash that others cannot predict, and those of one slot share
 * its allowance. So the memory is fixed, and a flood of forged sources cannot evict an entry.
 */
const SLOTS = 4096;

/** How many bytes of a datagram an Ethernet packet carries: 1500 bytes minus the IPv4 header. */
const PACKET_BYTES = 1480;
const UDP_HEADER_BYTES = 8;

/**
 * How often the same datagram may arrive before it is dropped once. That ends a loop between two echoes; a client that
 * repeats the same datagram only loses one of many.
 */
const LOOP_LENGTH = 10_000;

/** A datagram that did not arrive again for this long, in milliseconds, is no longer watched. */
const LOOP_MEMORY_MS = 10_000;

/** Why a datagram is not answered. */
export type Refusal = "well-known port" | "port of an echo" | "rate limit" | "loop";

/** Options of {@linkcode ReflectionLimit}. */
export interface ReflectionLimitOptions {
  /** The port that the echo listens on. */
  port: number;
  /** Whether datagrams from any port are answered. */
  anyPort: boolean;
  /** The maximum number of packets per second to one source that is not on this machine; 0 for no limit. */
  rate: number;
  /** A monotonic clock, in milliseconds. */
  now: () => number;
  /** The seed that makes the hash unpredictable. Default: a random number. */
  seed?: number;
}

/** Decides which datagrams an echo answers. Its state is of a fixed size. */
export class ReflectionLimit {
  readonly #options: Required<ReflectionLimitOptions>;
  // The rate limit: how many packets a slot still allows, and when that was computed.
  readonly #allowance = new Float64Array(SLOTS);
  readonly #computed = new Float64Array(SLOTS);

  // The loop detection: per slot, a digest of the one datagram that is watched, when it was last seen, and how often.
  readonly #watched = new Uint32Array(SLOTS);
  readonly #seen = new Float64Array(SLOTS).fill(-Infinity);
  readonly #rounds = new Uint32Array(SLOTS);

  /** Creates a limit that has seen no datagram. */
  constructor(options: ReflectionLimitOptions) {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#options = { seed, ...options };
    this.#allowance.fill(options.rate);
  }

  /**
   * The reason why a datagram is not answered; undefined if it is answered.
   *
   * @param isReply whether it may itself be the reply of an echo: it is identical to the reply to it
   */
  refusal(from: Address, reply: Uint8Array, isReply: boolean): Refusal | undefined {
    const { port, anyPort, rate } = this.#options;
    if (!anyPort) {
      if (from.port < WELL_KNOWN_PORTS) return "well-known port";
      // Echoes of one installation usually listen on the same port, on different machines.
      if (from.port === port) return "port of an echo";
    }
    const hostname = from.hostname.replace(/^::ffff:(?=\d+\.)/i, "");
    // A loopback source needs no limit. Datagrams from outside cannot have one: the system drops them.
    if (
      rate > 0 && !isLoopback({ ...from, hostname }) && !this.#withinRate(hostname, reply.length)
    ) {
      return "rate limit";
    }
    if (isReply && this.#goesRound(`${hostname} ${from.port}`, reply)) return "loop";
    return undefined;
  }

  /** Counts packets, not datagrams, since packets are what uses the bandwidth of the source. */
  #withinRate(hostname: string, bytes: number): boolean {
    const { rate, now } = this.#options;
    const slot = this.#slot(sourceOf(hostname));
    const time = now();
    const regained = (time - this.#computed[slot]!) / 1000 * rate;
    const allowance = Math.min(rate, this.#allowance[slot]! + regained);
    this.#computed[slot] = time;
    const allowed = allowance > 0;
    // The last datagram may take the allowance below 0, so that a large datagram passes at any rate.
    this.#allowance[slot] = allowed
      ? allowance - Math.ceil((bytes + UDP_HEADER_BYTES) / PACKET_BYTES)
      : allowance;
    return allowed;
  }

  /** Watches one datagram per slot at a time, for as long as it keeps arriving. Returns whether it is in a loop. */
  #goesRound(source: string, datagram: Uint8Array): boolean {
    const slot = this.#slot(source);
    const digest = fnv1a(fnv1a(this.#options.seed, source), datagram);
    const time = this.#options.now();
    if (digest !== this.#watched[slot]) {
      if (time - this.#seen[slot]! <= LOOP_MEMORY_MS) return false;
      this.#watched[slot] = digest;
    }
    if (time - this.#seen[slot]! > LOOP_MEMORY_MS) this.#rounds[slot] = 0;
    this.#seen[slot] = time;
    if (++this.#rounds[slot]! < LOOP_LENGTH) return false;
    this.#seen[slot] = -Infinity;
    return true;
  }

  #slot(key: string): number {
    const hash = fnv1a(this.#options.seed, key);
    // The low bits of such a hash depend on the low bits of its input only.
    return (hash ^ hash >>> 15) & SLOTS - 1;
  }
}

const FNV_PRIME = 0x01000193;

/** FNV-1a of 32 bits (draft-eastlake-fnv), with a chosen offset basis. */
function fnv1a(start: number, input: Uint8Array | string): number {
  let hash = start;
  for (let i = 0; i < input.length; i++) {
    const byte = typeof input === "string" ? input.charCodeAt(i) : input[i]!;
    hash = Math.imul(hash ^ byte, FNV_PRIME);
  }
  return hash >>> 0;
}
