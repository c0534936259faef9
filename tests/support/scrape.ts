/**
 * What a monitoring system reads from a `ferryd --metrics`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";

/** A metric in a scrape. */
export interface Metric {
  readonly type: string;
  readonly help: string;
  /** Its values, by the rest of their names and their labels: `{op="put"}`, `_count{op="put"}`, "". */
  readonly values: ReadonlyMap<string, number>;
}

/** Everything that one answer to `GET /metrics` says. */
export class Scrape {
  /** The text of the answer. */
  readonly text: string;
  /** The metrics by their names, in their order. */
  readonly metrics: ReadonlyMap<string, Metric>;

  /** Reads the text format of Prometheus, as far as ferryd uses it. */
  constructor(text: string) {
    this.text = text;
    const metrics = new Map<string, { type: string; help: string; values: Map<string, number> }>();
    for (const part of text.split(/^# HELP /m).slice(1)) {
      const [head, type, ...lines] = part.trimEnd().split("\n");
      const [, name, help] = /^(\S+) (.*)$/.exec(head!)!;
      assertEquals(type!.slice(0, type!.lastIndexOf(" ")), `# TYPE ${name}`);
      const values = lines.map((line): [string, number] => {
        const [, key, value] = /^(.*) (\S+)$/.exec(line.slice(name!.length))!;
        return [key!, Number(value)];
      });
      metrics.set(name!, { type: type!.split(" ").at(-1)!, help: help!, values: new Map(values) });
    }
    this.metrics = metrics;
  }

  /** Asks a `ferryd`. */
  static async of(address: string): Promise<Scrape> {
    const answer = await fetch(`http://${address}/metrics`);
    assertEquals(answer.status, 200);
    return new Scrape(await answer.text());
  }

  /** Asks a `ferryd` until what it says is as expected. */
  static async until(address: string, expected: (scrape: Scrape) => boolean): Promise<Scrape> {
    for (;;) {
      const scrape = await Scrape.of(address);
      if (expected(scrape)) return scrape;
      await delay(50);
    }
  }

  /** The value of a metric with these labels; undefined if it has none. */
  value(name: string, labels = ""): number | undefined {
    return this.metrics.get(name)?.values.get(labels);
  }
}

/** Asks a `ferryd` whether it is ready, until it answers as expected; returns the text. */
export async function readiness(address: string, status: 200 | 503): Promise<string> {
  for (;;) {
    const answer = await fetch(`http://${address}/readyz`);
    const text = await answer.text();
    if (answer.status === status) return text;
    await delay(50);
  }
}
