/**
 * Records what this process logs, for tests to check.
 *
 * @module
 */

import { configure, type LogRecord, reset } from "@logtape/logtape";

/** The log records from its start until it is disposed of. */
export class RecordedLog implements AsyncDisposable {
  /** The records so far. */
  readonly records: LogRecord[] = [];
  #onRecord: () => void = () => {};

  /** Starts recording. */
  static async start(): Promise<RecordedLog> {
    const log = new RecordedLog();
    await configure({
      reset: true,
      sinks: {
        records: (record) => {
          log.records.push(record);
          log.#onRecord();
        },
      },
      loggers: [
        { category: ["ferry"], sinks: ["records"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: ["records"], lowestLevel: "warning" },
      ],
    });
    return log;
  }

  /** The level and text of each record. */
  get lines(): string[] {
    return this.records.map(({ level, message }) => `${level}: ${message.map(String).join("")}`);
  }

  /** Waits for a line in which a text occurs, and returns it. */
  async until(text: string): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => line.includes(text));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#onRecord = resolve);
    }
  }

  /** Stops recording. */
  async [Symbol.asyncDispose](): Promise<void> {
    await reset();
  }
}
