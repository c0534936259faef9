/**
 * Where a server writes its log and its audit trail.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { resolve } from "../../lib/core/paths.ts";
import { AppendedFile } from "./appended_file.ts";
import { AuditTrail } from "./audit.ts";
import { LineWriter } from "./line_writer.ts";
import { startLog } from "./log.ts";

/** For how long lines of a busy server are gathered, in milliseconds: each write takes time of the thread that serves. */
const GATHER_MS = 10;

const logger = getLogger(["ferry", "server"]);

/** The options that say where to write, and how. */
export interface LogOptions {
  readonly log: "text" | "json";
  readonly verbose: boolean;
  readonly "log-file"?: string | undefined;
  readonly audit?: string | undefined;
}

/**
 * Checks that the log and the audit trail go into different files: mixed, neither could be read by a program.
 * Standard output and other things that are no files may take both.
 *
 * @throws {FerryError} `usage`
 */
export function assertFilesApart({ audit, "log-file": log }: LogOptions): void {
  if (audit === undefined || log === undefined || resolve(audit) !== resolve(log)) return;
  if (isOtherThanFile(log)) return;
  throw new FerryError(
    "usage",
    `--log-file and --audit are both ${quote(log)}: each needs its own`,
  );
}

/** Whether a path leads to something that is no regular file. */
function isOtherThanFile(path: string): boolean {
  try {
    return !Deno.statSync(path).isFile;
  } catch {
    // It is a file that will be created.
    return false;
  }
}

/** The log and the audit trail of a server. */
export class LogFiles {
  /** The audit trail; undefined if none is kept. */
  readonly audit: AuditTrail | undefined;
  readonly #stderr: LineWriter;
  readonly #files: AppendedFile[] = [];
  readonly #lines: LineWriter[] = [];

  private constructor(path: string | undefined, stderr: LineWriter) {
    this.#stderr = stderr;
    if (path === undefined) return;
    const lines = this.#open(path, (reason) => {
      logger.error("The audit trail cannot be written, until that is mended: {reason}", { reason });
    });
    this.audit = new AuditTrail(lines);
  }

  /**
   * Opens the files, and starts the log.
   *
   * @param stderr where the log goes without a file, and what prevents one from being written
   * @throws {FerryError} that a file cannot be opened; `usage` if both are the same
   */
  static async open(options: LogOptions, stderr: LineWriter): Promise<LogFiles> {
    assertFilesApart(options);
    const files = new LogFiles(options.audit, stderr);
    const path = options["log-file"];
    const lines = path === undefined ? stderr : files.#open(path, (reason) => {
      stderr.write(`ferryd: the log cannot be written: ${reason}\n`);
    });
    await startLog(lines, { format: options.log, verbose: options.verbose });
    return files;
  }

  #open(path: string, onFailure: (reason: string) => void): LineWriter {
    const file = AppendedFile.open(path, (error) => onFailure(toFerryError(error).message));
    this.#files.push(file);
    const lines = new LineWriter(file, { gather: GATHER_MS });
    this.#lines.push(lines);
    return lines;
  }

  /** Writes to the files that have the names now, after others were renamed. */
  reopen(): void {
    for (const file of this.#files) {
      try {
        file.reopen();
      } catch (error) {
        // The file of the log may have no name any more, so that nobody would read it there.
        this.#stderr.write(
          `ferryd: ${toFerryError(error).message}; the file that is open stays in use\n`,
        );
      }
    }
  }

  /** Waits until everything is written, but not longer than `ms` milliseconds. */
  async flush(ms: number): Promise<void> {
    await Promise.all(this.#lines.map((lines) => lines.flush(ms)));
  }
}
