/**
 * The target of a request: a name and a query, parsed from the raw text of the request line.
 *
 * The text is split into segments before anything is decoded, and no segment is resolved, so that what looks like one
 * name never becomes another. `URL` would resolve `%2e%2e`, and turn `\` into `/`.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";

/** A parsed target. */
export interface Target {
  /** The path as it was sent, without the query. It begins with a slash. */
  readonly raw: string;
  /** The decoded path without its first and its last slash: the name of a file or directory; "" for `/`. */
  readonly path: string;
  /** Whether the path ends with a slash, so that a directory is meant. */
  readonly isDirectory: boolean;
  /** The decoded query. */
  readonly query: URLSearchParams;
}

/** The first parts of paths that are not those of files. */
const RESERVED: ReadonlySet<string> = new Set([".ferry", ".tus"]);

/** Whether a path, without a slash at its start, is not that of a file. */
export function isReserved(path: string): boolean {
  return RESERVED.has(path.split("/", 1)[0]!);
}

/**
 * Parses a target in origin form (RFC 9112, section 3.2.1), or in absolute form, as clients of a proxy send it.
 *
 * @param host the value of the header field Host, which has to be the one in a target in absolute form
 * @throws {FerryError} `bad_header` if it is in another form or names another host; `bad_name` for a path that cannot be a name: with a
 * percent sign that encodes no UTF-8, an encoded slash, a NUL, an empty segment, or a segment `.` or `..`
 */
export function parseTarget(target: string, host?: string): Target {
  const text = originForm(target, host);
  const mark = text.indexOf("?");
  const raw = mark < 0 ? text : text.slice(0, mark);
  if (!raw.startsWith("/")) {
    throw new FerryError("bad_header", "the target of the request has to begin with a slash");
  }
  const query = new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1));
  const isDirectory = raw.endsWith("/");
  const inner = raw.slice(1, isDirectory ? -1 : undefined);
  if (raw === "/") return { raw, path: "", isDirectory, query };
  return { raw, path: inner.split("/").map(decodeSegment).join("/"), isDirectory, query };
}

function originForm(target: string, host: string | undefined): string {
  const [start, authority] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? [];
  if (start === undefined) return target;
  if (authority!.toLowerCase() !== host?.toLowerCase()) {
    throw new FerryError("bad_header", "the target of the request names another host than Host");
  }
  const rest = target.slice(start.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function decodeSegment(segment: string): string {
  const text = decoded(segment);
  if (text === "") throw new FerryError("bad_name", "the name has an empty part");
  if (text === "." || text === "..") {
    throw new FerryError("bad_name", `the name has a part "${text}"`);
  }
  if (text.includes("/")) throw new FerryError("bad_name", "a part of the name has a slash in it");
  if (text.includes("\0")) throw new FerryError("bad_name", "the name contains a NUL character");
  return text;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new FerryError("bad_name", "the name is not UTF-8 in percent-encoding");
  }
}

/** Encodes a name, "" for the root, as the path of a target. It begins with a slash, and ends with none. */
export function encodePath(name: string): string {
  return name === "" ? "" : `/${name.split("/").map(encodeURIComponent).join("/")}`;
}
