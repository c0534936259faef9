/**
 * How the state of a server is printed.
 *
 * @module
 */

import stringWidth from "string-width";
import { printable, quote } from "../../lib/core/errors.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import type {
  ConnectionStatus,
  OperationStatus,
  PartialUploadStatus,
  ShownToken,
  StagedDirectoryStatus,
  Status,
} from "../admin/status.ts";

/** An operation that runs, and how fast. */
export interface MeasuredOperation extends OperationStatus {
  /** Bytes of content that crossed per second in the time between two looks; null if it began between them. */
  readonly rate: number | null;
}

/** A connection with operations that are measured. */
export interface MeasuredConnection extends ConnectionStatus {
  readonly operations: readonly MeasuredOperation[];
}

/** The state of a server, with rates. */
export interface MeasuredStatus extends Status {
  readonly connections: readonly MeasuredConnection[];
}

/** The later of two states of a server, with what crossed between them. */
export function measured(before: Status, after: Status): MeasuredStatus {
  const earlier = new Map(
    before.connections.flatMap(({ operations }) => operations).map((each) => [each.id, each]),
  );
  const seconds = after.seconds - before.seconds;
  const rateOf = (operation: OperationStatus) => {
    const known = earlier.get(operation.id);
    return known && seconds > 0
      ? Math.round((bytesOf(operation) - bytesOf(known)) / seconds)
      : null;
  };
  const connections = after.connections.map(({ operations, ...connection }) => ({
    ...connection,
    operations: operations.map((each) => ({ ...each, rate: rateOf(each) })),
  }));
  return { ...after, connections };
}

/** A state as text for people. */
export function statusText(status: MeasuredStatus): string {
  const { version, pid, root, state, reason, seconds, listening, totals } = status;
  const serving = { serving: "serves", draining: "ends; it served", unavailable: "cannot serve" };
  const why = reason === undefined ? "" : `: ${printable(reason)}`;
  const operations = status.connections.flatMap((each) => each.operations);
  const sections = [
    [
      `ferryd ${version}, process ${pid}, ${serving[state]} ${quote(root)}${why}`,
      `started    ${durationText(seconds)} ago`,
      `listening  ${listening.map(({ listener, address }) => `${listener} ${address}`).join(", ")}`,
      `so far     ${count(totals.connections, "connection")}, ${totals.refused} refused; ` +
      `${count(totals.operations, "operation")}, ${totals.failed} failed; ` +
      `${count(totals.stored, "file")} stored; ` +
      `${formatSize(totals.received)} received, ${formatSize(totals.sent)} sent`,
      ...status.quotas.map((each) => `quota      ${quotaText(each)}`),
    ],
    table(
      ["CONNECTION", "LISTENER", "PEER", "OPEN FOR", "TOKEN"],
      status.connections.map((each) => [
        each.id,
        each.listener,
        each.peer,
        durationText(each.seconds),
        tokenText(each),
      ]),
    ),
    table(
      ["REQUEST", "OPERATION", "BYTES", "RATE", "TIME", "TOKEN", "NAME"],
      operations.map((each) => [
        each.id,
        each.op,
        formatSize(bytesOf(each)),
        each.rate === null ? "-" : `${formatSize(each.rate)}/s`,
        durationText(each.seconds),
        tokenText(each),
        subjectText(each),
      ]),
    ),
    table(
      ["PARTIAL UPLOAD", "OF", "SINCE", "TOKEN", "NAME"],
      status.partial_uploads.map((each: PartialUploadStatus) => [
        formatSize(each.received),
        formatSize(each.size),
        each.active ? "now" : durationText(each.seconds),
        tokenText(each),
        printable(each.name),
      ]),
    ),
    table(
      ["STAGED", "SINCE", "TOKEN", "DIRECTORY"],
      status.staged_directories.map((each: StagedDirectoryStatus) => [
        each.bytes === undefined ? "?" : formatSize(each.bytes),
        each.active ? "now" : durationText(each.seconds),
        tokenText(each),
        printable(each.name),
      ]),
    ),
  ];
  return sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n")).join("\n\n");
}

/** A connection in a line. */
export function connectionText(
  { id, listener, peer, ...shown }: Pick<ConnectionStatus, "id" | "listener" | "peer"> & ShownToken,
): string {
  const token = tokenText(shown);
  return `${id} of ${peer} by ${listener}${token === "-" ? "" : `, ${token}`}`;
}

/** What still goes on in a server that ends, in a line. */
export function runningText(operations: readonly OperationStatus[]): string {
  if (operations.length === 0) return "nothing runs any more";
  const bytes = formatSize(operations.reduce((sum, each) => sum + bytesOf(each), 0));
  return `${count(operations.length, "operation")} left, ${bytes} so far`;
}

/** How many bytes of content have crossed. */
function bytesOf({ received, sent }: OperationStatus): number {
  return received + sent;
}

/** A number with a noun: `1 file`, `2 files`. */
function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function quotaText({ whose, directories, used, limit }: Status["quotas"][number]): string {
  const where = directories.map((each) => printable(`${each}/`)).join(", ");
  const of = whose === undefined ? "" : ` of ${printable(whose)} for ${where}`;
  return `${used === undefined ? "?" : formatSize(used)} of ${formatSize(limit)}${of}`;
}

function tokenText({ token, token_name: name }: ShownToken): string {
  return token === undefined ? "-" : printable(name || token);
}

function subjectText({ name, to, command, method, target }: OperationStatus): string {
  if (command !== undefined) return quote(command);
  if (name === undefined) return method === undefined ? "-" : `${method} ${printable(target!)}`;
  return printable(name) + (to === undefined ? "" : ` to ${printable(to)}`);
}

/** A duration in the two largest units: `45 s`, `12 min 3 s`, `3 d 4 h`. */
function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  return units.slice(first, first + 2)
    .map(([unit, size], at) => {
      const rest = at === 0 ? whole : whole % units[first]![1];
      return `${Math.floor(rest / size)} ${unit}`;
    }).join(" ");
}

/** Rows below a head, in columns; no lines if there are no rows. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...all.map((row) => stringWidth(row[at]!))));
  return all.map((row) =>
    row.map((cell, at) => cell + " ".repeat(widths[at]! - stringWidth(cell))).join("  ").trimEnd()
  );
}
