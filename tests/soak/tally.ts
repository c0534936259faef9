/**
 * What the clients of a soak have done: how often, how long it took, what failed on the way, and what was wrong.
 *
 * @module
 */

/** The results of a run. */
export class Tally {
  /** What must not happen. A run with one of these has failed. */
  readonly problems: string[] = [];
  /** How many bytes of files were moved. */
  bytes = 0;
  readonly #times = new Map<string, number[]>();
  readonly #counts = new Map<string, number>();

  /** Records an operation and its duration in milliseconds. */
  took(operation: string, ms: number): void {
    const times = this.#times.get(operation);
    if (times) times.push(ms);
    else this.#times.set(operation, [ms]);
  }

  /** Counts something that happened beside the operations. */
  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** A line for each operation, its count and the median, 99th percentile and longest of its durations; then the counts. */
  *lines(): Generator<string> {
    yield line("operation", ["count", "p50 ms", "p99 ms", "max ms"]);
    for (const [operation, times] of byName(this.#times)) {
      times.sort((a, b) => a - b);
      const at = (share: number) => times[Math.floor((times.length - 1) * share)]!.toFixed(1);
      yield line(operation, [String(times.length), at(0.5), at(0.99), at(1)]);
    }
    for (const [what, count] of byName(this.#counts)) yield line(what, [String(count)]);
  }
}

function byName<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => a < b ? -1 : 1);
}

function line(name: string, figures: readonly string[]): string {
  return name.padEnd(20) + figures.map((figure) => figure.padStart(10)).join("");
}
