/**
 * Reads the messages of a compressed connection from its pieces.
 *
 * @module
 */

import type { Decompressor } from "../compression/zstd.ts";
import { FerryError } from "../core/errors.ts";
import type { InputBuffer } from "./input_buffer.ts";
import { decodePieceHeader, PIECE_HEADER_BYTES, type PieceHeader } from "./piece_header.ts";

/** Options of {@linkcode PieceReader}. */
export interface PieceReaderOptions {
  /** The buffer of the bytes on the line. It may contain some that were received already. */
  input: InputBuffer;
  /** Reads bytes from the line, or returns null at its end. */
  receive(into: Uint8Array): Promise<number | null>;
  /** Makes a decompressor for one frame. */
  decompressor(): Decompressor;
}

/** The content of the pieces that a peer sends. */
export class PieceReader {
  readonly #options: PieceReaderOptions;
  /** The piece that is being read; undefined between two pieces. */
  #piece: PieceHeader | undefined;
  /** How many bytes of it have not been received yet. */
  #toReceive = 0;
  /** How many bytes of its content have not been read yet. */
  #toRead = 0;
  /** The bytes in the input buffer that the decompressor is working on. */
  #pushed = 0;
  #decompressor: Decompressor | undefined;
  #reading = false;
  /** What reading has failed with: where the next piece begins is not known any more. */
  #failure: unknown;

  /** Creates a reader at the beginning of a piece. */
  constructor(options: PieceReaderOptions) {
    this.#options = options;
  }

  /** Whether a read is in progress. */
  get reading(): boolean {
    return this.#reading;
  }

  /** Whether a piece has begun and not ended. */
  get insidePiece(): boolean {
    return this.#piece !== undefined || this.#options.input.length > 0;
  }

  /**
   * Reads at least one byte of content; null at the end of the connection.
   *
   * @throws {FerryError} `bad_header` for what is not a piece; `checksum_mismatch` for one that was damaged; `closed`
   * in the middle of one; what receiving fails with
   */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#failure) throw this.#failure;
    this.#reading = true;
    try {
      for (;;) {
        const piece = this.#piece ?? await this.#nextPiece();
        if (!piece) return null;
        if (piece.kind === "forget") continue;
        const count = piece.kind === "raw"
          ? await this.#readRaw(into)
          : await this.#readCompressed(into);
        this.#toRead -= count;
        if (this.#toReceive === 0 && this.#toRead === 0) await this.#endPiece();
        if (count > 0) return count;
      }
    } catch (error) {
      this.#failure = error;
      this.close();
      throw error;
    } finally {
      this.#reading = false;
    }
  }

  /** Frees all memory. Reads fail from now on. */
  close(): void {
    this.#failure ??= new FerryError("closed", "connection closed");
    this.#forget();
    this.#options.input.release();
  }

  /** Frees the memory of the decompressor. */
  #forget(): void {
    this.#decompressor?.close();
    this.#decompressor = undefined;
  }

  /** Begins the next piece. Returns undefined at the end of the connection. */
  async #nextPiece(): Promise<PieceHeader | undefined> {
    const { input, decompressor } = this.#options;
    while (input.length < PIECE_HEADER_BYTES) {
      if (await this.#receive(PIECE_HEADER_BYTES)) continue;
      if (input.length === 0) return undefined;
      throw new FerryError("closed", "the connection ended inside the header of a piece");
    }
    const piece = decodePieceHeader(input.peek(0, PIECE_HEADER_BYTES));
    input.skip(PIECE_HEADER_BYTES);
    if (piece.kind === "first" || piece.kind === "forget") this.#forget();
    if (piece.kind === "first") this.#decompressor = decompressor();
    if (piece.kind === "next" && !this.#decompressor) {
      throw new FerryError("bad_header", "a piece continues what has not begun");
    }
    if (piece.kind === "forget") this.#release();
    else this.#piece = piece;
    this.#toReceive = piece.size;
    this.#toRead = piece.content;
    return piece;
  }

  /** Reads from the line into the input buffer, which is to contain `count` bytes. Returns false at the end. */
  async #receive(count: number): Promise<boolean> {
    const { input, receive } = this.#options;
    const room = input.room(count);
    if (room.length === 0) throw new FerryError("busy", "too much is being received");
    const received = await receive(room);
    if (received === null) return false;
    input.add(received, room);
    return true;
  }

  async #readRaw(into: Uint8Array): Promise<number> {
    const { input, receive } = this.#options;
    const wanted = Math.min(into.length, this.#toReceive);
    let count: number | null;
    if (input.length > 0) count = input.take(into, wanted);
    else if (input.isNeedlessFor(wanted)) {
      input.release();
      count = await receive(into.subarray(0, wanted));
      if (count !== null) input.passed(count, wanted);
    } else {
      count = await this.#receive(1) ? input.take(into, wanted) : null;
    }
    if (count === null) return this.#cut();
    this.#toReceive -= count;
    return count;
  }

  /** Reads decompressed content; returns 0 if none comes before more bytes are received. */
  async #readCompressed(into: Uint8Array): Promise<number> {
    const { input } = this.#options;
    const decompressor = this.#decompressor!;
    if (this.#pushed > 0) {
      const count = await decompressor.read(into);
      if (count > this.#toRead) {
        throw new FerryError("checksum_mismatch", "a piece has more content than it says");
      }
      if (count > 0) return count;
      input.skip(this.#pushed);
      this.#pushed = 0;
      if (this.#toReceive === 0) {
        throw new FerryError("checksum_mismatch", "a piece has less content than it says");
      }
    }
    if (input.length === 0 && !await this.#receive(1)) return this.#cut();
    // The input buffer is not read into before these bytes are decompressed.
    this.#pushed = Math.min(input.length, this.#toReceive);
    this.#toReceive -= this.#pushed;
    decompressor.push(input.peek(0, this.#pushed));
    return 0;
  }

  /** Ends a piece of which everything was received and read. */
  async #endPiece(): Promise<void> {
    if (this.#pushed > 0) {
      if (await this.#decompressor!.read(new Uint8Array(1)) > 0) {
        throw new FerryError("checksum_mismatch", "a piece has more content than it says");
      }
      this.#options.input.skip(this.#pushed);
      this.#pushed = 0;
    }
    this.#piece = undefined;
    this.#release();
  }

  /** Frees the input buffer if it is empty: handling what was read may take long. */
  #release(): void {
    const { input } = this.#options;
    if (input.length === 0) input.release();
  }

  #cut(): never {
    throw new FerryError("closed", "the connection ended inside a piece");
  }
}
