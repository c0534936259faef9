/**
 * What keeps a UDP echo from being turned against others. The source of a datagram is a claim: whoever
 * forges it makes the echo answer somebody else, or another echo, with which it would exchange one
 * datagram for ever.
 *
 * @module
 */

import { type Address, isLoopback } from "../../../lib/core/address.ts";

/** Ports below it belong to services, some of which answer whatever comes (RFC 6335, section 6). */
const WELL_KNOWN_PORTS = 1024;

/**
 * How many sources are told apart. Sources are spread over so many slots by a hash that nobody outside
 * can predict; those of one slot share what it allows. So the memory is fixed, and there is no entry that
 * a flood of forged sources could push out.
 */
const SLOTS = 4096;

/** What Ethernet carries of a datagram in one packet: 1500 bytes less the header of IPv4. */
const PACKET_BYTES = 1480;
const UDP_HEADER_BYTES = 8;

/**
 * How often the same datagram may come back before it is dropped, once. One that goes round between two
 * echoes is gone then; a client that sends the same again and again has lost one of many.
 */
const LOOP_LENGTH = 10_000;

/** A datagram that did not come back for so long, in milliseconds, is not watched for any more. */
const LOOP_MEMORY_MS = 10_000;

/** Why a datagram is not answered. */
export type Refusal = "well-known port" | "port of an echo" | "rate limit" | "loop";

/** Options of {@linkcode ReflectionGuard}. */
export interface ReflectionGuardOptions {
  /** The port that is listened on. */
  port: number;
  /** Whether any port is answered. */
  anyPort: boolean;
  /** The most packets a second to one source that is not on this machine; 0 for any number. */
  rate: number;
  /** Milliseconds on a clock that never goes back. */
  now?: () => number;
  /** What makes the hash unpredictable; a random number unless told otherwise. */
  seed?: number;
}

/** Decides which datagrams an echo answers. Its state is of a fixed size. */
export class ReflectionGuard {
  readonly #options: Required<ReflectionGuardOptions>;
  // The rate: how many packets a slot still allows, and when that was reckoned.
  readonly #allowance = new Float64Array(SLOTS);
  readonly #reckoned = new Float64Array(SLOTS);

  // The loops: a digest of the one datagram that is watched for, when it was seen last, and how often.
  readonly #watched = new Uint32Array(SLOTS);
  readonly #seen = new Float64Array(SLOTS).fill(-Infinity);
  readonly #rounds = new Uint32Array(SLOTS);

  /** A guard that has seen nothing. */
  constructor(options: ReflectionGuardOptions) {
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#options = { now: () => performance.now(), seed, ...options };
    this.#allowance.fill(options.rate);
  }

  /**
   * Why a datagram is not to be answered; undefined where it is. `isReply` says that it may be what an
   * echo has answered: it is no different from its reply.
   */
  refusal(from: Address, reply: Uint8Array, isReply: boolean): Refusal | undefined {
    const { port, anyPort, rate } = this.#options;
    if (!anyPort) {
      if (from.port < WELL_KNOWN_PORTS) return "well-known port";
      // Echoes of one installation usually listen on the same port, on different machines.
      if (from.port === port) return "port of an echo";
    }
    const hostname = from.hostname.replace(/^::ffff:(?=\d+\.)/i, "");
    // Nothing from outside can claim a loopback address: the system drops that.
    if (
      rate > 0 && !isLoopback({ ...from, hostname }) && !this.#withinRate(hostname, reply.length)
    ) {
      return "rate limit";
    }
    if (isReply && this.#goesRound(`${hostname} ${from.port}`, reply)) return "loop";
    return undefined;
  }

  /** Counts packets, not datagrams: what matters to the source is what arrives on its line. */
  #withinRate(hostname: string, bytes: number): boolean {
    const { rate, now } = this.#options;
    const slot = this.#slot(networkOf(hostname));
    const time = now();
    const regained = (time - this.#reckoned[slot]!) / 1000 * rate;
    const allowance = Math.min(rate, this.#allowance[slot]! + regained);
    this.#reckoned[slot] = time;
    const allowed = allowance > 0;
    // The last one may go below 0, so that a large datagram passes at any rate.
    this.#allowance[slot] = allowed
      ? allowance - Math.ceil((bytes + UDP_HEADER_BYTES) / PACKET_BYTES)
      : allowance;
    return allowed;
  }

  /** Watches one datagram of a source at a time: as long as it comes back, and then another. */
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

/** FNV-1a of 32 bits (draft-eastlake-fnv), from a start of its own. */
function fnv1a(start: number, input: Uint8Array | string): number {
  let hash = start;
  for (let i = 0; i < input.length; i++) {
    const byte = typeof input === "string" ? input.charCodeAt(i) : input[i]!;
    hash = Math.imul(hash ^ byte, FNV_PRIME);
  }
  return hash >>> 0;
}

/** Whoever has one IPv6 address has the 2^64 of its network: they count as one. */
function networkOf(hostname: string): string {
  if (!hostname.includes(":")) return hostname;
  const [head = ""] = hostname.split("::");
  const groups = head === "" ? [] : head.split(":");
  return [...groups, "0", "0", "0", "0"].slice(0, 4).join(":");
}
