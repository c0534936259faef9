/**
 * The declaration of an operation: the headers of its messages and the access that it needs.
 *
 * @module
 */

import type { Scope } from "../../core/scope.ts";
import type { Schema } from "../schema.ts";

/**
 * One operation of the protocol. Its handler is in `server/protocols/ferry/handlers`, and the client has a method
 * for it.
 */
export interface Operation<Request, Reply> {
  /** The value of the key `op`. */
  readonly name: string;
  /** What it does, in one or two sentences. */
  readonly description: string;
  /** The access that it needs. */
  readonly needs: (subject: Subject) => readonly Need[];
  /** The header of the request. */
  readonly request: Schema<Request>;
  /** The header of the reply, unless that reports an error. */
  readonly reply: Schema<Reply>;
  /** The header of the reply to an offer: a request that only asks whether its body should follow. */
  readonly offer?: Schema<unknown>;
  /** The schemas of the lines of JSON in the reply's body, by their kinds. */
  readonly lines?: Readonly<Record<string, Schema<unknown>>>;
  /** The header of each chunk of the reply's streamed body. */
  readonly chunk?: Schema<unknown>;
  /** Additional keys of the closing header of the reply's body. */
  readonly closing?: Schema<unknown>;
}

/** The parts of a request on which the access that it needs depends. */
export interface Subject {
  /** The name that it is about; undefined if there is none, as for a `compare` itself, apart from its lines. */
  filename?: string | undefined;
  /** Whether a `list` is one of partial uploads. */
  parts?: boolean | undefined;
  /** Whether a `share` is for uploads. */
  upload?: boolean | undefined;
  /** The file whose content a `put` builds upon; undefined if it builds upon none. */
  basis?: string | undefined;
}

/** A scope that a request needs, and where. */
export interface Need {
  /** The scope. */
  readonly scope: Scope;
  /**
   * Where it is needed. `inside`: below a granted directory. `directory`: the same, or the granted directory itself.
   * `somewhere`: in any place at all.
   */
  readonly reach: "inside" | "directory" | "somewhere";
  /** The key with the name that it is about. Default: `filename`. */
  readonly of?: "filename" | "to" | "basis";
}
