/**
 * What a server knows about its scrubbing: how far the present pass is, and what the last one has found. It is kept in
 * a record, so that a server goes on where it was after a restart, and so that of several servers over the same files
 * one scrubs.
 *
 * @module
 */

import * as v from "valibot";
import type { Records } from "../files/records.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const pass = v.object({
  started: v.number(),
  ended: v.nullable(v.number()),
  position: v.string(),
  files: count,
  bytes: count,
  unrecorded: count,
  damaged: count,
  unreadable: count,
});

/**
 * One reading of all files. Times are in milliseconds since 1970; `ended` is null while it runs. `position` is the last
 * name that was dealt with, in the order of the tree. `files` and `bytes` were read; `unrecorded` of the files had no
 * recorded checksum to compare with, `damaged` ones another one; `unreadable` files and directories could not be read.
 */
export type Pass = v.InferOutput<typeof pass>;

const state = v.object({ current: v.nullable(pass), last: v.nullable(pass) });

/** The pass that runs or was interrupted, and the last complete one; null where there is none. */
export type ScrubState = v.InferOutput<typeof state>;

/** A state as it is kept: with the server that is at work, null if none is, and the time at which it said so. */
const kept = v.object({ ...state.entries, server: v.nullable(v.string()), saved: v.number() });

/** See {@linkcode ScrubRecord.read}. */
export type KeptState = v.InferOutput<typeof kept>;

const NOTHING: KeptState = { current: null, last: null, server: null, saved: 0 };

/** A new pass, which has read nothing. */
export function newPass(started: number): Pass {
  const nothing = { files: 0, bytes: 0, unrecorded: 0, damaged: 0, unreadable: 0 };
  return { started, ended: null, position: "", ...nothing };
}

/** The record that keeps the state. */
export class ScrubRecord {
  readonly #records: Pick<Records, "read" | "write">;

  /** The record among those of a server. */
  constructor(records: Pick<Records, "read" | "write">) {
    this.#records = records;
  }

  /** Reads it. One that is damaged counts as none, since all of it can be found out again. */
  async read(): Promise<KeptState> {
    const found = v.safeParse(kept, await this.#records.read("scrub", "state"));
    return found.success ? found.output : NOTHING;
  }

  /** Writes it. */
  write(state: KeptState): Promise<void> {
    return this.#records.write("scrub", "state", state);
  }
}
