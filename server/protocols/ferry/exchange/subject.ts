/**
 * What the log and other observers are told of a request.
 *
 * @module
 */

import type { Request } from "../../../../lib/wire/operations/operations.ts";
import type { OperationSubject } from "../../../observe/operation.ts";

/** Matches an argument that a shell takes as it is. */
const PLAIN = /^[\w@%+=:,./-]+$/;

/** What a request is about. */
export function subjectOf(request: Request): OperationSubject {
  const { op } = request;
  if (op === "put") return { op: request.offer ? "offer" : op, filename: request.filename };
  if (op === "exec") return { op, command: request.command ?? commandLineOf(request.argv ?? []) };
  // A client's final SCRAM message begins with the channel binding.
  if (op === "auth") return { op: request.scram.startsWith("c=") ? "login" : op };
  return {
    op,
    filename: "filename" in request ? request.filename : undefined,
    to: "to" in request ? request.to : "target" in request ? request.target : undefined,
  };
}

function commandLineOf(argv: readonly string[]): string {
  return argv.map((each) => PLAIN.test(each) ? each : JSON.stringify(each)).join(" ");
}
