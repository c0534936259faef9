/**
 * Share links: what one leads to, and the record that a server keeps of it.
 *
 * @module
 */

import * as v from "valibot";
import { FerryError } from "../../lib/core/errors.ts";
import { type FileName, parentName, parseDirectoryName } from "../../lib/core/remote_name.ts";

/** For how long a link is valid by default, in milliseconds: 7 days. */
export const DEFAULT_LIFETIME_MS: number = 7 * 24 * 60 * 60 * 1000;

/** What a link is wanted for. */
export interface ShareRequest {
  /** The file or directory; "" is the root. */
  readonly filename: string;
  /** Whether visitors upload into the directory, and see nothing of it. Default: false, they see and download. */
  readonly upload?: boolean | undefined;
  /** For how long it is valid, in whole milliseconds; null for ever. Default: {@linkcode DEFAULT_LIFETIME_MS}. */
  readonly lifetime?: number | null | undefined;
  /** How many downloads it allows; null for any number. Default: null. */
  readonly downloads?: number | null | undefined;
}

/** A link, as its creator sees it. */
export interface Share {
  /** Its id; not secret. */
  readonly id: string;
  /** The path of its URL. It is a secret that lets anybody use the link. */
  readonly path: string;
  /** The file or directory; "" is the root. */
  readonly filename: FileName | "";
  readonly type: "file" | "directory";
  /** Whether visitors upload into the directory, and see nothing of it. */
  readonly upload: boolean;
  /** When it was made, in milliseconds since 1970. */
  readonly created: number;
  /** When it ends, in milliseconds since 1970; null for never. */
  readonly expires: number | null;
  /** How many downloads it allows, and how many were begun; null if they are not counted. */
  readonly downloads: { readonly most: number; readonly taken: number } | null;
}

/** Whose link it is. */
export interface ShareCreator {
  /** The id of the token; null for an anonymous client. */
  readonly token: string | null;
  /** The owner of that token's uploads, which tells it from another token that has got its id. */
  readonly owner: string;
}

const time = v.pipe(v.number(), v.integer());

const record = v.object({
  filename: v.string(),
  type: v.picklist(["file", "directory"]),
  upload: v.boolean(),
  created: time,
  expires: v.nullable(time),
  most: v.nullable(v.pipe(time, v.minValue(1))),
  by: v.object({ token: v.nullable(v.string()), owner: v.string() }),
});

/** What is kept of a link. */
export interface ShareRecord extends Omit<Share, "id" | "path" | "downloads"> {
  /** How many downloads it allows; null for any number. */
  readonly most: number | null;
  /** Who made it. */
  readonly by: ShareCreator;
}

/**
 * The record in a JSON value.
 *
 * @throws {FerryError} `io` if it is none
 */
export function parseShareRecord(value: unknown): ShareRecord {
  const result = v.safeParse(record, value);
  if (!result.success) throw new FerryError("io", "the record of a share link is damaged");
  return { ...result.output, filename: parseDirectoryName(result.output.filename) };
}

/** The directory that a visitor sees as the root: the shared one, or the one that contains the shared file. */
export function baseOf({ filename, type }: Pick<Share, "filename" | "type">): FileName | "" {
  return type === "directory" ? filename : parentName(filename as FileName);
}

/** Why a link leads nowhere any more. Its error has the code `denied`. */
export class LinkEnded extends Error {}

/** The error for a link that leads nowhere any more. */
export function linkEnded(reason: string): FerryError {
  return new FerryError("denied", reason, { cause: new LinkEnded(reason) });
}

/** Whether an error says that a link leads nowhere any more. */
export function isLinkEnded({ cause }: FerryError): boolean {
  return cause instanceof LinkEnded || cause instanceof FerryError && isLinkEnded(cause);
}
