/**
 * Downloads of files whose content is here already under other names, such as renamed and copied ones: they are copied
 * here.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { Pace, turn } from "../../lib/core/time_slices.ts";
import { CHUNK_BYTES } from "../../lib/digest/source_digest.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import type { StagedFile } from "../../lib/files/staged_file.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import type { Connection } from "../net/connection.ts";
import { assertAnswers } from "../net/reply_check.ts";
import type { DownloadItem } from "./download_items.ts";
import { LocalContents } from "./local_contents.ts";
import type { LocalEntry } from "./local_tree.ts";

/** A file to be downloaded whose content is here. */
export interface KnownDownload {
  readonly item: DownloadItem;
  /** What the server says about the file, with its checksum. */
  readonly entry: Entry & { readonly checksum: Checksum };
  /** The path of a file here that had the content a moment ago. */
  readonly path: string;
}

/**
 * Finds files here that have the content of files to be downloaded. The server is asked only about those for which
 * there is a file of the same size.
 *
 * @param directory the local directory in which contents are looked for
 * @throws {FerryError} the failure that ends the connection
 */
export async function* findKnown(
  connection: Connection,
  items: Iterable<DownloadItem>,
  directory: string,
  algorithm: Algorithm,
): AsyncGenerator<KnownDownload, void, void> {
  const wanted = [...items].filter(({ entry }) => entry.size > 0);
  const sizes = new Set(wanted.map(({ entry }) => entry.size));
  const here = await LocalContents.below(directory, sizes, connection.runtime);
  const asked = wanted.flatMap((item): Asked[] => {
    const { path, entry: { size, mtime } } = item;
    const candidates = here.candidates({ path, size, mtime });
    return candidates.length > 0 ? [{ item, candidates }] : [];
  });
  if (asked.length === 0) return;
  await describe(connection, asked, algorithm);
  const pace = new Pace();
  for (const { item, entry, candidates } of asked) {
    if (pace.isDue) await pace.rest();
    if (!entry || entry.checksum === null || entry.size !== item.entry.size) continue;
    const there = await here.find(candidates, entry.checksum);
    if (there) yield { item, entry: { ...entry, checksum: entry.checksum }, path: there.path };
  }
}

/** A file of which the server is asked for the checksum. */
interface Asked {
  readonly item: DownloadItem;
  readonly candidates: readonly LocalEntry[];
  /** The answer; undefined where there is none. */
  entry?: Entry;
}

/** Asks the server about files, by pipelined requests. */
async function describe(
  { channel }: Connection,
  asked: readonly Asked[],
  algorithm: Algorithm,
): Promise<void> {
  let at = 0;
  const next = () => {
    const one = asked[at++];
    if (!one) return undefined;
    const { filename } = one.item.entry;
    return { one, header: { op: "stat", filename, ...checksumKeys(algorithm, null) } };
  };
  await channel.pipeline(next, ({ header }, { one, header: request }) => {
    try {
      assertAnswers(request, header);
      one.entry = parseReply(OPERATIONS.stat.reply, header);
    } catch {
      // The download of the file will report what is wrong with it.
    }
  });
}

/**
 * Copies a local file into a staged one.
 *
 * @returns the checksum of what was written
 * @throws {FerryError} where the file cannot be read, or changes meanwhile
 */
export async function copyLocal(
  path: string,
  staged: StagedFile,
  algorithm: Algorithm,
): Promise<Checksum> {
  const { runtime } = staged;
  await using file = LocalFile.open(path, runtime);
  const digest = await runtime.digests.create(algorithm);
  using lent = runtime.buffers.lend(Math.min(file.size, CHUNK_BYTES));
  for (let count; (count = await file.read(lent.bytes)) !== null;) {
    const piece = lent.bytes.subarray(0, count);
    digest.update(piece);
    await staged.write(piece);
    // What is in the cache of the system is read without a wait, and other work would get no turn.
    if (count === CHUNK_BYTES) await turn();
  }
  const checksum = digest.checksum();
  await file.assertUnchanged(checksum);
  return checksum;
}
