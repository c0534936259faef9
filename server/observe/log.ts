/**
 * The log: a line for each record, whatever is in it.
 *
 * @module
 */

import {
  configure,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type LogRecord,
} from "@logtape/logtape";
import { escapeControls } from "../../lib/core/errors.ts";
import type { LineWriter } from "./line_writer.ts";

/** How the log is written. */
export interface LogOptions {
  /** Its format. */
  format: "text" | "json";
  /** Whether connections are logged, too. */
  verbose: boolean;
}

/** Begins a log that is written to `lines`. */
export async function startLog(lines: LineWriter, { format, verbose }: LogOptions): Promise<void> {
  const formatter = format === "json" ? getJsonLinesFormatter() : getTextFormatter();
  const lineOf = (record: LogRecord) => oneLine(formatter(record));
  lines.dropped = (count) => {
    const text = `${count} lines of the log are missing here: nobody took them`;
    return lineOf({
      category: ["ferry", "log"],
      level: "warning",
      timestamp: Date.now(),
      message: [text],
      rawMessage: text,
      properties: { count },
    });
  };
  await configure({
    sinks: { lines: (record) => lines.write(lineOf(record)) },
    loggers: [
      { category: ["ferry"], sinks: ["lines"], lowestLevel: verbose ? "debug" : "info" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
    ],
  });
}

/**
 * Logs what nobody caught instead of ending the program for it. Connections, timers and commands do not rely on
 * that: it is for what the runtime and libraries may do on their own.
 */
export function logUncaught(): void {
  const logger = getLogger(["ferry", "server"]);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.error("A failure that nobody foresaw: {cause}", { cause: event.reason });
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    logger.error("A failure that nobody foresaw: {cause}", { cause: event.error });
  });
}

/**
 * A record as one line: what somebody sends must not look like another line, nor change how one looks. Where there
 * is such a character in JSON, it is in a string, where it may be written like that.
 */
function oneLine(text: string): string {
  return `${escapeControls(text.trimEnd().replaceAll("\n", "\\n"))}\n`;
}
