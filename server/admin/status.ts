/**
 * What a server tells its operator of itself. Times are in seconds, sizes in bytes.
 *
 * @module
 */

import { formatAddress, type Listening } from "../../lib/core/address.ts";
import type { OpenConnection, Requester, RunningOperation } from "../observe/operation.ts";
import type { QuotaUsage } from "../storage/quotas.ts";
import type { CountedTraffic } from "./traffic_counter.ts";

/** The beginning of the targets of all requests: the version of what they take and answer. */
export const API = "/v1";

/** Whether a server serves, lets its last transfers finish, or has lost its files. */
export type ServingState = "serving" | "draining" | "unavailable";

/** A token that a client has shown, flat. */
export interface ShownToken {
  /** The id of the token; absent without one. */
  readonly token?: string;
  /** The name of the token; absent without one. */
  readonly token_name?: string;
}

/** An operation that runs. */
export interface OperationStatus extends ShownToken {
  /** The request id. */
  readonly id: string;
  /** What is done. */
  readonly op: string;
  /** The name that it is about; absent if there is none. */
  readonly name?: string;
  /** The new name, or what a link leads to; absent if there is none. */
  readonly to?: string;
  /** The command line of an `exec`. */
  readonly command?: string;
  /** The method of a request over HTTP. */
  readonly method?: string;
  /** The target of a request over HTTP. */
  readonly target?: string;
  /** Bytes of content received so far. */
  readonly received: number;
  /** Bytes of content sent so far. */
  readonly sent: number;
  /** For how long it has run. */
  readonly seconds: number;
}

/** An open connection. */
export interface ConnectionStatus extends ShownToken {
  /** Its id. */
  readonly id: string;
  /** The kind of the listener that it came by. */
  readonly listener: string;
  /** The address of the client. */
  readonly peer: string;
  /** For how long it has been open. */
  readonly seconds: number;
  /** What runs in it. */
  readonly operations: readonly OperationStatus[];
}

/** An upload that is kept to be resumed, or is being written. */
export interface PartialUploadStatus extends ShownToken {
  /** The name that the file will get. */
  readonly name: string;
  /** The size of the whole file; absent as long as it is not known. */
  readonly size: number;
  /** How much of it is stored. */
  readonly received: number;
  /** For how long nothing was added. */
  readonly seconds: number;
  /** Whether it is being written at the moment. */
  readonly active: boolean;
}

/** A directory that is put together to be published as one, or was left so. */
export interface StagedDirectoryStatus extends ShownToken {
  /** The name that the directory will get. */
  readonly name: string;
  /** The bytes in it; absent as long as they are not counted after a start. */
  readonly bytes?: number;
  /** For how long no client has worked on it. */
  readonly seconds: number;
  /** Whether a client works on it at the moment. */
  readonly active: boolean;
}

/** The state of a server. */
export interface Status {
  /** The version of ferryd. */
  readonly version: string;
  /** Its process. */
  readonly pid: number;
  /** What it serves: a directory, or the URL of a bucket. */
  readonly root: string;
  /** Whether it serves. */
  readonly state: ServingState;
  /** Why it does not; absent if it does. */
  readonly reason?: string;
  /** For how long it has run. */
  readonly seconds: number;
  /** Where it listens: the kind of the listener and `HOST:PORT`. */
  readonly listening: readonly { readonly listener: string; readonly address: string }[];
  /** What has crossed since it was started. */
  readonly totals: CountedTraffic;
  /** The open connections. */
  readonly connections: readonly ConnectionStatus[];
  /** The quotas of the whole and of tokens, and what is in use of them. */
  readonly quotas: readonly QuotaUsage[];
  /** The partial uploads of all clients. */
  readonly partial_uploads: readonly PartialUploadStatus[];
  /** The directories of all clients that are put together to be published as one. */
  readonly staged_directories: readonly StagedDirectoryStatus[];
}

/** A connection that was closed at the request of an operator. */
export type KickedConnection = Omit<ConnectionStatus, "operations" | "seconds">;

/** The address of a listener. */
export function listenerStatus({ kind, ...address }: Listening): Status["listening"][number] {
  return { listener: kind, address: formatAddress(address) };
}

/** An open connection. */
export function connectionStatus(connection: OpenConnection): ConnectionStatus {
  const seconds = toMilliseconds(connection.seconds);
  const operations = [...connection.running].map(operationStatus);
  return { ...identityOf(connection), seconds, operations };
}

/** What tells a connection from others. */
export function identityOf(connection: OpenConnection): KickedConnection {
  const { id, listener, peer, token } = connection;
  return { id, listener, peer: formatAddress(peer), ...shownToken(token) };
}

function operationStatus(operation: RunningOperation): OperationStatus {
  const { id, subject: { op, filename, to, command, http }, token, seconds } = operation;
  return {
    id,
    op,
    ...(filename === undefined ? {} : { name: filename }),
    ...(to === undefined ? {} : { to }),
    ...(command === undefined ? {} : { command }),
    ...http,
    ...shownToken(token),
    ...operation.count(),
    seconds: toMilliseconds(seconds),
  };
}

/** Rounded to milliseconds, which is as exact as anybody wants it. */
export function toMilliseconds(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/** A token, flat. */
export function shownToken(token: Requester["token"]): ShownToken {
  return token ? { token: token.id, token_name: token.name } : {};
}
