/**
 * Metrics of the process: memory, processor time, descriptors, the delay of the event loop.
 *
 * @module
 */

import process from "node:process";
import type { Clock, Timer } from "../../../lib/core/clock.ts";
import { VERSION } from "../../../lib/core/version.ts";
import { DescriptorLink } from "../../../lib/files/descriptor_link.ts";
import { type Families, type Histogram, setOrRemove } from "./families.ts";

/** How often the delay of the event loop is measured, in milliseconds. */
const DELAY_EVERY_MS = 100;

/** The bounds of delays that are told apart, in seconds. */
const DELAYS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Tells how the process is, until it is disposed of. */
export class ProcessMetrics implements Disposable {
  readonly #clock: Clock;
  readonly #delay: Histogram;
  /** By way of it the runtime lets a program see what the system knows of the process. */
  readonly #link = DescriptorLink.open();
  #timer: Timer | undefined;

  /** Measures from now on. */
  constructor(families: Families, clock: Clock) {
    this.#clock = clock;
    families.gauge({
      name: "ferry_build_info",
      help: "Always 1; the labels say what runs.",
      labels: ["version", "deno", "os", "arch"],
    }).set(
      { version: VERSION, deno: Deno.version.deno, os: Deno.build.os, arch: Deno.build.arch },
      1,
    );
    families.gauge({
      name: "process_start_time_seconds",
      help: "When the process was started, in seconds since 1970.",
    }).set(performance.timeOrigin / 1000);
    const memory = families.gauge({
      name: "process_resident_memory_bytes",
      help: "Memory that the process has in use.",
    });
    const time = families.counter({
      name: "process_cpu_seconds_total",
      help: "Processor time that the process has used.",
    });
    const open = families.gauge({
      name: "process_open_fds",
      help: "File descriptors that are open; only where the system tells.",
    });
    this.#delay = families.histogram({
      name: "ferry_event_loop_delay_seconds",
      help: "How much later than planned a timer fired that fires ten times a second.",
      buckets: DELAYS,
    });
    let used = 0;
    families.beforeText(async () => {
      memory.set(Deno.memoryUsage().rss);
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      time.inc(seconds - used);
      used = seconds;
      setOrRemove(open, await this.#descriptors());
    });
    this.#measureDelay();
  }

  #measureDelay(): void {
    const due = this.#clock.monotonic() + DELAY_EVERY_MS;
    this.#timer = this.#clock.setTimeout(() => {
      this.#delay.observe(Math.max(0, this.#clock.monotonic() - due) / 1000);
      this.#measureDelay();
    }, DELAY_EVERY_MS);
  }

  /** How many descriptors are open; undefined where that cannot be found out. */
  async #descriptors(): Promise<number | undefined> {
    if (!this.#link) return undefined;
    try {
      // The one by which they are listed is among them.
      let open = -1;
      for await (const _ of Deno.readDir(this.#link.path)) open++;
      return open;
    } catch {
      // Somebody has removed the link.
      return undefined;
    }
  }

  /** Ends the measurement. */
  [Symbol.dispose](): void {
    this.#clock.clearTimeout(this.#timer);
    this.#link?.remove();
  }
}
