/**
 * The log: one line for each record, whatever it contains.
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

/** Options of {@linkcode startLog}. */
export interface LogOptions {
  /** The format of a record. */
  format: "text" | "json";
  /** Whether connections, disconnections and the steps of operations are logged, too. */
  verbose: boolean;
}

/** Starts the log of this process, which is written to `lines`. */
export async function startLog(lines: LineWriter, { format, verbose }: LogOptions): Promise<void> {
  const jsonOf = getJsonLinesFormatter({ properties: "flatten" });
  const formatter = format === "json"
    ? (record: LogRecord) => jsonOf(withText(record))
    : getTextFormatter({ value: "bare" });
  const lineOf = (record: LogRecord) => oneLine(formatter(record));
  lines.dropped = (count) => {
    const text = `${count} lines of the log were dropped here: nobody read them`;
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
 * Logs uncaught errors instead of ending the program. Connections, timers and commands do not rely on this: it is for
 * errors in Deno and in libraries.
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

/** The record with its message as one text, in which strings have no quotes. */
function withText(record: LogRecord): LogRecord {
  if (record.message.length === 1) return record;
  const parts = record.message.map((part) => typeof part === "string" ? part : Deno.inspect(part));
  return { ...record, message: [parts.join("")] };
}

/**
 * Puts a record on one line: text from a peer must not look like another line, nor change how a line is displayed. In
 * JSON, such characters occur in strings only, where they may be escaped.
 */
function oneLine(text: string): string {
  return `${escapeControls(text.trimEnd().replaceAll("\n", "\\n"))}\n`;
}
