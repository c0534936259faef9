/**
 * Renders the progress of transfers as lines of text, which fit into the width of the terminal.
 *
 * @module
 */

import stringWidth from "string-width";
import { formatSize } from "../../lib/core/quantities.ts";
import {
  bytesDone,
  isFinished,
  rateOf,
  type RunningTransfer,
  type TransfersState,
} from "./progress_state.ts";

/** The progress of a single transfer. */
export interface ProgressState {
  /** The name that is shown. */
  filename: string;
  /** Bytes that are done. */
  bytes: number;
  /** Bytes in all; null for a stream. */
  total: number | null;
  /** Seconds since its start. */
  seconds: number;
  /** How many of the bytes an earlier attempt had transferred. Default: 0. */
  from?: number | undefined;
}

/** Options of {@linkcode renderTransfers}. */
export interface RenderOptions {
  /** The width of a line. */
  columns: number;
  /** The most lines. */
  rows: number;
  /** Whether lines are coloured by escape sequences. */
  color: boolean;
}

/** The line of a single transfer, with its bytes, its speed and the time left. */
export function renderProgress(state: ProgressState, columns: number): string {
  const { filename, bytes, total, seconds, from = 0 } = state;
  const rate = seconds > 0 ? Math.max(0, bytes - from) / seconds : 0;
  const line = transferLine({ filename, bytes, total, from }, rate);
  return renderLine(line, { columns, color: false });
}

/**
 * A line for each running transfer, and a last one for all of them together. Transfers that do not fit are counted in
 * one line. A single file has one line only.
 */
export function renderTransfers(
  state: TransfersState,
  { columns, rows, color }: RenderOptions,
): string[] {
  const { running, files, now } = state;
  const single = files.total === 1 && running.length === 1;
  const room = Math.max(0, single ? rows : rows - 1);
  // "and 1 more" would take up the line of the transfer itself.
  const shown = running.length <= room ? running : running.slice(0, Math.max(0, room - 1));
  const lines = shown.map((transfer) =>
    renderLine(transferLine(transfer, rateOf(transfer.meter, now)), { columns, color })
  );
  const hidden = running.length - shown.length;
  if (hidden > 0 && room > 0) lines.push(cut(`and ${hidden} more`, columns));
  if (!single && rows > 0) lines.push(renderLine(overallLine(state), { columns, color }));
  return lines;
}

/** The parts of a line, before they are fitted into its width. */
interface Line {
  /** A name, which is shortened at its beginning, or texts, of which the first that fits is shown. */
  label: string | readonly string[];
  /** The fraction that is done, from 0 to 1; undefined where it is not known. */
  fraction: number | undefined;
  facts: readonly Fact[];
}

/** One of the columns at the right. */
interface Fact {
  text: string;
  /** In a narrow terminal, columns with a higher rank are left out first. */
  rank: number;
}

/** The label gets at least this width before columns are left out. */
const MIN_LABEL = 8;

/** The width of a label beside a bar. */
const BAR_LABEL = 20;
const MIN_BAR = 12;
const MAX_BAR = 30;

function transferLine(
  { filename, bytes, total, from }: Pick<RunningTransfer, "filename" | "bytes" | "total" | "from">,
  rate: number,
): Line {
  const fraction = total === null ? undefined : total === 0 ? 1 : Math.min(1, bytes / total);
  const left = total === null ? undefined : secondsLeft(total - bytes, rate);
  const label = from > 0 ? `${filename} (from ${positionOf(from, total)})` : filename;
  return { label, fraction, facts: facts({ fraction, bytes, rate, seconds: left }) };
}

/** The position in a file from which a transfer was resumed. */
function positionOf(from: number, total: number | null): string {
  return total ? `${Math.floor(from / total * 100)}%` : bytesOf(from);
}

function overallLine(state: TransfersState): Line {
  const { files, bytes, now } = state;
  const finished = isFinished(state);
  const done = bytesDone(state);
  const elapsed = (now - state.meter.started) / 1000;
  const rate = finished ? (elapsed > 0 ? state.moved / elapsed : 0) : rateOf(state.meter, now);
  const fraction = finished ? 1 : overallFraction(state);
  const seconds = finished
    ? elapsed
    : bytes.total === null
    ? undefined
    : secondsLeft(bytes.total - done, rate);

  const counted = files.total === null ? `${files.done}` : `${files.done}/${files.total}`;
  const word = (files.total ?? files.done) === 1 ? "file" : "files";
  const size = bytes.total === null ? "" : `, ${bytesOf(bytes.total)}`;
  return {
    label: [
      `${counted} ${word}${size}`,
      `${counted} ${word}`,
      counted,
    ],
    fraction,
    facts: facts({ fraction, bytes: done, rate, seconds }),
  };
}

