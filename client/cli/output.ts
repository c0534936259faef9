/**
 * What a command of `ferry` prints: results on standard output, as lines for people or as JSON objects for programs;
 * notices and errors on standard error.
 *
 * @module
 */

import { escapeControls, type FerryError, quote } from "../../lib/core/errors.ts";
import type { NamedReply } from "../net/named_reply.ts";
import type { Retry } from "../net/retry.ts";
import type { SkippedEntry } from "../transfer/omissions.ts";
import type { ProgressDisplay } from "./progress_display.ts";
import { write } from "./stdio.ts";

/** An object that `--json` prints as a line. */
export type JsonEvent = Readonly<Record<string, unknown>>;

/** Options of {@linkcode Output}. */
export interface OutputOptions {
  /** Whether JSON objects are printed instead of lines for people. */
  json: boolean;
  /** Whether nothing but errors is printed. */
  quiet: boolean;
  /** Progress on the terminal, which is erased before anything else is printed. */
  progress: ProgressDisplay;
}

/** Standard output and standard error of one command. */
export class Output {
  /** Whether JSON objects are printed instead of lines for people. */
  readonly json: boolean;
  /** Whether nothing but errors is printed. */
  readonly quiet: boolean;
  /** Progress on the terminal. */
  readonly progress: ProgressDisplay;
  #errors = 0;
  #omissions = 0;
  #retries = 0;

  /** Output as the options say. */
  constructor({ json, quiet, progress }: OutputOptions) {
    this.json = json;
    this.quiet = quiet;
    this.progress = progress;
  }

  /** How many errors have been reported. */
  get errors(): number {
    return this.#errors;
  }

  /** How many files and directories have been reported as left out. */
  get omissions(): number {
    return this.#omissions;
  }

  /** The number of retries since the last call. */
  takeRetries(): number {
    const retries = this.#retries;
    this.#retries = 0;
    return retries;
  }

  /** Prints a line for people; nothing with `--json` or `--quiet`. */
  line(text: string): void {
    this.progress.erase();
    if (!this.quiet && !this.json) write(Deno.stdout, `${text}\n`);
  }

  /** Prints an object for programs, where `--json` asks for that. */
  event(event: JsonEvent): void {
    if (!this.json) return;
    this.progress.erase();
    if (this.quiet && event.event !== "error") return;
    // In JSON, escaped control characters mean the same, and they are safe to show on a terminal.
    write(Deno.stdout, `${escapeControls(JSON.stringify(event))}\n`);
  }

  /** Prints either a line for people, which may be binary data, or an object for programs. */
  say(line: string | Uint8Array, event: JsonEvent): void {
    if (this.json) return this.event(event);
    if (typeof line === "string") return this.line(line);
    this.progress.erase();
    if (this.quiet) return;
    write(Deno.stdout, line);
    write(Deno.stdout, "\n");
  }

  /** With `--json`, reports the success of an operation that has no result of its own. */
  done(op: string, details: JsonEvent): void {
    this.event({ event: "done", op, ...details });
  }

  /** Tells people something that is neither a result nor an error, on standard error. */
  notice(text: string): void {
    if (!this.quiet && !this.json) this.#complain(`ferry: ${text}`);
  }

  /** Reports a file or directory that is left out by a rule. */
  skipped(op: string, { path, reason }: SkippedEntry): void {
    this.#omissions++;
    if (this.json) this.event({ event: "skipped", op, filename: path, reason });
    else this.notice(`skipped ${quote(path)}: ${reason}`);
  }

  /** Reports a reply of the server, which its log has under the request id. */
  reply({ request, status, filename }: NamedReply): void {
    if (this.json) {
      this.event({ event: "reply", request, status, filename: filename ?? null });
    } else this.notice(`request ${request}: ${status}${filename ? ` ${quote(filename)}` : ""}`);
  }

  /** Reports a failure after which the client tries again. */
  retry({ error: { code, message }, attempt, retries, delay }: Retry): void {
    this.#retries++;
    const seconds = roundSeconds(delay / 1000);
    if (this.json) this.event({ event: "retry", attempt, retries, seconds, code, message });
    else {
      this.notice(
        `${message}; trying again in ${seconds.toFixed(1)} s (${attempt} of ${retries})`,
      );
    }
  }

  /** Reports a failure. */
  error(op: string, { code, message }: FerryError, details: JsonEvent = {}): void {
    this.#errors++;
    if (this.json) this.event({ event: "error", op, ...details, code, message });
    else this.#complain(`ferry: ${message}`);
  }

  #complain(text: string): void {
    this.progress.erase();
    write(Deno.stderr, `${text}\n`);
  }
}

/** Seconds since a moment of `performance.now()`. */
export function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

/** Seconds to the microsecond, as `--json` shows them. */
export function roundSeconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}
