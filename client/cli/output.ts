/**
 * What the program `ferry` says: lines for people, JSON objects for machines, progress for terminals.
 *
 * @module
 */

import { algorithmOf, type Checksum, hexOf } from "../../lib/core/checksum.ts";
import {
  escapeControls,
  type FerryError,
  printable,
  quote,
  toFerryError,
} from "../../lib/core/errors.ts";
import { type Entry, type PartEntry, type Unkept, unkeptKey } from "../../lib/core/entry.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import type { SkippedEntry } from "../transfer/omissions.ts";
import type { Retry } from "../net/retry.ts";
import type { Progress, Transferred } from "../transfer/options.ts";
import type { renderProgress, renderTransfers } from "./progress.ts";
import {
  noTransfers,
  reduceTransfers,
  type TransfersEvent,
  type TransfersState,
} from "./progress_state.ts";

/** How often progress is drawn, in milliseconds. */
const REDRAW_MS = 100;

/** How many lines of progress there are at most. */
const MAX_LINES = 8;

/** What is said where a file system does not keep something. */
const UNKEPT: Readonly<Record<Unkept, string>> = {
  mtime: "modification times are not kept",
  mtime_fraction: "modification times are kept in steps of a second or two only",
  mode: "permission bits are not kept",
};

/** How output is to look. */
export interface OutputOptions {
  /** One JSON object a line. */
  json: boolean;
  /** Errors only. */
  quiet: boolean;
  /** Whether transfers are only foreseen, and shown as that. */
  dryRun?: boolean | undefined;
  /** Draws progress on stderr, where that is wanted. */
  progress?: ProgressRenderer | undefined;
}

/** How a list is to look. */
export interface ListOptions {
  /** Whether sizes are in units. */
  human?: boolean;
}

/** What `progress.ts` exports; it is loaded only where it is needed. */
export interface ProgressRenderer {
  /** Draws one transfer. */
  renderProgress: typeof renderProgress;
  /** Draws many. */
  renderTransfers: typeof renderTransfers;
}

/** What became of all that a command was to transfer. */
interface Tally {
  /** Files that were transferred. */
  moved: number;
  /** Files that were there already. */
  unchanged: number;
  /** What was left out by a rule: links, pipes, … */
  omitted: number;
  /** Files and directories that failed. */
  failed: number;
  /** Bytes that crossed. */
  bytes: number;
}

/** Standard output and standard error of one run of the program. */
export class Output {
  readonly #options: OutputOptions;
  /** How many lines of progress stand on the terminal. */
  #drawn = 0;
  /** How far the files of a directory are, where many are being transferred. */
  #many: TransfersState | undefined;
  /** The single file that is being transferred, when that began, and how much of it was there. */
  #single: { filename: string; started: number; from: number } | undefined;
  /** How often the transfer under way was repeated. */
  #retries = 0;
  /** What was said not to be kept. */
  readonly #unkept = new Set<Unkept>();
  readonly #tally: Tally = { moved: 0, unchanged: 0, omitted: 0, failed: 0, bytes: 0 };
  #lastDraw = -Infinity;

  /** Output that looks as the options say. */
  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** Draws how far a transfer is that began at `started` (of `performance.now()`). */
  progress(progress: Progress, started: number): void {
    const renderer = this.#options.progress;
    if (!renderer) return;
    const now = performance.now();
    const { filename, bytes, total, resumedFrom = 0 } = progress;
    if (this.#many) {
      const known = this.#many.running.some((transfer) => transfer.filename === filename);
      if (!known) this.#note({ type: "began", filename, total, bytes: resumedFrom });
      this.#note({ type: "moved", filename, bytes });
    } else {
      // A repetition goes on behind what this run has moved itself.
      const same = this.#single?.filename === filename && this.#single.started === started;
      const { from } = this.#single = same
        ? this.#single!
        : { filename, started, from: resumedFrom };
      const state = { filename, bytes, total, from, seconds: (now - started) / 1000 };
      this.#draw(now, (columns) => [renderer.renderProgress(state, columns)]);
    }
  }

  /** From now on, until the end, progress is that of many files. */
  startMany(): void {
    this.#many = noTransfers(performance.now());
  }

  /** From now on progress is that of one file again. */
  endMany(): void {
    this.#many = undefined;
  }

