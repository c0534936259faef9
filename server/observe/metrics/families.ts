/**
 * Makes metrics, and writes them in the text format of Prometheus.
 *
 * @module
 */

import Counter from "prom-client/counter";
import Gauge from "prom-client/gauge";
import Histogram from "prom-client/histogram";
import Registry from "prom-client/registry";

export type { Counter, Gauge, Histogram };

/** What a metric is called. Labels have few values, none of which a client can make up. */
export interface Family<Label extends string> {
  /** Its name, which ends with its unit, and for a counter with `_total`. */
  readonly name: string;
  /** What it says, for people. */
  readonly help: string;
  /** The names of its labels. Default: none; then it has a value from the beginning. */
  readonly labels?: readonly Label[];
}

/** Sets the value of a metric without labels; undefined takes it away. */
export function setOrRemove(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

/** The metrics of one server. */
export class Families {
  readonly #registry = new Registry();
  readonly #updates: (() => void | Promise<void>)[] = [];

  /** The media type of {@linkcode Families.text}. */
  get mediaType(): string {
    return this.#registry.contentType;
  }

  /** Makes a metric that only grows. */
  counter<Label extends string = never>(family: Family<Label>): Counter<Label> {
    return new Counter(this.#options(family));
  }

  /** Makes a metric that has a present value. */
  gauge<Label extends string = never>(family: Family<Label>): Gauge<Label> {
    return new Gauge(this.#options(family));
  }

  /** Makes a metric that counts how many values are no larger than each of the `buckets`. */
  histogram<Label extends string = never>(
    { buckets, ...family }: Family<Label> & { readonly buckets: readonly number[] },
  ): Histogram<Label> {
    return new Histogram({ ...this.#options(family), buckets });
  }

  /** Has a function called before the metrics are written, to set those that nobody keeps up to date. */
  beforeText(update: () => void | Promise<void>): void {
    this.#updates.push(update);
  }

  /** All metrics. */
  async text(): Promise<string> {
    await Promise.all(this.#updates.map((update) => update()));
    return await this.#registry.metrics();
  }

  #options<Label extends string>({ name, help, labels = [] }: Family<Label>) {
    return { name, help, labelNames: labels, registers: [this.#registry] };
  }
}
