/**
 * How files, directories and partial uploads of the server are printed.
 *
 * @module
 */

import { algorithmOf, type Checksum, hexOf } from "../../lib/core/checksum.ts";
import { printable } from "../../lib/core/errors.ts";
import type { Entry, PartEntry } from "../../lib/core/entry.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import type { Output } from "./output.ts";

/** Options of lists. */
export interface ListOptions {
  /** Whether sizes are shown in units. Default: false. */
  human?: boolean;
}

/** Prints a file or a directory as one line. */
export function showEntry(
  output: Output,
  op: string,
  entry: Entry,
  { human = false }: ListOptions = {},
): void {
  if (output.json) output.event({ event: "entry", op, ...entryMembers(entry) });
  else output.line(entryLine(entry, human));
}

/** Prints all metadata of a file or a directory. */
export function showDetails(output: Output, entry: Entry): void {
  if (output.json) return output.event({ event: "entry", op: "stat", ...entryMembers(entry) });
  const { filename, type, size, mtime, mode, checksum } = entry;
  output.line(`filename: ${printable(filename || ".")}`);
  output.line(`type:     ${type}`);
  if (type === "file") output.line(`size:     ${size}`);
  output.line(`mtime:    ${new Date(mtime).toISOString()}`);
  output.line(`mode:     ${mode.toString(8).padStart(4, "0")}`);
  if (checksum !== null) {
    output.line(`${`${algorithmOf(checksum)}:`.padEnd(10)}${hexOf(checksum)}`);
  }
}

/** Prints a partial upload. */
export function showPartialUpload(
  output: Output,
  { filename, size, received, mtime, active }: PartEntry,
  { human = false }: ListOptions = {},
): void {
  if (output.json) {
    return output.event({ event: "partial", filename, total_size: size, received, mtime, active });
  }
  const percent = `${Math.floor(received / size * 100)}%`.padStart(4);
  const arrived = sizeText(received, human).padStart(14);
  const state = active ? "active" : "cut   ";
  output.line(
    `${percent} ${arrived} of ${sizeText(size, human)} ${timeText(mtime)} ${state} ${
      printable(filename)
    }`,
  );
}

/** The members for a checksum in an event: `md5` is always present; another algorithm has a member of its own name. */
export function checksumMembers(
  checksum: Checksum | null,
): Readonly<Record<string, string | null>> {
  const algorithm = checksum && algorithmOf(checksum);
  if (!checksum || !algorithm || algorithm === "md5") return { md5: checksum };
  return { md5: null, [algorithm]: hexOf(checksum) };
}

function entryMembers(
  { filename, type, size, mtime, mode, checksum }: Entry,
): Readonly<Record<string, unknown>> {
  return { filename, type, total_size: size, mtime, mode, ...checksumMembers(checksum) };
}

function entryLine(
  { filename, type, size, mtime, mode, checksum }: Entry,
  human: boolean,
): string {
  const bits = (type === "directory" ? "d" : "-") + modeLetters(mode);
  const name = printable(filename) + (type === "directory" ? "/" : "");
  const columns = [
    bits,
    sizeText(size, human).padStart(14),
    timeText(mtime),
    (checksum ?? "-").padEnd(32),
  ];
  return `${columns.join(" ")} ${name}`;
}

function sizeText(size: number, human: boolean): string {
  return human ? formatSize(size) : String(size);
}

/** A time in the time zone of this machine, with its offset from UTC: `2024-02-03 05:05:06 +0100`. */
export function timeText(mtime: number): string {
  const minutes = -new Date(mtime).getTimezoneOffset();
  // A Date ends at ±8.64e15 ms, and the local time must not exceed that either.
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
