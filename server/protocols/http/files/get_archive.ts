/**
 * GET and HEAD of a directory as an archive: `?archive=tar` or `?archive=zip`.
 *
 * @module
 */

import { FerryError, quote } from "../../../../lib/core/errors.ts";
import {
  type ArchivedEntry,
  archivedTree,
  entriesIn,
  PIECE_BYTES,
} from "../../../files/archived_tree.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { namedFields } from "./representation.ts";
import { tar } from "./tar.ts";
import { zip } from "./zip.ts";

/** A format of archives. */
interface Format {
  readonly type: string;
  encode(entries: AsyncIterable<ArchivedEntry>): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

const FORMATS: Readonly<Record<string, Format>> = {
  tar: { type: "application/x-tar", encode: tar },
  zip: { type: "application/zip", encode: zip },
};

/** The name of the archive of a root that has no name. */
const NAMELESS = "files";

/**
 * Responds with an archive of the directory that the target of a request names, or with `?name=` of some of its entries.
 * It is made while it is sent, so that its size is not known before.
 *
 * @throws {FerryError} `usage` for another format; `not_found`, `not_a_file`; `bad_name` for what is no entry
 */
export async function getArchive(exchange: Exchange, kind: string): Promise<void> {
  const format = Object.hasOwn(FORMATS, kind) ? FORMATS[kind] : undefined;
  if (!format) {
    throw new FerryError("usage", `there are archives of tar and zip, none of ${quote(kind)}`);
  }
  const { filename, target: { query } } = exchange;
  const permit = exchange.permit({ op: "list", filename });
  // A link to a file does not tell the name of the directory that the file is in.
  const named = exchange.view.visit?.share.type === "file" ? "" : filename;
  const folder = named.slice(named.lastIndexOf("/") + 1) || NAMELESS;
  const files = exchange.files(permit);
  await files.list(filename, { recursive: false });
  const names = query.has("name") ? query.getAll("name") : undefined;
  const only = names && await entriesIn(files, filename, names);
  if (exchange.method !== "HEAD") await exchange.countDownload({ first: true });
  const entries = archivedTree(files, { directory: filename, only, folder });
  const fields = {
    ...namedFields(`${folder}.${kind}`, { type: "attachment" }),
    "content-type": format.type,
    "cache-control": "no-store",
    "accept-ranges": "none",
  };
  await exchange.stream(200, fields, freed(format.encode(entries)), { permit });
}

/**
 * The same pieces, of which each loses its memory when the next one is asked for. Nobody else has it, and left to the
 * garbage collector there could be any amount of it.
 */
async function* freed(
  pieces: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of pieces) {
    yield piece;
    if (piece.buffer.byteLength >= PIECE_BYTES) piece.buffer.transfer(0);
  }
}
