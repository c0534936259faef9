/**
 * Asking an echo again and again, as ping does it.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import {
  type Arrival,
  type Carrier,
  type Destination,
  openCarrier,
  type Payload,
  type Receiver,
} from "./carrier.ts";
import { EchoStatistics, type EchoSummary, type Reply } from "./statistics.ts";

/**
 * How many probes may wait for replies where they follow each other without a pause, and how many bytes:
 * systems keep about 200 KiB for a socket that is not read at once, headers included.
 */
const WINDOW = { probes: 64, bytes: 64 * 1024 };

/** Further replies to what was answered already are waited for so long at the end, in milliseconds. */
const LINGER_MS = 50;

/** The pause after a probe that could not be sent, in milliseconds. */
const RETRY_MS = 10;

type Timer = ReturnType<typeof setTimeout>;

/** A reply to a probe. */
export interface EchoReply extends Arrival, Reply {}

/** Options of {@linkcode probe}. */
export interface ProbeOptions extends Destination {
  /** What is sent. */
  payload: Payload;
  /** How many probes; Infinity for as long as the signal is not aborted. */
  count: number;
  /**
   * Milliseconds from one probe to the next. With 0 they follow each other as replies come, and 64 of
   * them are under way at once, or fewer where they are large, or only one without a number.
   */
  interval: number;
  /** Milliseconds after which a reply is given up; as much as a timer takes, 2^31-1, at most. */
  timeout: number;
  /** Told of each reply. */
  onReply?(reply: EchoReply): void;
  /** Told of each probe to which nothing came in time, or that could not be sent. */
  onLost?(sequence: number, error: FerryError): void;
}

/** What became of probes. */
export interface ProbeResult extends EchoSummary {
  /** Seconds from the first probe to the last reply, or to when it was given up. */
  seconds: number;
  /** Why it ended before all had been sent; undefined where it did not. */
  cut: FerryError | undefined;
  /** Why a probe could not be sent, the last one of those; undefined where all could. */
  unsent: FerryError | undefined;
}

/**
 * Sends probes to an echo and sees what comes back. When the signal is aborted it sends no more, and soon
 * ends.
 *
 * @throws {FerryError} `unreachable`, `timeout` where the echo cannot be reached
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  return await new Probes(options).run();
}

class Probes implements Receiver {
  readonly #options: ProbeOptions;
  readonly #window: number;
  readonly #statistics = new EchoStatistics();
  readonly #finished = Promise.withResolvers<void>();
  #carrier: Carrier | undefined;
  /** When the next probe is due. */
  #due = 0;
  #sending: Timer | undefined;
  #expiring: Timer | undefined;
  #ending: Timer | undefined;
  #pumping = false;
  #stopped = false;
  #settledAt = 0;
  /** The probe that the system has not taken yet. */
  #leaving = 0;
  #cut: FerryError | undefined;
  #unsent: FerryError | undefined;

  constructor(options: ProbeOptions) {
    this.#options = options;
    const { interval, payload, protocol } = options;
    const separate = protocol === "udp" && !payload.numbered;
    const fitting = Math.max(1, Math.floor(WINDOW.bytes / payload.size));
    if (interval > 0) this.#window = separate ? WINDOW.probes : Infinity;
    else this.#window = separate ? 1 : Math.min(WINDOW.probes, fitting);
  }

  async run(): Promise<ProbeResult> {
    const { payload, signal } = this.#options;
    using carrier = await openCarrier(this.#options, payload, this);
    this.#carrier = carrier;
    const started = performance.now();
    this.#due = this.#settledAt = started;
    const stop = () => this.#stop();
    signal.addEventListener("abort", stop, { once: true });
    try {
      if (signal.aborted) stop();
      this.#goOn();
      await this.#finished.promise;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#carrier = undefined;
      for (const timer of [this.#sending, this.#expiring, this.#ending]) clearTimeout(timer);
    }
    const seconds = (this.#settledAt - started) / 1000;
    return { ...this.#statistics.summary(), seconds, cut: this.#cut, unsent: this.#unsent };
  }

  onReply(arrival: Arrival): void {
    const { sequence, wrongAt, at } = arrival;
    const reply = this.#statistics.reply(sequence, at, wrongAt === undefined);
    this.#settledAt = at;
    if (reply.kind === "first") this.#carrier?.settled(sequence);
    this.#options.onReply?.({ ...arrival, ...reply });
    this.#goOn();
  }

  onEnd(error: FerryError): void {
    if (this.#cut) return;
    this.#cut = error;
    this.#stopped = true;
    this.#giveUp(Infinity, error);
    this.#finished.resolve();
  }

  /** Sends what is due, one after the other, and sees to it that the next is sent when it is. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    const { count, interval } = this.#options;
    const statistics = this.#statistics;
    while (!this.#stopped && statistics.sent < count) {
      // A reply, or that one was given up, goes on from here.
      if (statistics.waiting >= this.#window || !statistics.hasRoom) break;
      const now = performance.now();
      if (this.#due > now) {
        clearTimeout(this.#sending);
        this.#sending = setTimeout(() => this.#goOn(), this.#due - now);
        break;
      }
      // What could not be sent in time is not caught up with in a burst.
      if (interval > 0) this.#due = Math.max(this.#due + interval, now);
      await this.#send(now);
    }
    this.#pumping = false;
    this.#endWhenDone();
  }

  async #send(now: number): Promise<void> {
    const sequence = this.#statistics.send(now);
    if (this.#expiring === undefined) this.#expireLater();
    this.#leaving = sequence;
    try {
      await this.#carrier?.send(sequence);
    } catch (error) {
      this.#unsent = toFerryError(error);
      if (this.#statistics.lose(sequence)) this.#lost(sequence, this.#unsent);
      // What stands in the way may go away, but not at once.
      this.#due = Math.max(this.#due, performance.now() + RETRY_MS);
    }
    this.#leaving = 0;
  }

  #expireLater(): void {
    const { timeout } = this.#options;
    const oldest = this.#statistics.oldestSentAt;
    if (oldest === undefined) return;
    this.#expiring = setTimeout(() => {
      this.#expiring = undefined;
      const late = new FerryError("timeout", `no answer for ${timeout / 1000} s`);
      this.#giveUp(performance.now() - timeout, late);
      this.#goOn();
      this.#expireLater();
    }, Math.max(1, oldest + timeout - performance.now()));
  }

  #giveUp(sentBefore: number, error: FerryError): void {
    for (const sequence of this.#statistics.expire(sentBefore)) this.#lost(sequence, error);
  }

  #lost(sequence: number, error: FerryError): void {
    this.#settledAt = performance.now();
    this.#carrier?.settled(sequence);
    this.#options.onLost?.(sequence, error);
    // A connection that did not even take the probe lets none pass behind it.
    if (sequence === this.#leaving && error.code === "timeout") this.onEnd(error);
  }

  /** Something has happened: the next may be sent now, or that was the last. */
  #goOn(): void {
    void this.#pump();
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    const { count, timeout } = this.#options;
    const { sent, waiting } = this.#statistics;
    if (waiting > 0 || sent < count && !this.#stopped || this.#ending !== undefined) return;
    this.#endIn(Math.min(LINGER_MS, timeout));
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#sending);
    // Time for what is on its way.
    const { timeout } = this.#options;
    this.#endIn(Math.min(timeout, Math.max(LINGER_MS, 2 * this.#statistics.slowest)));
  }

  #endIn(ms: number): void {
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => this.#finished.resolve(), ms);
  }
}
