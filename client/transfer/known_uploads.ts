/**
 * Uploads of files whose content the server has under other names, such as renamed and copied ones: their bytes are not
 * sent.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { type ErrorCode, toFerryError } from "../../lib/core/errors.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import { LocalFile, readLocalFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import { KNOWN, type KnownUpload, putKnown } from "../net/known_contents.ts";
import type { Connection } from "../net/connection.ts";
import { type Connections, onEach } from "./jobs.ts";
import type { PutTreeOptions } from "./options.ts";
import type { UploadItem } from "./upload_items.ts";

/** Files up to this size in bytes are read at once for their checksum. */
const SMALL_BYTES = 64 * 1024;

/** The failures of a copy on the server after which the file is sent. */
const AVOIDABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "busy",
  "checksum_mismatch",
  "denied",
  "not_a_file",
  "not_found",
  "bad_version",
]);

/** Whether to ask a server for known contents. */
export function asksForKnown(
  { hello }: Connection,
  { delta = true }: { delta?: boolean | undefined },
): boolean {
  return delta && [KNOWN, "delta"].every((feature) => hello.features.includes(feature));
}

/**
 * Computes the checksum of a file, and notes its present attributes.
 *
 * @throws {FerryError} where it cannot be read, or changes meanwhile
 */
export async function digestItem(
  item: UploadItem,
  algorithm: Algorithm,
  runtime: Runtime,
): Promise<void> {
  if (item.size <= SMALL_BYTES) {
    const { bytes, mtime, mode } = await readLocalFile(item.path, runtime);
    const checksum = await runtime.digests.checksumOf(algorithm, bytes);
    Object.assign(item, { size: bytes.length, mtime, mode, checksum });
    return;
  }
  await using file = LocalFile.open(item.path, runtime);
  const { size, mtime, mode } = file;
  const checksum = await checksumOfSource(runtime, file, { algorithm });
  Object.assign(item, { size, mtime, mode, checksum });
}

/**
 * Computes the checksums of files for an exchange with a server. Those of small files are computed while the result is
 * read, so that the server can look at the first ones meanwhile; larger ones before, since nothing would be sent for as
 * long as one is read.
 *
 * @param failed called with each item that cannot be read, or changes meanwhile
 */
export async function digestEach(
  items: Iterable<UploadItem>,
  algorithm: Algorithm,
  runtime: Runtime,
  failed: (item: UploadItem, error: unknown) => void,
): Promise<AsyncGenerator<UploadItem, void, void>> {
  const pace = new Pace();
  const isDigested = async (item: UploadItem): Promise<boolean> => {
    if (pace.isDue) await pace.rest();
    try {
      await digestItem(item, algorithm, runtime);
      return true;
    } catch (error) {
      failed(item, error);
      return false;
    }
  };
  const left = new Map<UploadItem, boolean>();
  for (const item of items) {
    const isSmall = item.size <= SMALL_BYTES;
    if (isSmall || await isDigested(item)) left.set(item, isSmall);
  }
  return (async function* () {
    for (const [item, isSmall] of left) if (!isSmall || await isDigested(item)) yield item;
  })();
}

/** An item that the server copies. */
type KnownItem = KnownUpload & { readonly item: UploadItem };

/** What becomes of the items that the server copies. */
export interface KnownOutcomes {
  /** Called with an item that was stored. */
  stored(item: UploadItem, reply: PutReply, from: string): void;
  /** Called with an item that was refused, and would be refused in any other way, too. */
  failed(item: UploadItem, error: unknown): void;
}

/**
 * Lets the server copy the items whose content it knows. An item for which that fails is left to be sent.
 *
 * @throws {FerryError} the failure that ends a connection
 */
export async function uploadKnown(
  connections: Connections,
  items: Iterable<UploadItem>,
  options: PutTreeOptions & { algorithm: Algorithm },
  { stored, failed }: KnownOutcomes,
): Promise<void> {
  const uploads = usersFirst([...items].flatMap((item) => requestOf(item, options) ?? []));
  if (uploads.length === 0) return;
  let at = 0;
  await onEach(
    connections,
    (connection) =>
      putKnown(connection, () => uploads[at++], ({ item, known }, reply, failure) => {
        if (reply) return stored(item, reply, known.filename);
        if (AVOIDABLE.has(toFerryError(failure).code)) item.known = undefined;
        else failed(item, failure);
      }),
  );
}

function requestOf(
  item: UploadItem,
  { algorithm, overwrite = "never", preserve, sparse }: PutTreeOptions & { algorithm: Algorithm },
): KnownItem | undefined {
  const { filename, known, checksum, size, mtime } = item;
  if (!known || checksum === null) return undefined;
  const mode = preserve ? item.mode : undefined;
  const request = { filename, algorithm, checksum, size, overwrite, mtime, mode, sparse };
  return { item, known, request };
}

/** Orders copies such that, if possible, a file that others are copied from is replaced after these. */
function usersFirst(uploads: readonly KnownItem[]): KnownItem[] {
  const byName = new Map(uploads.map((upload) => [upload.request.filename, upload]));
  const users = new Map<KnownItem, number>();
  const basisOf = ({ known, request }: KnownItem) =>
    known.filename === request.filename ? undefined : byName.get(known.filename);
  for (const upload of uploads) {
    const basis = basisOf(upload);
    if (basis) users.set(basis, (users.get(basis) ?? 0) + 1);
  }
  if (users.size === 0) return [...uploads];
  const ordered = new Set(uploads.filter((upload) => !users.has(upload)));
  for (const upload of ordered) {
    const basis = basisOf(upload);
    const left = basis && users.get(basis)! - 1;
    if (left !== undefined) users.set(basis!, left);
    if (left === 0) ordered.add(basis!);
  }
  // In a circle none can be the last: one is sent if it was replaced too early.
  return [...ordered, ...uploads.filter((upload) => !ordered.has(upload))];
}
