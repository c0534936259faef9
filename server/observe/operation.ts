/**
 * What a server tells of the operations of its clients.
 *
 * @module
 */

import type { Address, ListenerKind } from "../../lib/core/address.ts";
import type { Checksum } from "../../lib/core/checksum.ts";
import type { ErrorCode, FerryError } from "../../lib/core/errors.ts";
import type { ProposedUpload, PublishedDirectory, StoredUpload } from "../files/upload.ts";

/**
 * The kind of an operation: an operation of the protocol, where `put` includes uploads over HTTP; `offer`, the question
 * whether a file should be sent; `login`, the end of a login; `logout`; `request`, any other request over HTTP, such as
 * one for a part of the page; `unknown`, what was no valid request.
 */
export type OperationKind =
  | "assemble"
  | "auth"
  | "compare"
  | "discard"
  | "exec"
  | "get"
  | "hello"
  | "link"
  | "list"
  | "login"
  | "logout"
  | "mkdir"
  | "move"
  | "offer"
  | "piece"
  | "ping"
  | "publish"
  | "put"
  | "receipt"
  | "remove"
  | "request"
  | "share"
  | "shares"
  | "signature"
  | "stage"
  | "stat"
  | "unknown"
  | "unshare"
  | "verify";

/** What an operation is about. */
export interface OperationSubject {
  /** What is done. */
  readonly op: OperationKind;
  /** The name of the file or directory that it is about; undefined if there is none. */
  readonly filename?: string | undefined;
  /** The new name of a `move`, or what a `link` leads to. */
  readonly to?: string | undefined;
  /** The command line of an `exec`. */
  readonly command?: string | undefined;
  /** The method and the target of a request over HTTP, without the secret part of a share link. */
  readonly http?: { readonly method: string; readonly target: string } | undefined;
}

/** Who a client is. */
export interface Requester {
  /** The address that it connected from. */
  readonly peer: Address;
  /** The token that it last logged in with, even if that is no longer valid; undefined without a login. */
  readonly token: { readonly id: string; readonly name: string } | undefined;
}

/** An operation that has ended, with success or without. */
export interface EndedOperation extends OperationSubject, Requester {
  /** When it ended, in milliseconds since 1970. */
  readonly time: number;
  /** How long it took, in seconds, from the arrival of its request until its reply was ready or sent. */
  readonly seconds: number;
  /**
   * The request id: the id of the connection, a period, and the number of the request on that connection, from 1 on.
   * Clients can compute it; over HTTP it is the header field `X-Request-Id`.
   */
  readonly id: string;
  /** The kind of the listener that its client came by. */
  readonly listener: ListenerKind;
  /** How many bytes of content were received, those of a compressed connection as they are decompressed. */
  readonly received: number;
  /** How many bytes of content were sent, before they are compressed. */
  readonly sent: number;
  /** The file that it stored; undefined if it stored none, and of several ones the last. */
  readonly stored?: StoredUpload | undefined;
  /** The checksum of the file that was stored or sent, if it is known. */
  readonly checksum?: Checksum | undefined;
  /** The offset at which an interrupted transfer was resumed, in bytes; 0 if it was not. */
  readonly resumedFrom: number;
  /** Whether an upload changed nothing because an identical or newer file existed. */
  readonly unchanged: boolean;
  /** The exit status of a command; undefined if none ran to its end. */
  readonly exitCode?: number | undefined;
  /** The error that it failed with, as the client got it; undefined if it succeeded. */
  readonly error?: FerryError | undefined;
}

/** How many bytes of content have crossed for an operation so far. */
export interface ContentCount {
  /** Bytes received. */
  readonly received: number;
  /** Bytes sent. */
  readonly sent: number;
}

/** An operation that goes on. */
export interface RunningOperation {
  /** The request id; see {@linkcode EndedOperation.id}. */
  readonly id: string;
  /** What it is about. */
  readonly subject: OperationSubject;
  /** The token that its client has shown; undefined without a login. */
  readonly token: Requester["token"];
  /** For how long it has gone on, in seconds. */
  readonly seconds: number;
  /** Counts the bytes of content that have crossed so far. */
  readonly count: () => ContentCount;
}

/** An open connection, and what goes on in it. */
export interface OpenConnection extends Requester {
  /** Its id: random hexadecimal digits, with which the ids of its requests begin. */
  readonly id: string;
  /** The kind of the listener that it came by. */
  readonly listener: ListenerKind;
  /** When it was opened, in milliseconds since 1970. */
  readonly since: number;
  /** For how long it has been open, in seconds, whatever was done to the time of day meanwhile. */
  readonly seconds: number;
  /** What goes on in it. */
  readonly running: ReadonlySet<RunningOperation>;
  /** Closes it immediately, for that reason. The client may connect again, and resume what was cut. */
  close(reason: FerryError): void;
}

/** A client that was turned away before its first request. */
export interface Refusal {
  /** The address that it connected from. */
  readonly peer: Address;
  /** The kind of the listener. */
  readonly listener: ListenerKind;
  /** Why: `limit`, too many connections were open; `tls`, the TLS handshake failed. */
  readonly reason: "limit" | "tls";
}

/**
 * Decides whether an upload is let in, before its content is received. If it fails, the upload is refused: with that
 * error, or with `internal` for what is no {@linkcode FerryError}.
 *
 * @param id the request id, as in {@linkcode EndedOperation.id}
 */
export type BeforeStore = (
  upload: ProposedUpload,
  by: Requester,
  id: string,
) => void | Promise<void>;

/**
 * Is told what happens on the connections of a server. Its methods are called synchronously, must not fail, and take
 * little time.
 */
export interface Observer {
  /** An operation has ended. */
  ended?(operation: EndedOperation): void;
  /**
   * A file was stored, or existed already; the operation has not ended yet. The reply waits for the promise, which must
   * not fail.
   */
  stored?(file: StoredUpload, by: Requester, id: string): void | Promise<void>;
  /** A directory has got its name as a whole. The reply waits for the promise, which must not fail. */
  published?(directory: PublishedDirectory, by: Requester, id: string): void | Promise<void>;
  /** A client was turned away. */
  refused?(refusal: Refusal): void;
  /** A connection was opened. */
  connected?(listener: ListenerKind): void;
  /** A connection ended, with the error if it was cut, or ended in the middle of a message. */
  disconnected?(listener: ListenerKind, by: Requester, error?: FerryError): void;
}

/** The level of the log for an error. */
export type ErrorLevel = "info" | "warning" | "error";

/** Failures of the server itself, which its operator has to look after. */
const SERIOUS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["internal", "io", "no_space"]);

/** Failures that hint at an attack, a limit that is too low or a bad line. */
const SUSPICIOUS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "auth_required",
  "denied",
  "quota",
  "busy",
  "timeout",
  "checksum_mismatch",
  "bad_header",
]);

/** How serious an error is for the operator of the server. */
export function levelOf({ code }: { readonly code: ErrorCode }): ErrorLevel {
  if (SERIOUS.has(code)) return "error";
  return SUSPICIOUS.has(code) ? "warning" : "info";
}
