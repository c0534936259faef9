/**
 * The audit trail: who has logged in, was refused, ran a command, or changed a file.
 *
 * @module
 */

import { formatAddress } from "../../lib/core/address.ts";
import { type ErrorCode, escapeControls } from "../../lib/core/errors.ts";
import type { LineWriter } from "./line_writer.ts";
import type { EndedOperation, Observer, OperationKind, Refusal } from "./operation.ts";
import { fieldsOf } from "./operation_log.ts";

/** What is kept also where it succeeds. */
const AUDITED: ReadonlySet<OperationKind> = new Set<OperationKind>([
  "login",
  "logout",
  "exec",
  "put",
  "piece",
  "mkdir",
  "link",
  "move",
  "remove",
  "discard",
  "publish",
  "share",
  "unshare",
]);

/** Errors that are kept, whatever was asked for. */
const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["auth_required", "denied", "quota"]);

/** Writes the audit trail: one JSON object a line, with the fields of the log. */
export class AuditTrail implements Observer {
  readonly #lines: LineWriter;

  /** @param lines where it is written */
  constructor(lines: LineWriter) {
    this.#lines = lines;
    lines.dropped = (count) => lineOf(Date.now(), { event: "dropped", count });
  }

  ended(operation: EndedOperation): void {
    const { op, error, time } = operation;
    if (!AUDITED.has(op) && !(error && REFUSED.has(error.code))) return;
    this.#write(time, { event: "operation", ok: error === undefined, ...fieldsOf(operation) });
  }

  refused({ peer, listener, reason }: Refusal): void {
    this.#write(Date.now(), { event: "refused", listener, peer: formatAddress(peer), reason });
  }

  /** Keeps an event of the server itself, such as `started`. */
  note(event: string, facts: Readonly<Record<string, unknown>> = {}): void {
    this.#write(Date.now(), { event, ...facts });
  }

  #write(time: number, fields: Readonly<Record<string, unknown>>): void {
    this.#lines.write(lineOf(time, fields));
  }
}

function lineOf(time: number, fields: Readonly<Record<string, unknown>>): string {
  const record = { time: new Date(time).toISOString(), ...fields };
  // In JSON, such characters occur in strings only, where they may be escaped.
  return `${escapeControls(JSON.stringify(record))}\n`;
}
