/**
 * What an examination finds.
 *
 * @module
 */

/** How a part is: `ok`, `warning` where it works and something may go wrong, `problem` where it does not work. */
export type State = "ok" | "warning" | "problem";

/** What was found of one part. */
export interface Finding {
  /** The part, in one word or two. */
  readonly part: string;
  readonly state: State;
  /** What was found, and what to do about it, for people. */
  readonly detail: string;
}

/** A part that is as it should be. */
export function ok(part: string, detail: string): Finding {
  return { part, state: "ok", detail };
}

/** A part that works, and about which something should be done. */
export function warning(part: string, detail: string): Finding {
  return { part, state: "warning", detail };
}

/** A part that does not work. */
export function problem(part: string, detail: string): Finding {
  return { part, state: "problem", detail };
}
