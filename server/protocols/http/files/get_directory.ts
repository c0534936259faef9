/**
 * GET and HEAD of a directory: the page, or its entries as JSON.
 *
 * @module
 */

import { encodeLines } from "../../../../lib/wire/lines.ts";
import type { Entry, Listed } from "../../../../lib/core/entry.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { getArchive } from "./get_archive.ts";
import { sendPage, wantsPage } from "../page/page.ts";

/**
 * Responds with the directory that the target of a request names.
 *
 * @throws {FerryError} `not_found`, `not_a_file`
 */
export async function getDirectory(exchange: Exchange): Promise<void> {
  const archive = exchange.target.query.get("archive");
  if (archive !== null) return await getArchive(exchange, archive);
  // The page holds nothing of the directory, and says what to do where it may not be seen.
  if (wantsPage(exchange)) return sendPage(exchange);
  const { filename, target: { path, query } } = exchange;
  const permit = exchange.permit({ op: "list", filename });
  const recursive = query.has("recursive");
  const entries = await exchange.files(permit).list(filename, { recursive });
  const fields = {
    "content-type": "application/json",
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
  };
  // Beside what else it may depend on.
  exchange.response.appendHeader("vary", "accept");
  const pieces = encodeLines(linesOf({ path, filename, entries }), (line) => line);
  await exchange.stream(200, fields, pieces, { permit });
}

async function* linesOf(
  { path, filename, entries }: {
    path: string;
    filename: string;
    entries: AsyncIterable<Listed>;
  },
): AsyncGenerator<string> {
  yield `{"directory":${JSON.stringify(path)},"entries":[`;
  const start = filename === "" ? 0 : filename.length + 1;
  let between = "\n";
  for await (const entry of entries) {
    if (entry.type === undefined) continue;
    yield between + JSON.stringify(describe(entry, start));
    between = ",\n";
  }
  yield "\n]}\n";
}

function describe({ filename, type, size, mtime, mode, checksum }: Entry, start: number) {
  return { name: filename.slice(start), type, size, mtime, mode, md5: checksum };
}
