/**
 * What the programs around uploads get on their standard input. The documents describe the keys; a change of what they
 * mean takes a new `version`.
 *
 * @module
 */

import { formatAddress } from "../../lib/core/address.ts";
import { algorithmOf, type Checksum, hexOf } from "../../lib/core/checksum.ts";
import type { ProposedUpload, PublishedDirectory, StoredUpload } from "../files/upload.ts";
import type { Requester } from "../observe/operation.ts";

/** The version of the keys. */
const VERSION = 1;

/** What a program gets on its standard input. */
export type HookInput = Readonly<Record<string, unknown>>;

/** Who has made a request, and its id. */
interface Origin {
  readonly by: Requester;
  readonly id: string;
}

/** The input of `--before-store`. */
export function inputOfProposed(
  { filename, size, checksum }: ProposedUpload,
  origin: Origin,
): HookInput {
  return {
    version: VERSION,
    hook: "before-store",
    ...originKeys(origin),
    name: filename,
    size,
    ...checksumKeys(checksum),
  };
}

/** When something was stored, and whether it survives a loss of power. */
export interface StoredState {
  /** When, in milliseconds since 1970. */
  readonly time: number;
  readonly durable: boolean;
}

/** The input of `--on-stored` for a file. */
export function inputOfStored(
  { filename, size, checksum, unchanged }: StoredUpload,
  origin: Origin,
  state: StoredState,
): HookInput {
  return {
    ...storedKeys(origin, state),
    type: "file",
    name: filename,
    size,
    ...checksumKeys(checksum),
    unchanged,
  };
}

/** The input of `--on-stored` for a directory that has got its name as a whole. */
export function inputOfPublished(
  { filename, files, bytes }: PublishedDirectory,
  origin: Origin,
  state: StoredState,
): HookInput {
  return {
    ...storedKeys(origin, state),
    type: "directory",
    name: filename,
    files,
    size: bytes,
    ...checksumKeys(null),
    unchanged: false,
  };
}

function storedKeys(origin: Origin, { time, durable }: StoredState): HookInput {
  return {
    version: VERSION,
    hook: "on-stored",
    time: new Date(time).toISOString(),
    ...originKeys(origin),
    durable,
  };
}

function originKeys({ by: { peer, token }, id }: Origin): HookInput {
  return { request: id, peer: formatAddress(peer), token: token ?? null };
}

function checksumKeys(checksum: Checksum | null): HookInput {
  const algorithm = checksum === null ? undefined : algorithmOf(checksum);
  if (checksum === null || algorithm === undefined) return { checksum: null, md5: null };
  const hex = hexOf(checksum);
  return { checksum: `${algorithm}:${hex}`, md5: algorithm === "md5" ? hex : null };
}
