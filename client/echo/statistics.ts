/**
 * Statistics of numbered probes: which were answered, how fast, and which are missing. This module does no I/O.
 *
 * @module
 */

/** How many of the latest probes are remembered. Replies to older ones are `unknown`. */
export const REMEMBERED = 16_384;

/** How a reply was classified. */
export interface Reply {
  /**
   * `first`: the probe was waiting for a reply. `late`: the probe had been given up. `duplicate`: the probe had been
   * answered. `unknown`: there is no such probe.
   */
  kind: "first" | "late" | "duplicate" | "unknown";
  /** Milliseconds from the probe to the reply; 0 where the probe is unknown. */
  rtt: number;
  /** Whether the reply to a later probe arrived before. */
  outOfOrder: boolean;
}

/** The round-trip times of several probes, in milliseconds. */
export interface RoundTrips {
  min: number;
  avg: number;
  max: number;
  stddev: number;
}

/** The statistics of all probes. Times are in milliseconds. */
export interface EchoSummary {
  /** Probes, including those that could not be sent. */
  sent: number;
  /** Correct replies that arrived in time. */
  received: number;
  /** Probes without a reply in time, in percent of all; 0 where there was no probe. */
  lossPercent: number;
  /** Further replies to answered probes. */
  duplicates: number;
  /** Replies that arrived after a reply to a later probe. */
  outOfOrder: number;
  /** Replies to probes that had been given up. */
  late: number;
  /** Replies with wrong content. */
  damaged: number;
  /** The round-trip times of the received replies; null where there was none. */
  rtt: RoundTrips | null;
}

// The states of a probe.
const WAITING = 0;
const ANSWERED = 1;
const LOST = 2;

/** The probes of one run, numbered from 1 on without gaps. */
export class EchoStatistics {
  // Ring buffers: probe n is at n % REMEMBERED.
  readonly #state = new Uint8Array(REMEMBERED);
  readonly #sentAt = new Float64Array(REMEMBERED);
  #sent = 0;
  #waiting = 0;
  /** No probe before this one is waiting for a reply. */
  #oldest = 1;
  /** The latest probe that was answered. */
  #highest = 0;

  #received = 0;
  #answeredWrongly = 0;
  #damaged = 0;
  #duplicates = 0;
  #outOfOrder = 0;
  #late = 0;

  // Mean and sum of squared deviations, updated with each value (Welford 1962).
  #mean = 0;
  #deviations = 0;
  #min = Infinity;
  #max = 0;

  /** The number of probes so far, which is the number of the last one. */
  get sent(): number {
    return this.#sent;
  }

  /** How many probes are waiting for a reply. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether another probe can be remembered without forgetting one that waits for a reply. */
  get hasRoom(): boolean {
    return this.#sent + 1 - this.#oldest < REMEMBERED;
  }

  /** The longest round-trip time so far, in milliseconds; 0 where there was no reply. */
  get slowest(): number {
    return this.#max;
  }

  /** When the oldest waiting probe was sent; undefined where none is waiting. */
  get oldestSentAt(): number | undefined {
    return this.#waiting === 0 ? undefined : this.#sentAt[this.#oldest % REMEMBERED];
  }

  /** Records a probe that is being sent, and returns its number. */
  send(now: number): number {
    const sequence = ++this.#sent;
    this.#state[sequence % REMEMBERED] = WAITING;
    this.#sentAt[sequence % REMEMBERED] = now;
    this.#waiting++;
    return sequence;
  }

  /**
   * Records a reply.
   *
   * @param sequence the number of its probe; NaN where it has none
   * @param right whether its content is right
   */
  reply(sequence: number, now: number, right: boolean): Reply {
    const wasSent = sequence >= 1 && sequence <= this.#sent;
    if (!right || !wasSent) this.#damaged++;
    if (!this.#remembers(sequence)) {
      return { kind: "unknown", rtt: 0, outOfOrder: false };
    }
    const rtt = now - this.#sentAt[sequence % REMEMBERED]!;
    const state = this.#state[sequence % REMEMBERED]!;
    if (state === ANSWERED) {
      this.#duplicates++;
      return { kind: "duplicate", rtt, outOfOrder: false };
    }
    const outOfOrder = sequence < this.#highest;
    if (outOfOrder) this.#outOfOrder++;
    else this.#highest = sequence;
    this.#settle(sequence, ANSWERED);
    if (state === LOST) {
      this.#late++;
      return { kind: "late", rtt, outOfOrder };
    }
    if (right) this.#time(rtt);
    else this.#answeredWrongly++;
    return { kind: "first", rtt, outOfOrder };
  }

  /** Gives up a probe. Returns whether it was waiting for a reply. */
  lose(sequence: number): boolean {
    if (!this.#remembers(sequence)) return false;
    if (this.#state[sequence % REMEMBERED] !== WAITING) return false;
    this.#settle(sequence, LOST);
    return true;
  }

  /** Gives up the probes that were sent at that time or before, and returns their numbers. */
  expire(sentBefore: number): number[] {
    const lost: number[] = [];
    while (this.#waiting > 0 && this.oldestSentAt! <= sentBefore) {
      lost.push(this.#oldest);
      this.#settle(this.#oldest, LOST);
    }
    return lost;
  }

  /** The statistics so far. */
  summary(): EchoSummary {
    const [sent, received] = [this.#sent, this.#received];
    const missing = sent - received - this.#answeredWrongly;
    return {
      sent,
      received,
      lossPercent: sent === 0 ? 0 : missing / sent * 100,
      duplicates: this.#duplicates,
      outOfOrder: this.#outOfOrder,
      late: this.#late,
      damaged: this.#damaged,
      rtt: received === 0 ? null : {
        min: this.#min,
        avg: this.#mean,
        max: this.#max,
        stddev: Math.sqrt(this.#deviations / received),
      },
    };
  }

  #remembers(sequence: number): boolean {
    return sequence >= 1 && sequence <= this.#sent && sequence > this.#sent - REMEMBERED;
  }

  #settle(sequence: number, state: number): void {
    if (this.#state[sequence % REMEMBERED] === WAITING) this.#waiting--;
    this.#state[sequence % REMEMBERED] = state;
    while (
      this.#oldest <= this.#sent && this.#state[this.#oldest % REMEMBERED] !== WAITING
    ) {
      this.#oldest++;
    }
  }

  #time(rtt: number): void {
    this.#received++;
    const delta = rtt - this.#mean;
    this.#mean += delta / this.#received;
    this.#deviations += delta * (rtt - this.#mean);
    this.#min = Math.min(this.#min, rtt);
    this.#max = Math.max(this.#max, rtt);
  }
}
