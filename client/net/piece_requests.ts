/**
 * Uploads of one file in pieces, over several connections.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Span } from "../../lib/delta/spans.ts";
import type { OnBytes } from "../../lib/transfer/receive.ts";
import { sendSized } from "../../lib/transfer/send.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { AssembleReply } from "../../lib/wire/operations/assemble.ts";
import { OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { Connection } from "./connection.ts";
import { type FileToPut, putHeader } from "./file_requests.ts";
import type { PieceMover } from "./streams.ts";

/** What the bytes of pieces are read from. It has one read at a time. */
export interface PieceSource extends Pick<ByteSource, "read"> {
  /** Makes the next read begin at that offset. */
  seek(offset: number): void;
}

/**
 * Begins an upload in pieces. It stays reserved for the connection until its next request.
 *
 * @throws {FerryError} the server's error
 */
export async function assemble(
  { channel }: Connection,
  request: FileToPut,
): Promise<AssembleReply> {
  const { mtime: _mtime, mode: _mode, ...header } = putHeader({ ...request, checksum: null });
  return await channel.ask(OPERATIONS.assemble.reply, { ...header, op: "assemble" });
}

/** Sends the pieces of an upload over one connection. */
export class PieceSender implements PieceMover {
  readonly #connection: Connection;
  readonly #keys: { readonly filename: string; readonly id: string };
  readonly #source: PieceSource;

  /** @param keys the name of the file, and the id of the upload */
  constructor(
    connection: Connection,
    keys: { readonly filename: string; readonly id: string },
    source: PieceSource,
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#source = source;
  }

  async move({ from, to }: Span, onBytes: OnBytes): Promise<void> {
    const algorithm = "xxh128";
    const keys = { op: "piece", ...this.#keys, offset: from };
    const header = { ...keys, ...checksumKeys(algorithm, null) };
    const { channel } = this.#connection;
    await channel.sendNext(OPERATIONS.piece.reply, header, async (wire) => {
      this.#source.seek(from);
      const read = (into: Uint8Array) => this.#source.read(into);
      await sendSized(wire, keys, { read }, {
        size: to - from,
        algorithm,
        checksum: null,
        onBytes,
      });
    });
  }
}
