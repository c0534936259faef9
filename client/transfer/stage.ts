/**
 * A staged tree on a server: where the files of a directory go that is published as one.
 *
 * @module
 */

import type { Into } from "../net/stage_requests.ts";

/** A staged tree on a server. */
export interface Stage extends Into {
  /** Whether no directory has the name, and nothing of an earlier attempt is there. */
  readonly isNew: boolean;
}
