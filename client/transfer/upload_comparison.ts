/**
 * Which files of a directory a server wants: many are compared in one exchange.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import type { ManifestReply } from "../../lib/wire/manifest.ts";
import type { Connection } from "../net/connection.ts";
import { compareInto } from "../net/stage_requests.ts";
import { nothingTransferred, type PutTreeOptions } from "./options.ts";
import type { Stage } from "./stage.ts";
import type { UploadItem, UploadItems } from "./upload_items.ts";

/**
 * Asks the server which items it wants, and drops the others. A client that may write but not read gets no answer: all
 * are left then.
 *
 * @param failed called with each item that the server refuses, or that cannot be read
 * @throws {FerryError} the failure that ends the connection
 */
export async function dropUnwanted(
  connection: Connection,
  items: UploadItems,
  options: PutTreeOptions & { algorithm: Algorithm; stage?: Stage | undefined },
  failed: (item: UploadItem, error: unknown) => void,
): Promise<void> {
  const hash: UploadItem[] = [];
  const wanted = new Set<string>();
  const settle = (reply: ManifestReply) => {
    const item = items.left.get(reply.filename);
    if (!item) return;
    wanted.add(reply.filename);
    if (reply.decision === "hash") hash.push(item);
    if (reply.decision === "error") {
      failed(item, FerryError.reported(reply.code, reply.message, "server"));
    }
  };
  try {
    await ask(connection, items.files(connection.runtime), options, settle);
  } catch (error) {
    if (toFerryError(error).code === "denied") return;
    throw error;
  }
  const hashed: UploadItem[] = [];
  for (const item of hash) {
    try {
      await using file = LocalFile.open(item.path, connection.runtime);
      const { algorithm } = options;
      item.checksum = await checksumOfSource(connection.runtime, file, { algorithm });
      hashed.push(item);
      wanted.delete(item.filename);
    } catch (error) {
      failed(item, error);
    }
  }
  if (hashed.length > 0) await ask(connection, hashed, options, settle);
  for (const { filename, size, type, unsized, target: link } of [...items.left.values()]) {
    if (type === "directory" || unsized || wanted.has(filename)) continue;
    items.left.delete(filename);
    options.onFile?.(nothingTransferred(filename, { size, skipped: true, link }));
  }
}

async function ask(
  connection: Connection,
  files: AsyncIterable<UploadItem> | Iterable<UploadItem>,
  { overwrite = "never", checksumCompare: content = false, algorithm = "md5", stage }:
    & PutTreeOptions
    & { stage?: Stage | undefined },
  settle: (reply: ManifestReply) => void,
): Promise<void> {
  const options = { overwrite, content, algorithm };
  const answers = stage
    ? compareInto(connection, stage, files, options)
    : connection.compare(files, options);
  for await (const replies of answers) replies.forEach(settle);
}
