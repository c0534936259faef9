/**
 * What this process logs, for tests to look at.
 *
 * @module
 */

import { configure, type LogRecord, reset } from "@logtape/logtape";

/** The records of the log since this was made, until it is disposed of. */
export class RecordedLog implements AsyncDisposable {
  /** They. */
  readonly records: LogRecord[] = [];

  /** Begins to record. */
  static async start(): Promise<RecordedLog> {
    const log = new RecordedLog();
    await configure({
      reset: true,
      sinks: { records: (record) => void log.records.push(record) },
      loggers: [
        { category: ["ferry"], sinks: ["records"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: ["records"], lowestLevel: "warning" },
      ],
    });
    return log;
  }

  /** Level and text of each. */
  get lines(): string[] {
    return this.records.map(({ level, message }) => `${level}: ${message.map(String).join("")}`);
  }

  /** Stops recording. */
  async [Symbol.asyncDispose](): Promise<void> {
    await reset();
  }
}
