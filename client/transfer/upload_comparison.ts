/**
 * Which files of a directory a server wants: many are compared in one exchange.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { ManifestReply } from "../../lib/wire/manifest.ts";
import type { Connection } from "../net/connection.ts";
import { compareInto } from "../net/stage_requests.ts";
import { asksForKnown, digestEach } from "./known_uploads.ts";
import { nothingTransferred, type PutTreeOptions } from "./options.ts";
import type { Stage } from "./stage.ts";
import type { UploadItem, UploadItems } from "./upload_items.ts";

/** How a server is asked. */
export interface ComparisonOptions extends PutTreeOptions {
  readonly algorithm: Algorithm;
  /** Whether the server is also asked for known contents. */
  readonly known: boolean;
  /** The staged tree that the files are for. Default: none. */
  readonly stage?: Stage | undefined;
}

/**
 * Asks the server which items it wants, and drops the others. Of items whose content the server knows, it is noted
 * where. A client that may write but not read gets no answer: all are left then.
 *
 * @param failed called with each item that the server refuses, or that cannot be read
 * @throws {FerryError} the failure that ends the connection
 */
export async function dropUnwanted(
  connection: Connection,
  items: UploadItems,
  options: ComparisonOptions,
  failed: (item: UploadItem, error: unknown) => void,
): Promise<void> {
  const hash: UploadItem[] = [];
  const wanted = new Set<string>();
  const settle = (reply: ManifestReply) => {
    const item = items.left.get(reply.filename);
    if (!item) return;
    wanted.add(reply.filename);
    if (reply.decision === "hash") hash.push(item);
    else if (reply.decision === "error") {
      failed(item, FerryError.reported(reply.code, reply.message, "server"));
    } else if (reply.from !== undefined) {
      item.known = { filename: reply.from, version: reply.version! };
    }
  };
  try {
    await ask(connection, items.files(connection.runtime), options, settle);
  } catch (error) {
    if (toFerryError(error).code === "denied") return;
    throw error;
  }
  for (const { filename } of hash) wanted.delete(filename);
  if (hash.length > 0) {
    const unread = (item: UploadItem, error: unknown) => {
      wanted.add(item.filename);
      failed(item, error);
    };
    const hashed = await digestEach(hash, options.algorithm, connection.runtime, unread);
    await ask(connection, hashed, options, settle);
  }
  for (const { filename, size, type, unsized, target: link } of [...items.left.values()]) {
    if (type === "directory" || unsized || wanted.has(filename)) continue;
    items.left.delete(filename);
    options.onFile?.(nothingTransferred(filename, { size, skipped: true, link }));
  }
}

/**
 * Asks the server for known contents of the items that are left, and notes where they are.
 *
 * @throws {FerryError} the failure that ends the connection
 */
export async function noteKnown(
  connection: Connection,
  { left }: UploadItems,
  options: Omit<ComparisonOptions, "known">,
): Promise<void> {
  if (!asksForKnown(connection, options)) return;
  const hash: UploadItem[] = [];
  const settle = (reply: ManifestReply) => {
    const item = left.get(reply.filename);
    if (!item || reply.decision === "error") return;
    if (reply.decision === "hash") hash.push(item);
    else if (reply.from !== undefined) {
      item.known = { filename: reply.from, version: reply.version! };
    }
  };
  const files = left.values().filter(({ type, size, known }) =>
    type === "file" && size > 0 && known === undefined
  ).toArray();
  if (files.length === 0) return;
  const wishes = { ...options, known: true };
  try {
    await ask(connection, files, wishes, settle);
    if (hash.length === 0) return;
    // The upload of a file that cannot be read reports that.
    const { algorithm } = options;
    const hashed = await digestEach(hash.splice(0), algorithm, connection.runtime, () => {});
    await ask(connection, hashed, wishes, settle);
  } catch (error) {
    if (toFerryError(error).code !== "denied") throw error;
  }
}

async function ask(
  connection: Connection,
  files: AsyncIterable<UploadItem> | Iterable<UploadItem>,
  options: ComparisonOptions,
  settle: (reply: ManifestReply) => void,
): Promise<void> {
  const { overwrite = "never", checksumCompare: content = false, algorithm, stage } = options;
  const known = options.known && asksForKnown(connection, options);
  const wishes = { overwrite, content, algorithm };
  const answers = stage
    ? compareInto(connection, stage, files, wishes)
    : connection.compare(files, { ...wishes, known });
  for await (const replies of answers) replies.forEach(settle);
}