/** The fraction that is done, but never 1: the last file may have arrived without being committed yet. */
function overallFraction({ files, bytes, ...state }: TransfersState): number | undefined {
  if (files.total === null || bytes.total === null) return undefined;
  const fraction = bytes.total > 0
    ? bytesDone({ files, bytes, ...state }) / bytes.total
    : files.done / Math.max(1, files.total);
  return Math.min(0.999, fraction);
}

function facts({ fraction, bytes, rate, seconds }: {
  fraction: number | undefined;
  bytes: number;
  rate: number;
  seconds: number | undefined;
}): Fact[] {
  // A stream shows its progress only in bytes.
  const known = fraction !== undefined;
  const percent = known ? `${Math.floor(fraction * 100)}%` : "";
  return [
    { text: percent.padStart(4), rank: known ? 0 : 3 },
    { text: bytesOf(bytes).padStart(10), rank: known ? 3 : 0 },
    { text: `${bytesOf(rate)}/s`.padStart(12), rank: 1 },
    { text: (seconds === undefined ? "" : duration(seconds)).padStart(8), rank: known ? 2 : 4 },
  ];
}

function renderLine(
  line: Line,
  { columns, color }: Pick<RenderOptions, "columns" | "color">,
): string {
  let shown = line.facts;
  while (shown.length > 1 && columns - widthOf(shown) - 1 < MIN_LABEL) {
    const least = Math.max(...shown.map(({ rank }) => rank));
    shown = shown.filter(({ rank }) => rank < least);
  }
  const text = shown.map(({ text }) => text).join(" ");
  const room = columns - widthOf(shown) - 1;
  if (room < 4) return cut(text.trimStart(), columns);
  const bar = room - BAR_LABEL - 1 < MIN_BAR ? 0 : Math.min(MAX_BAR, room - BAR_LABEL - 1);
  if (bar === 0) return `${renderLabel(line.label, room)} ${text}`;
  const label = renderLabel(line.label, room - bar - 1);
  return `${label} ${renderBar(line.fraction, bar, color)} ${text}`;
}

function renderLabel(label: Line["label"], width: number): string {
  if (typeof label === "string") return fit(label, width);
  return fit(label.find((text) => text.length <= width) ?? label.at(-1)!, width);
}

/** A bar in brackets. Its ASCII characters are one column wide in every terminal. */
function renderBar(fraction: number | undefined, width: number, color: boolean): string {
  if (fraction === undefined) return " ".repeat(width);
  const inner = width - 2;
  const full = Math.floor(fraction * inner);
  const done = "=".repeat(full) + (full < inner ? ">" : "");
  return `[${color ? `\x1b[32m${done}\x1b[39m` : done}${" ".repeat(inner - done.length)}]`;
}

function widthOf(facts: readonly Fact[]): number {
  return facts.reduce((sum, { text }) => sum + text.length + 1, -1);
}

function bytesOf(count: number): string {
  return formatSize(Math.round(count), { minimumFractionDigits: 1 });
}

/** The seconds left at this speed; Infinity where nothing is transferred. */
function secondsLeft(bytes: number, rate: number): number {
  if (bytes <= 0) return 0;
  return rate > 0 ? bytes / rate : Infinity;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const hours = Math.floor(whole / 3600);
  // A time of a year or more is meaningless.
  if (!(hours < 24 * 365)) return "-:--";
  if (hours >= 100) return `${Math.floor(hours / 24)} days`;
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  return hours > 0 ? `${hours}:${parts.join(":")}` : parts.join(":");
}

function cut(text: string, columns: number): string {
  return text.slice(0, Math.max(0, columns));
}

/** Splits a text into what users see as characters, which may consist of several code points. */
const characters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** A name in exactly this width. A long one is shortened at its beginning, since its end tells more. */
function fit(name: string, width: number): string {
  const safe = name.replace(/\p{C}/gu, "?");
  let used = stringWidth(safe);
  if (used <= width) return safe + " ".repeat(width - used);
  const shown = [...characters.segment(safe)].map(({ segment }) => segment);
  while (used > width - 1) used -= stringWidth(shown.shift()!);
  return `…${shown.join("")}${" ".repeat(width - 1 - used)}`;
}
