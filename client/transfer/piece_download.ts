/**
 * How a large file is downloaded over several connections at once: in pieces, each of which is verified when it has
 * come. The whole file is verified by its checksum, for which the server reads the file meanwhile.
 *
 * @module
 */

import { hexOf, sameChecksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { sizeOf, type Span } from "../../lib/delta/spans.ts";
import { Assembly } from "../../lib/transfer/assembly.ts";
import type { OnBytes } from "../../lib/transfer/receive.ts";
import type { Connection } from "../net/connection.ts";
import { moveInPieces, type PieceMover, STREAMS, streamsFor } from "../net/streams.ts";
import type { ReceivedFile } from "./delta_download.ts";
import type { DownloadPlan } from "./download_plan.ts";
import type { PartialDownload } from "./partial_downloads.ts";

/** What {@linkcode receivePieces} needs. */
export interface PieceDownload {
  /** What an earlier attempt has left; undefined where there is nothing. */
  partial: PartialDownload | undefined;
  /** Prepares the partial download that takes the file. */
  open: () => Promise<PartialDownload>;
  /** Reports the bytes of the file that are there behind the first `offset` ones. */
  reporting: (size: { offset: number; total: number }) => OnBytes;
}

/** A range of no bytes: the reply tells the size and the version of a file. */
const NOTHING = { start: 0, count: 0 };

/**
 * Receives a file into a partial download over several connections, where they are wanted and of use.
 *
 * @returns undefined where the file is to be fetched over the one connection
 * @throws {FerryError} what the server, the connections or the partial download fail with; `busy` where the file is
 * changed meanwhile; `checksum_mismatch`
 */
export async function receivePieces(
  connection: Connection,
  plan: DownloadPlan,
  { partial, open, reporting }: PieceDownload,
): Promise<ReceivedFile | undefined> {
  const { filename, algorithm, onFewerStreams: onFewer } = plan;
  const offered = connection.hello.features.includes(STREAMS);
  if (plan.streams === 1 || plan.sparse || !offered) return undefined;
  const request = { filename, algorithm, range: NOTHING };
  const file = await connection.get(request, (file) => Promise.resolve(file));
  const { size, mtime, mode, version } = file;
  // Whether these bytes are of the file, only the server can tell then.
  const fits = partial?.prefix ? partial.seemsOf(file) : false;
  if (version === undefined || fits === undefined) return undefined;
  const streams = await streamsFor(connection, plan.streams, size);
  if (streams === undefined) return undefined;
  const part = await open();
  if (!fits) part.startOver();
  const whole = { filename, size, mtime, checksum: null };
  const { target, digest } = await part.inPieces(whole, algorithm);
  await using assembly = await Assembly.open(connection.runtime, { target, size, digest });
  const { gaps } = assembly;
  const missing = sizeOf(gaps);
  const offset = size - missing;
  const report = reporting({ offset, total: size });
  const mover = (connection: Connection) => pieceMover(connection, { filename, version }, assembly);
  const onMoved = ({ from, to }: Span) => report(to - from);
  // While the pieces come over other connections, the server hears over this one that somebody is still there.
  const checksum = await connection.channel.converse(async () => {
    const asking = connection.stat(filename, algorithm, { version });
    // It is awaited below; until then a failure must not count as unhandled.
    asking.catch(() => {});
    if (missing > 0) await moveInPieces(connection, { streams, gaps, mover, onMoved, onFewer });
    const [{ checksum }, digest] = await Promise.all([asking, assembly.whole()]);
    const here = digest.checksum();
    if (checksum !== null && sameChecksum(checksum, here)) return here;
    const reason = `what came has the ${algorithm} ${hexOf(here)}, and the file ${checksum}`;
    throw new FerryError("checksum_mismatch", reason);
  });
  return { size, mtime, mode, offset, checksum, transferred: missing };
}

/** Fetches pieces of a version of a file over one connection. */
function pieceMover(
  connection: Connection,
  { filename, version }: { filename: string; version: string },
  assembly: Assembly,
): PieceMover {
  return {
    move(piece, onBytes) {
      const range = { start: piece.from, count: piece.to - piece.from };
      const request = { filename, algorithm: "xxh128", range, version } as const;
      return connection.get(request, (file) => file.receiveInto(assembly, piece, onBytes));
    },
  };
}
