/**
 * Metrics of what scrubbing has found.
 *
 * @module
 */

import { type Families, setOrRemove } from "./families.ts";

/** One reading of all files, to find what the disk has damaged. */
export interface ScrubPass {
  /** When it ended, in milliseconds since 1970; null if it has not. */
  readonly ended: number | null;
  /** How many files were read. */
  readonly files: number;
  /** How many bytes they have. */
  readonly bytes: number;
  /** How many of them have other bytes than those that were stored. */
  readonly damaged: number;
  /** How many files and directories could not be read. */
  readonly unreadable: number;
}

/** The present reading of all files and the last one that came to its end; null where there is none. */
export interface ScrubFindings {
  /** The present one, as far as it is. */
  readonly current: ScrubPass | null;
  /** The last one. */
  readonly last: ScrubPass | null;
}

/** Adds the metrics of scrubbing. They have no values before that has begun. */
export function addScrubMetrics(families: Families, findings: () => ScrubFindings): void {
  const labels = ["pass"] as const;
  const counts = [
    [
      "files",
      "ferry_scrub_files",
      "Files that were read by --scrub in a pass: the last whole one, the current.",
    ],
    ["bytes", "ferry_scrub_bytes", "Their bytes."],
    ["damaged", "ferry_scrub_damaged_files", "Files with other bytes than those that were stored."],
    ["unreadable", "ferry_scrub_unreadable_files", "Files and directories that could not be read."],
  ] as const;
  const gauges = counts.map(([key, name, help]) => ({
    key,
    gauge: families.gauge({ name, help, labels }),
  }));
  const end = families.gauge({
    name: "ferry_scrub_end_timestamp_seconds",
    help: "When the last pass ended, in seconds since 1970.",
  });
  families.beforeText(() => {
    const { current, last } = findings();
    for (const { key, gauge } of gauges) {
      gauge.reset();
      if (last) gauge.set({ pass: "last" }, last[key]);
      if (current) gauge.set({ pass: "current" }, current[key]);
    }
    setOrRemove(end, last?.ended ? last.ended / 1000 : undefined);
  });
}
