/**
 * Sends probes to an echo service one after the other, like ping.
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
 * The most probes, and bytes of them, that may be under way with an interval of 0. Systems buffer about 200 KiB for a
 * socket, including headers.
 */
const WINDOW = { probes: 64, bytes: 64 * 1024 };

/** How long to wait for duplicate replies at the end, in milliseconds. */
const LINGER_MS = 50;

/** The pause after a probe that could not be sent, in milliseconds. */
const RETRY_MS = 10;

type Timer = ReturnType<typeof setTimeout>;

/** A reply to a probe. */
export interface EchoReply extends Arrival, Reply {}

/** Options of {@linkcode probe}. */
export interface ProbeOptions extends Destination {
  /** The content of the probes. */
  payload: Payload;
  /** How many probes; Infinity: until the signal is aborted. */
  count: number;
  /**
   * Milliseconds between probes. With 0, each reply makes room for the next probe. Up to 64 are under way at the same
   * time: fewer where they are large, and only one where they carry no number.
   */
  interval: number;
  /** Milliseconds after which a probe without a reply counts as lost; at most 2^31-1. */
  timeout: number;
  /** Called for each reply. */
  onReply?(reply: EchoReply): void;
  /** Called for each probe that got no reply in time or could not be sent. */
  onLost?(sequence: number, error: FerryError): void;
}

/** The result of {@linkcode probe}. */
export interface ProbeResult extends EchoSummary {
  /** Seconds from the first probe until the last was answered or given up. */
  seconds: number;
  /** Why it ended before all probes were sent; undefined where it did not. */
  cut: FerryError | undefined;
  /** Why the last probe that could not be sent failed; undefined where all were sent. */
  unsent: FerryError | undefined;
}

/**
 * Sends probes to an echo service and collects the replies. When the signal is aborted, it sends no more and ends soon.
 *
 * @throws {FerryError} `unreachable`, `timeout` where the echo service cannot be reached
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
  /** The time of the next probe. */
  #due = 0;
  #sending: Timer | undefined;
  #expiring: Timer | undefined;
  #ending: Timer | undefined;
  #pumping = false;
  #stopped = false;
  #settledAt = 0;
  /** The number of the probe that is being sent; 0 where there is none. */
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

  /** Sends the probes that are due, and sets a timer for the next. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    const { count, interval } = this.#options;
    const statistics = this.#statistics;
    while (!this.#stopped && statistics.sent < count) {
      // The next reply, or the next probe that times out, calls this again.
      if (statistics.waiting >= this.#window || !statistics.hasRoom) break;
      const now = performance.now();
      if (this.#due > now) {
        clearTimeout(this.#sending);
        this.#sending = setTimeout(() => this.#goOn(), this.#due - now);
        break;
      }
      // Probes that are late are not sent in a burst.
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
      // The cause may be temporary, but the retry waits a little.
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
    // A TCP connection that does not accept this probe accepts no later one.
    if (sequence === this.#leaving && error.code === "timeout") this.onEnd(error);
  }

  /** Sends the next probe if it is due, or ends after the last. */
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
    // Replies that are under way may still arrive.
    const { timeout } = this.#options;
    this.#endIn(Math.min(timeout, Math.max(LINGER_MS, 2 * this.#statistics.slowest)));
  }

  #endIn(ms: number): void {
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => this.#finished.resolve(), ms);
  }
}
