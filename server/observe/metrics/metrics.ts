/**
 * What monitoring systems ask of a server: numbers, and whether it is ready.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { type Address, formatAddress, type Listening } from "../../../lib/core/address.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import type { Listener } from "../../net/listener.ts";
import type { KeyPair } from "../../net/tls_listener.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Traffic } from "../traffic.ts";
import { listenForMonitoring } from "./endpoint.ts";
import { Families, type Gauge } from "./families.ts";
import { ProcessMetrics } from "./process_metrics.ts";
import { Readiness } from "./readiness.ts";
import { addScrubMetrics, type ScrubFindings } from "./scrub_metrics.ts";
import { addStorageMetrics } from "./storage_metrics.ts";
import { TrafficMetrics } from "./traffic_metrics.ts";

/** Options of {@linkcode Metrics}. */
export interface MetricsOptions {
  /** Where monitoring systems ask. */
  address: Address;
  /** The connections that are counted, from now on. */
  traffic: Traffic;
  /** What is looked after. */
  storage: Storage;
  /** What scrubbing has found so far; undefined where nothing is scrubbed. */
  scrubbed: (() => ScrubFindings) | undefined;
  /** The clock. */
  clock: Clock;
  /** The certificate of the server; undefined without TLS. */
  tls: KeyPair | undefined;
  /** Whether several servers share their other addresses. */
  several: boolean;
}

/** Collects the metrics of one server until it is closed. */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #families = new Families();
  readonly #process: ProcessMetrics;
  readonly #readiness: Readiness;
  readonly #expiry: Gauge;
  #listener: Listener | undefined;

  /** Collects from now on. */
  constructor(options: MetricsOptions) {
    const { traffic, storage, scrubbed, clock, tls } = options;
    this.#options = options;
    traffic.observe(new TrafficMetrics(this.#families, traffic));
    this.#readiness = new Readiness(storage, clock);
    addStorageMetrics(this.#families, this.#readiness);
    addScrubMetrics(this.#families, scrubbed ?? (() => ({ current: null, last: null })));
    this.#expiry = this.#families.gauge({
      name: "ferry_certificate_expiry_timestamp_seconds",
      help: "When the certificate ends, in seconds since 1970; no value without TLS.",
    });
    this.#expiry.remove();
    if (tls) this.replace(tls);
    this.#process = new ProcessMetrics(this.#families, clock);
  }

  /** Where monitoring systems ask, once it listens there. */
  get listening(): readonly Listening[] {
    return this.#listener ? [this.#listener.listening] : [];
  }

  /** Says that another certificate is used. */
  replace({ cert }: KeyPair): void {
    try {
      this.#expiry.set(Date.parse(new X509Certificate(cert).validTo) / 1000);
    } catch {
      // An invalid certificate is reported by the listener that was to use it.
    }
  }

  /** Says that the server takes no more connections. */
  drain(): void {
    this.#readiness.drain();
  }

  /**
   * Listens for monitoring systems.
   *
   * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
   */
  async listen(): Promise<void> {
    const { address, several } = this.#options;
    try {
      this.#listener = await listenForMonitoring(address, {
        mediaType: this.#families.mediaType,
        text: () => this.#families.text(),
        obstacle: () => this.#readiness.obstacle(),
      });
    } catch (error) {
      if (!several) throw error;
      const { code, reason } = toFerryError(error);
      const hint = "each of several ferryds has to have a port of its own for its metrics";
      throw new FerryError(code, `${reason}: ${hint}`, { cause: error })
        .during(`listen on ${formatAddress(address)}`);
    }
  }

  /** Ends the collection, and answers no more. */
  async close(): Promise<void> {
    await this.#listener?.close(0);
    this.#process[Symbol.dispose]();
  }
}
