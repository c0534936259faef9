/**
 * The lines of JSON in the body of the reply to a `list`.
 *
 * @module
 */

import * as v from "valibot";
import type { Entry, Listed, Omitted, PartEntry } from "../core/entry.ts";
import { FerryError } from "../core/errors.ts";
import { checksumKeySchemas, readChecksumKeys } from "./checksum_keys.ts";
import { type HeaderKeys, parseExact } from "./codec.ts";
import { entry, entryKeys } from "./entry_keys.ts";
import { errorReply, reportedError } from "./error_reply.ts";
import { boolean, check, fileSize, key, mtime, string } from "./schema.ts";

/** The decoded lines of a list, by their kinds. */
export interface ListLines {
  /** A line of a plain list. */
  entry: Entry;
  /** A line of a list that includes omitted entries. */
  listed: Listed;
  /** A line of a list of partial uploads. */
  part: PartEntry;
}

const omission = v.object({
  filename: key(string, "The name, relative to the root."),
  omitted: key(
    string,
    "Why it is left out: what it is (`link`, `pipe`, `socket`, `device`, `vanished`, …), or `error`.",
  ),
  code: key(v.optional(string), "With `error`: the error's code."),
  message: key(v.optional(string), "With `error`: the error's message."),
});

const link = v.object({
  filename: key(string, "The name, relative to the root."),
  type: v.literal("link", "is not link"),
  target: key(string, "What the link says: a path, relative to the directory that it is in."),
  mtime: key(mtime, "The modification time of the link itself, in milliseconds since 1970."),
});

type OmissionKeys = v.InferOutput<typeof omission>;

/** The schemas of the lines as a server writes them. */
export const LIST_LINES = {
  entry,
  /** A directory whose contents are omitted. */
  unreadable: v.object({ ...entry.entries, ...omission.entries }),
  omission,
  /** A symbolic link, where links were asked for. */
  link,
  part: v.object({
    filename: key(string, "The name that the file is to have."),
    size: key(
      fileSize,
      "The size of the whole file in bytes; as long as it is not known, `received`.",
    ),
    received: key(fileSize, "How many of these bytes the server has."),
    mtime: key(mtime, "When the last of them came, in milliseconds since 1970."),
    active: key(v.optional(boolean, false), "Whether an upload is writing it at the moment."),
  }),
};

const lineKeys = v.looseObject({ ...checksumKeySchemas }, "is not an object");

/** Encodes an entry, an omission or a partial upload as a line, with the line break. */
export function encodeListLine(line: Listed | PartEntry): string {
  return JSON.stringify("received" in line ? line : listedKeys(line)) + "\n";
}

function listedKeys(listed: Listed): HeaderKeys {
  const { filename, omitted } = listed;
  if (listed.type === undefined && listed.link) return { filename, type: "link", ...listed.link };
  if (omitted === undefined) return entryKeys(listed as Entry);
  const { omitted: _, ...entry } = listed.type === undefined ? { filename } : entryKeys(listed);
  if (typeof omitted === "string") return { ...entry, omitted };
  const { code, message } = errorReply(omitted);
  return { ...entry, omitted: "error", code, message };
}

/**
 * Decodes a line of a list.
 *
 * @throws {FerryError} `bad_header` that names the key
 */
export function decodeListLine<Kind extends keyof ListLines>(
  kind: Kind,
  line: string,
): ListLines[Kind] {
  let value: unknown;
  try {
    value = parseExact(line);
  } catch {
    throw new FerryError("bad_header", "a line of the list is not JSON");
  }
  const keys = check(lineKeys, value);
  return READERS[kind]({ ...keys, ...readChecksumKeys(keys) });
}

const READERS: { readonly [Kind in keyof ListLines]: (keys: HeaderKeys) => ListLines[Kind] } = {
  entry: (keys) => check(LIST_LINES.entry, keys),
  listed: readListed,
  part: (keys) => check(LIST_LINES.part, keys),
};

function readListed(keys: HeaderKeys): Listed {
  if (keys.type === "link") {
    const { filename, target, mtime } = check(LIST_LINES.link, keys);
    return { filename, omitted: "link", link: { target, mtime } };
  }
  if (keys.omitted === undefined) return check(LIST_LINES.entry, keys);
  if (keys.type === undefined) {
    const { filename, ...why } = check(LIST_LINES.omission, keys);
    return { filename, omitted: readOmitted(why) };
  }
  const { omitted, code, message, ...entry } = check(LIST_LINES.unreadable, keys);
  return { ...entry, omitted: readOmitted({ omitted, code, message }) };
}

function readOmitted({ omitted, code, message }: Omit<OmissionKeys, "filename">): Omitted {
  return omitted === "error" ? reportedError({ code, message }, "server") : omitted;
}
