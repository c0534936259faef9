/**
 * Both directions of a compressed connection as pieces. docs/protocol/extensions/zstd.md specifies the bytes.
 *
 * @module
 */

import type * as zstd from "../compression/zstd.ts";
import { PieceReader, type PieceReaderOptions } from "./piece_reader.ts";
import { PieceWriter, type PieceWriterOptions } from "./piece_writer.ts";

/** The name of the protocol feature. */
export const ZSTD = "zstd";

/** The level at which a side compresses unless it is told another one. */
export const DEFAULT_LEVEL = 3;

/** The highest level. */
export const MAX_LEVEL = 19;

/** Options of {@linkcode Pieces}. */
export type PiecesOptions =
  & Omit<PieceReaderOptions, "decompressor">
  & Omit<PieceWriterOptions, "compressor">;

/** The pieces of a connection. */
export class Pieces {
  /** Those that are received. */
  readonly reader: PieceReader;
  /** Those that are sent. */
  readonly writer: PieceWriter;

  /**
   * Begins with the first piece in both directions.
   *
   * @param level how hard this side tries, from 1 to {@linkcode MAX_LEVEL}
   */
  constructor(
    { Compressor, Decompressor }: typeof zstd,
    level: number,
    options: PiecesOptions,
  ) {
    this.reader = new PieceReader({ ...options, decompressor: () => new Decompressor() });
    this.writer = new PieceWriter({ ...options, compressor: () => new Compressor(level) });
  }

  /** Frees all memory. */
  close(): void {
    this.reader.close();
    this.writer.close();
  }
}
