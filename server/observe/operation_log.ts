/**
 * The line of the log for each operation that has ended.
 *
 * @module
 */

import { getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import { formatAddress } from "../../lib/core/address.ts";
import { type FerryError, printable, quote } from "../../lib/core/errors.ts";
import { type EndedOperation, levelOf, type Observer, type OperationKind } from "./operation.ts";

const logger = getLogger(["ferry", "server"]);

/** Steps of other operations, and questions: when they succeed, only a verbose log has them. */
const STEPS: ReadonlySet<OperationKind> = new Set<OperationKind>([
  "hello",
  "auth",
  "ping",
  "stat",
  "offer",
  "signature",
  "stage",
  "assemble",
  "piece",
  "request",
]);

/** Logs operations. */
export const operationLog: Observer = {
  ended(operation) {
    const level = levelOfEnded(operation);
    if (!logger.isEnabledFor(level)) return;
    const text = textOf(operation);
    const record: LogRecord = {
      // Without it, the record would be copied to get one.
      category: logger.category,
      level,
      timestamp: operation.time,
      message: [text],
      rawMessage: text,
      properties: fieldsOf(operation),
    };
    logger.emit(record);
  },
};

function levelOfEnded({ op, error }: EndedOperation): LogLevel {
  if (!error) return STEPS.has(op) ? "debug" : "info";
  // A client that gets a directory asks for a file first.
  if (error.code === "not_a_file" && op === "get") return "debug";
  return levelOf(error);
}

/** What an operation is in a text: who did what, and how it ended. */
function textOf(operation: EndedOperation): string {
  const { id, peer, token, error } = operation;
  const who = formatAddress(peer) + (token ? ` (${printable(token.name)})` : "");
  const end = error ? failureText(error) : factsOf(operation);
  return `${who}: ${actionOf(operation)}: ${end} [${id}]`;
}

function failureText(error: FerryError): string {
  const cause = error.code === "internal" ? `: ${Deno.inspect(error.cause ?? error)}` : "";
  return `${error.reason} (${error.code})${cause}`;
}

function factsOf({ stored, unchanged, ...operation }: EndedOperation): string {
  const { received, sent, resumedFrom, exitCode, checksum, seconds } = operation;
  const facts = [
    ...(unchanged ? ["unchanged"] : []),
    ...(stored ? [`${stored.size} bytes`] : []),
    ...(received > 0 && received !== stored?.size ? [`${received} bytes received`] : []),
    ...(sent > 0 ? [`${sent} bytes sent`] : []),
    ...(resumedFrom > 0 ? [`resumed at ${resumedFrom}`] : []),
    ...(exitCode === undefined ? [] : [`exit status ${exitCode}`]),
    `${seconds.toFixed(3)} s`,
    ...(checksum === undefined ? [] : [checksum.includes(":") ? checksum : `md5:${checksum}`]),
  ];
  return facts.join(", ");
}

function actionOf({ op, filename, to, command, http }: EndedOperation): string {
  if (command !== undefined) return `${op} ${quote(command)}`;
  if (filename !== undefined) {
    return `${op} ${quote(filename)}${to === undefined ? "" : ` to ${quote(to)}`}`;
  }
  return http && op === "request" ? `${http.method} ${quote(http.target)}` : op;
}

/**
 * The fields of an operation, flat, with the names that the documents give. Those without a value are left out.
 */
export function fieldsOf(operation: EndedOperation): Record<string, unknown> {
  const { peer, token, filename, to, http, stored, error, exitCode } = operation;
  const fields: Record<string, unknown> = {
    request: operation.id,
    listener: operation.listener,
    peer: formatAddress(peer),
    op: operation.op,
    received: operation.received,
    sent: operation.sent,
    seconds: Math.round(operation.seconds * 1e6) / 1e6,
  };
  if (token) Object.assign(fields, { token: token.id, token_name: token.name });
  if (filename !== undefined) fields.name = filename;
  if (to !== undefined) fields.to = to;
  if (operation.command !== undefined) fields.command = operation.command;
  if (http) Object.assign(fields, http);
  if (stored) {
    fields.size = stored.size;
    fields.unchanged = stored.unchanged;
  }
  if (operation.checksum !== undefined) fields.checksum = operation.checksum;
  if (operation.resumedFrom > 0) fields.resumed_from = operation.resumedFrom;
  if (exitCode !== undefined) fields.exit_code = exitCode;
  if (error) {
    fields.code = error.code;
    fields.reason = error.reason;
    if (error.code === "internal") fields.cause = String(error.cause ?? error);
  }
  return fields;
}
