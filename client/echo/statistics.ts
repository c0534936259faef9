/**
 * What becomes of numbered probes: which were answered, how fast, which are missing. It neither sends
 * nor waits.
 *
 * @module
 */

/** How many probes are remembered, the latest ones. What comes back for older ones is not known any more. */
export const REMEMBERED = 16_384;

/** What a reply turned out to be. */
export interface Reply {
  /**
   * `first` for the one that was waited for, `late` where it had been given up, `duplicate` for any
   * further one, `unknown` where there is no such probe.
   */
  kind: "first" | "late" | "duplicate" | "unknown";
  /** Milliseconds from the probe to the reply; 0 where it is unknown. */
  rtt: number;
  /** Whether the reply to a later probe had come before. */
  outOfOrder: boolean;
}

/** What all came to. Times are in milliseconds. */
export interface EchoSummary {
  /** Probes that were sent, or could not be. */
  sent: number;
  /** Replies in time, with the right content. */
  received: number;
  /** Probes to which nothing came in time, in percent of those that were sent; 0 where none was. */
  lossPercent: number;
  /** Replies beyond the first to the same probe. */
  duplicates: number;
  /** Replies that came after one to a later probe. */
  outOfOrder: number;
  /** Replies that came when they had been given up. */
  late: number;
  /** Replies with another content than an echo gives. */
  damaged: number;
  /** The round-trip times of the replies that were received; null where there was none. */
  rtt: { min: number; avg: number; max: number; stddev: number } | null;
}

// What a probe may be.
const WAITING = 0;
const ANSWERED = 1;
const LOST = 2;

/** The probes of one run, numbered from 1 on without gaps. */
export class EchoStatistics {
  // A ring: the probe with the number n is remembered at n % REMEMBERED.
  readonly #state = new Uint8Array(REMEMBERED);
  readonly #sentAt = new Float64Array(REMEMBERED);
  #sent = 0;
  #waiting = 0;
  /** No probe before this one is waited for. */
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

  /** How many probes have been sent: the number of the last one. */
  get sent(): number {
    return this.#sent;
  }

  /** How many probes are waited for. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether another probe can be remembered without forgetting one that is waited for. */
  get hasRoom(): boolean {
    return this.#sent + 1 - this.#oldest < REMEMBERED;
  }

  /** The longest time that a reply has taken, in milliseconds; 0 where there was none. */
  get slowest(): number {
    return this.#max;
  }

  /** When the oldest probe that is waited for was sent; undefined where there is none. */
  get oldestSentAt(): number | undefined {
    return this.#waiting === 0 ? undefined : this.#sentAt[this.#oldest % REMEMBERED];
  }

  /** Takes note of a probe that is being sent, and gives its number. */
  send(now: number): number {
    const sequence = ++this.#sent;
    this.#state[sequence % REMEMBERED] = WAITING;
    this.#sentAt[sequence % REMEMBERED] = now;
    this.#waiting++;
    return sequence;
  }

  /** Takes note of a reply; `right` says whether its content is, NaN that it has no number. */
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

  /** Gives up a probe that is waited for, and tells whether it was. */
  lose(sequence: number): boolean {
    if (!this.#remembers(sequence)) return false;
    if (this.#state[sequence % REMEMBERED] !== WAITING) return false;
    this.#settle(sequence, LOST);
    return true;
  }

  /** Gives up what was sent at that time or before, and gives the numbers. */
  expire(sentBefore: number): number[] {
    const lost: number[] = [];
    while (this.#waiting > 0 && this.oldestSentAt! <= sentBefore) {
      lost.push(this.#oldest);
      this.#settle(this.#oldest, LOST);
    }
    return lost;
  }

  /** What it comes to so far. */
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
