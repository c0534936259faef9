/// <reference lib="dom" />
/**
 * One file on its way, as the panel shows it.
 *
 * @module
 */

import type { UploadFailure } from "./failure.ts";
import { Rate } from "./rate.ts";
import type { Phase } from "./transfer.ts";
import type { Overwrite } from "./tus.ts";

/** What may be said of a file. */
export type State =
  /** Others come first. */
  | "waiting"
  | Phase
  /** The server has stored it, with the same MD5. */
  | "arrived"
  /** Another file has its name: somebody has to decide. */
  | "exists"
  /** Somebody has decided to leave the other file. */
  | "skipped"
  | "failed";

const ACTIVE: ReadonlySet<State> = new Set(["reading", "sending", "paused", "checking"]);

/** One file on its way. */
export class Item {
  /** What tells it from others. */
  readonly id: string;
  /** The file. */
  readonly file: File;
  /** Its name on the server, relative to the view. */
  readonly name: string;
  /** Measures it. */
  readonly rate = new Rate();
  state: State = "waiting";
  /** How many of its bytes the server has. */
  sent = 0;
  overwrite: Overwrite = "never";
  /** Its MD5 in hexadecimal, after it has arrived. */
  md5: string | undefined;
  /** Whether the server had it before. */
  wasThere = false;
  failure: UploadFailure | undefined;
  /** The address of an unfinished upload of it. */
  address: string | undefined;
  /** Ends its transfer. */
  stop: AbortController | undefined;

  /** A file that waits. */
  constructor(id: string, file: File, name: string) {
    this.id = id;
    this.file = file;
    this.name = name;
  }

  /** Whether its transfer has begun and not ended. */
  get isActive(): boolean {
    return ACTIVE.has(this.state);
  }

  /** Whether nothing more happens by itself. */
  get isSettled(): boolean {
    return !this.isActive && this.state !== "waiting";
  }
}