  /** Tells how much there is to do in all. */
  plan(files: number, bytes: number): void {
    this.#note({ type: "planned", files, bytes });
  }

  /** Takes note of something that happened in a directory, and draws what has become of it. */
  #note(event: TransfersEvent): void {
    const renderer = this.#options.progress;
    if (!this.#many || !renderer) return;
    const now = performance.now();
    this.#many = reduceTransfers(this.#many, event, now);
    this.#draw(now, (columns, rows) => {
      const state = reduceTransfers(this.#many!, { type: "tick" }, now);
      return renderer.renderTransfers(state, { columns, rows, color: !Deno.noColor });
    });
  }

  /** A file of a directory is done with, one way or another. */
  #ended({ filename, size, skipped }: Transferred): void {
    if (!this.#many || !this.#options.progress) return;
    if (skipped) return this.#note({ type: "skipped", files: 1, bytes: size });
    if (!this.#many.running.some((transfer) => transfer.filename === filename)) {
      // A small one crosses as a whole.
      this.#note({ type: "began", filename, total: size });
      this.#note({ type: "moved", filename, bytes: size });
    }
    this.#note({ type: "ended", filename });
  }

  #draw(now: number, render: (columns: number, rows: number) => string[]): void {
    if (now - this.#lastDraw < REDRAW_MS) return;
    this.#lastDraw = now;
    const { columns, rows } = consoleSize();
    const lines = render(columns, Math.max(1, Math.min(MAX_LINES, rows - 1)));
    write(Deno.stderr, this.#erasure() + lines.join("\n"));
    this.#drawn = lines.length;
  }

  /** What takes away the lines that were drawn last. */
  #erasure(): string {
    return this.#drawn === 0 ? "" : `\r${"\x1b[A".repeat(this.#drawn - 1)}\x1b[J`;
  }

  /** Counts a transfer that ended well, for the summary. */
  count({ skipped, transferred }: Pick<Transferred, "skipped" | "transferred">): void {
    if (skipped) this.#tally.unchanged++;
    else this.#tally.moved++;
    this.#tally.bytes += transferred;
  }

  /** Reports a transfer that ended well; `shown` is the name that people see. */
  transferred(
    op: "put" | "get",
    shown: string,
    result: Transferred,
    seconds: number,
    { tree = false } = {},
  ): void {
    const { filename, checksum, size, skipped, transferred, resumedFrom, unkept = [] } = result;
    this.#ended(result);
    this.count(result);
    if (this.#options.dryRun) return this.#foreseen(op, shown, result, { tree });
    if (this.#options.json) {
      const bytes = op === "put" ? { bytes_sent: transferred } : { bytes_received: transferred };
      const path = op === "get" ? { path: shown } : {};
      this.#json({
        event: "done",
        op,
        filename,
        ...path,
        ...checksumMembers(checksum),
        total_size: size,
        seconds: round(seconds),
        ...bytes,
        resumed_from: resumedFrom,
        skipped,
        retries: this.#retries,
        ...unkeptKey(unkept),
      });
      this.#retries = 0;
      // In a directory, what was there already is counted and not shown.
    } else if (!tree || !skipped) {
      const line = Deno.stdout.isTerminal() ? shownSumLine : md5sumLine;
      this.line(line(hexOf(checksum ?? ""), shown));
    }
    // Once is enough for all files.
    for (const kind of unkept.filter((kind) => !this.#unkept.has(kind))) {
      this.#unkept.add(kind);
      this.notice(`${UNKEPT[kind]} (${op === "put" ? "on the server" : "on this machine"})`);
    }
  }

  /** Shows what would become of a file. */
  #foreseen(
    op: "put" | "get",
    shown: string,
    { filename, size, skipped }: Transferred,
    { tree }: { tree: boolean },
  ): void {
    if (this.#options.json) {
      const path = op === "get" ? { path: shown } : {};
      this.#json({ event: "planned", op, filename, ...path, total_size: size, skipped });
    } else if (!skipped) this.line(`would ${op} ${printable(shown)}`);
    else if (!tree) this.line(`would leave ${printable(shown)} as it is`);
  }

  /**
   * Says at the end what became of all that was transferred, left out or failed.
   *
   * @param trees whether directories were transferred; without them it is said only where something was left out
   */
  summary(seconds: number, { trees }: { trees: boolean }): void {
    const { moved, unchanged, omitted, failed, bytes } = this.#tally;
    if (!trees && omitted === 0) return;
    const { dryRun, json } = this.#options;
    if (json) {
      const counts = { files: moved, skipped: unchanged, failed, bytes, omitted };
      if (dryRun) Object.assign(counts, { dry_run: true });
      return this.#json({ event: "summary", ...counts, seconds: round(seconds) });
    }
    // To write a number as people do, the runtime first looks up how: that takes as long as many files.
    if (this.#options.quiet) return;
    const size = formatSize(bytes);
    const done = dryRun ? `${moved} would be transferred` : `${moved} transferred (${size})`;
    const parts = [done, `${unchanged} unchanged`];
    if (omitted > 0) parts.push(`${omitted} skipped`);
    if (failed > 0) parts.push(`${failed} failed`);
    this.notice(parts.join(", "));
  }

  /** Says what is left out by a rule, and why. */
  skipped(op: string, { path, reason }: SkippedEntry): void {
    this.#tally.omitted++;
    if (this.#options.json) this.#json({ event: "skipped", op, filename: path, reason });
    else this.notice(`skipped ${quote(path)}: ${reason}`);
  }

  /** Says something that is neither a result nor a failure. */
  notice(text: string): void {
    if (!this.#options.quiet && !this.#options.json) this.#complain(`ferry: ${text}`);
  }

  /** Reports that something was done that has no result. */
  done(op: string, details: Readonly<Record<string, unknown>>): void {
    if (this.#options.json) this.#json({ event: "done", op, ...details });
  }

  /** Says something: a line to people, which may be no text, or an object to machines. */
  say(line: string | Uint8Array, event: Readonly<Record<string, unknown>>): void {
    if (this.#options.json) return this.#json(event);
    if (typeof line === "string") return this.line(line);
    this.#clear();
    if (this.#options.quiet) return;
    write(Deno.stdout, line);
    write(Deno.stdout, "\n");
  }

  /** Shows a file or a directory as one line. */
  entry(op: string, entry: Entry, { human = false }: ListOptions = {}): void {
    if (this.#options.json) this.#json({ event: "entry", op, ...wireEntry(entry) });
    else this.line(entryLine(entry, human));
  }

  /** Shows all that is known of a file or a directory. */
  details(entry: Entry): void {
    if (this.#options.json) return this.#json({ event: "entry", op: "stat", ...wireEntry(entry) });
    const { filename, type, size, mtime, mode, checksum } = entry;
    this.line(`filename: ${printable(filename || ".")}`);
    this.line(`type:     ${type}`);
    if (type === "file") this.line(`size:     ${size}`);
    this.line(`mtime:    ${new Date(mtime).toISOString()}`);
    this.line(`mode:     ${mode.toString(8).padStart(4, "0")}`);
    if (checksum !== null) {
      this.line(`${`${algorithmOf(checksum)}:`.padEnd(10)}${hexOf(checksum)}`);
    }
  }

  /** Says what went wrong and what is done about it. */
  retry({ error, attempt, retries, delay }: Retry): void {
    this.#retries++;
    const { code, message } = error;
    const seconds = round(delay / 1000);
    if (this.#options.json) {
      this.#json({ event: "retry", attempt, retries, seconds, code, message });
    } else if (!this.#options.quiet) {
      const when = `trying again in ${seconds.toFixed(1)} s (${attempt} of ${retries})`;
      this.#complain(`ferry: ${message}; ${when}`);
    }
  }

  /** Shows an upload that was cut. */
  part(part: PartEntry, { human = false }: ListOptions = {}): void {
    const { filename, size, received, mtime, active } = part;
    if (this.#options.json) {
      return this.#json({ event: "partial", filename, total_size: size, received, mtime, active });
    }
    const percent = `${Math.floor(received / size * 100)}%`.padStart(4);
    const time = timeText(mtime);
    const state = active ? "active" : "cut   ";
    this.line(
      `${percent} ${sizeText(received, human).padStart(14)} of ${
        sizeText(size, human)
      } ${time} ${state} ${printable(filename)}`,
    );
  }

  /** Reports a failure. */
  error(op: string, error: FerryError, details: Readonly<Record<string, unknown>> = {}): void {
    const { code, message } = error;
    this.#tally.failed++;
    if (this.#options.json) this.#json({ event: "error", op, ...details, code, message });
    else this.#complain(`ferry: ${message}`);
  }

  /** A line for people. */
  line(text: string): void {
    this.#clear();
    if (!this.#options.quiet && !this.#options.json) write(Deno.stdout, `${text}\n`);
  }

  #json(event: Readonly<Record<string, unknown>>): void {
    this.#clear();
    if (!this.#options.quiet || event.event === "error") {
      // A JSON text means the same with its control characters escaped, and can be looked at.
      write(Deno.stdout, `${escapeControls(JSON.stringify(event))}\n`);
    }
  }

  #complain(text: string): void {
    this.#clear();
    write(Deno.stderr, `${text}\n`);
  }

  #clear(): void {
    if (this.#drawn > 0) write(Deno.stderr, this.#erasure());
    this.#drawn = 0;
  }
}

/**
 * A line as md5sum prints it: a name with a backslash or a line break is escaped, and the line begins
 * with a backslash then (GNU coreutils manual, "cksum output modes").
 */
export function md5sumLine(md5: string, name: string): string {
  const escaped = name.replace(
    /[\\\n\r]/g,
    (c) => c === "\\" ? "\\\\" : c === "\n" ? "\\n" : "\\r",
  );
  return `${escaped === name ? "" : "\\"}${md5}  ${escaped}`;
}

/** Such a line for people: a terminal must not obey what stands in a name. */
export function shownSumLine(md5: string, name: string): string {
  return escapeControls(name) === name ? md5sumLine(md5, name) : `${md5}  ${printable(name)}`;
}

function entryLine(
  { filename, type, size, mtime, mode, checksum }: Entry,
  human: boolean,
): string {
  const time = timeText(mtime);
  const bits = (type === "directory" ? "d" : "-") + modeLetters(mode);
  const name = printable(filename) + (type === "directory" ? "/" : "");
  return `${bits} ${sizeText(size, human).padStart(14)} ${time} ${
    (checksum ?? "-").padEnd(32)
  } ${name}`;
}

function sizeText(size: number, human: boolean): string {
  return human ? formatSize(size) : String(size);
}

/** A time as it is here, and how far that is from UTC: `2024-02-03 05:05:06 +0100`. */
function timeText(mtime: number): string {
  const minutes = -new Date(mtime).getTimezoneOffset();
  // The first and the last moment that there is a date for have none that is later or earlier.
  const shown = Math.min(Math.max(mtime + minutes * 60_000, -8.64e15), 8.64e15);
  const local = new Date(shown).toISOString();
  const two = (count: number) => String(Math.floor(count)).padStart(2, "0");
  const offset = two(Math.abs(minutes) / 60) + two(Math.abs(minutes) % 60);
  return `${local.slice(0, 19).replace("T", " ")} ${minutes < 0 ? "-" : "+"}${offset}`;
}

function modeLetters(mode: number): string {
  return [...mode.toString(8).padStart(3, "0")]
    .map((digit) => Number(digit))
    .map((bits) => (bits & 4 ? "r" : "-") + (bits & 2 ? "w" : "-") + (bits & 1 ? "x" : "-"))
    .join("");
}

function wireEntry(
  { filename, type, size, mtime, mode, checksum }: Entry,
): Readonly<Record<string, unknown>> {
  return { filename, type, total_size: size, mtime, mode, ...checksumMembers(checksum) };
}

/** A checksum in an event: `md5`, and beside it what else was asked for by its own name. */
function checksumMembers(checksum: Checksum | null): Readonly<Record<string, string | null>> {
  const algorithm = checksum && algorithmOf(checksum);
  if (!checksum || !algorithm || algorithm === "md5") return { md5: checksum };
  return { md5: null, [algorithm]: hexOf(checksum) };
}

function round(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e6;
}

function consoleSize(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}

/**
 * Writes all of a text, or of bytes; a reader that went away (`ferry ls | head`) ends the program quietly.
 */
export function write(
  to: { writeSync(bytes: Uint8Array): number },
  content: string | Uint8Array,
): void {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) endOfPipe();
    // Nobody can be told, and what is being done goes on.
    if (to === Deno.stderr) return;
    throw toFerryError(error).during("write to standard output");
  }
}

/** Ends the program as a shell reports one that SIGPIPE ended: 128 + 13. */
export function endOfPipe(): never {
  Deno.exit(141);
}
