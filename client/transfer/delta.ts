/**
 * When a transfer tries to move only what has changed, and what happens where that fails.
 *
 * @module
 */

import { type ErrorCode, FerryError, mayPass, toFerryError } from "../../lib/core/errors.ts";
import type { Connection } from "../net/connection.ts";
import { DELTA } from "../net/signatures.ts";

/** Files up to this size, in bytes, are transferred as a whole, unless a basis is given. */
export const DELTA_BYTES: number = 1024 * 1024;

/** The failures of a delta that the whole file need not have. */
const AVOIDABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "checksum_mismatch",
  "busy",
  "not_found",
  "not_a_file",
  "denied",
  "bad_version",
  "too_large",
]);

/** Whether deltas are made in one transfer, over all of its attempts. */
export class DeltaChoice {
  #wanted: boolean;

  /** @param wanted whether they are wanted at all */
  constructor(wanted: boolean) {
    this.#wanted = wanted;
  }

  /** Whether one is to be tried. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Decides for whole files from now on. */
  giveUp(): void {
    this.#wanted = false;
  }
}

/** What decides whether a delta is tried. */
export interface DeltaPlan {
  /** Whether they are wanted. */
  readonly delta: DeltaChoice;
  /** The basis that was asked for; undefined for the file that is replaced. */
  readonly basis: string | undefined;
}

/**
 * Whether to try a delta.
 *
 * @param size the size in bytes of the new file, or if that is not known of the one that it replaces; undefined where it
 * replaces none
 * @throws {FerryError} `bad_version` where one was asked for, and the server does not make any
 */
export function triesDelta(
  connection: Connection,
  { delta, basis }: DeltaPlan,
  size: number | undefined,
): boolean {
  if (!delta.wanted) return false;
  if (basis !== undefined) {
    connection.assertFeature(DELTA, "deltas, which a basis is for");
    return true;
  }
  return size !== undefined && size > DELTA_BYTES &&
    connection.hello.features.includes(DELTA);
}

/**
 * Tries a delta.
 *
 * @param run makes it; undefined where the files have nothing in common
 * @returns undefined where the whole file is to be transferred instead
 * @throws {FerryError} what the whole file would fail with, too; where that has to be transferred over another
 * connection, an error for which the attempt is repeated
 */
export async function tryDelta<T>(
  connection: Connection,
  { delta }: DeltaPlan,
  run: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    // Between two requests the server hears that this side is still at work.
    const made = await connection.channel.converse(run);
    if (made === undefined) delta.giveUp();
    return made;
  } catch (reason) {
    const error = toFerryError(reason);
    if (!AVOIDABLE.has(error.code) || error.lasting) throw error;
    delta.giveUp();
    if (connection.usable) return undefined;
    if (mayPass(error)) throw error;
    throw new FerryError("busy", `its older version cannot be used: ${error.reason}`, {
      place: error.place,
      cause: error,
    });
  }
}
