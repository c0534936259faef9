/**
 * The dialogs that the page may have open.
 *
 * @module
 */

import type { Entry } from "../door/door.ts";

/** A dialog, and what it is about. */
export type Dialog =
  | { readonly kind: "log-in" | "new-folder" | "shares" | "keys" }
  | { readonly kind: "rename" | "details" | "actions"; readonly entry: Entry }
  | { readonly kind: "share"; readonly name: string; readonly isDirectory: boolean }
  | { readonly kind: "remove"; readonly entries: readonly Entry[] };

/** A message that goes away by itself. */
export interface Message {
  /** The text. */
  readonly text: string;
  /** Whether it tells of a failure. */
  readonly failed: boolean;
}
