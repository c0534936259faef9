/**
 * What is declared of an operation: the headers of its messages and the access that it needs.
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
  /** What the lines of JSON in the reply's body stand for, by their kinds. */
  readonly lines?: Readonly<Record<string, Schema<unknown>>>;
  /** The header of each chunk of the reply's streamed body. */
  readonly chunk?: Schema<unknown>;
  /** Further keys of the closing header of the reply's body. */
  readonly closing?: Schema<unknown>;
}

/** What a request is about, as far as the access that it needs depends on that. */
export interface Subject {
  /** The name; undefined where it is about none, as a `compare` is apart from its lines. */
  filename?: string | undefined;
  /** Whether a `list` is one of partial uploads. */
  parts?: boolean | undefined;
}

/** A scope that a request needs, and where. */
export interface Need {
  /** The scope. */
  readonly scope: Scope;
  /**
   * How much of it: `inside` what is below a directory that is granted, `directory` the same and the directory
   * itself, `somewhere` any place at all.
   */
  readonly reach: "inside" | "directory" | "somewhere";
  /** The key with the name that it is about. Default: `filename`. */
  readonly of?: "filename" | "to";
}
