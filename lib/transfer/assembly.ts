/**
 * Puts a file together from pieces that come in any order, over any connections. Each piece is verified when it has
 * come. The digest of the whole file follows behind the pieces that are there from the start on.
 *
 * @module
 */

import type { IncomingContent } from "../core/bytes.ts";
import { hexOf } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";
import { gapsOf, type Span, union } from "../delta/spans.ts";
import { FollowingDigest } from "../digest/following_digest.ts";
import type { PrefixDigest } from "../digest/prefix_digest.ts";
import { checksumOfSource } from "../digest/source_digest.ts";
import { MAX_PIECES, type PieceTarget, type StoredPiece } from "../files/stored_pieces.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type OnBytes, receive } from "./receive.ts";

/** A sink that discards everything. */
const NOWHERE = { write: () => Promise.resolve() };

/** Options of {@linkcode Assembly.open}. */
export interface AssemblyOptions {
  /** Where the pieces are written to. It is not disposed of. */
  target: PieceTarget;
  /** The size of the whole file in bytes. */
  size: number;
  /** The digest of the first bytes, which are there already. Nothing else may feed it. */
  digest: PrefixDigest;
}

/** A piece that is coming. */
interface Coming {
  readonly span: Span;
  /** Whether another connection has begun to send it, too: that one counts. */
  replaced: boolean;
}

/** A file that is put together from pieces. */
export class Assembly implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #options: AssemblyOptions;
  readonly #digest: FollowingDigest;
  /** The pieces that are there and not all digested, in ascending order; they do not overlap. */
  #pieces: StoredPiece[];
  readonly #coming = new Set<Coming>();
  readonly #writes = new Set<Promise<void>>();
  /** How many of the first bytes are there. */
  #prefix: number;
  #ended = false;

  private constructor(runtime: Runtime, options: AssemblyOptions, pieces: StoredPiece[]) {
    const { digest, size, target } = options;
    this.#runtime = runtime;
    this.#options = options;
    this.#pieces = pieces;
    this.#prefix = digest.size;
    const readAt = target.readAt.bind(target);
    this.#digest = new FollowingDigest(runtime, { digest, offset: digest.size, size, readAt });
    this.#advance();
  }

  /**
   * Goes on with what is there of a file. The pieces of an earlier attempt are read, and those that are damaged are
   * left out.
   *
   * @throws {FerryError} `io`
   */
  static async open(runtime: Runtime, options: AssemblyOptions): Promise<Assembly> {
    const { target, size, digest } = options;
    const pieces: StoredPiece[] = [];
    for (const piece of target.pieces) {
      if (piece.to > size || piece.to <= digest.size) continue;
      if (await digestOfSpan(runtime, target, piece) === piece.xxh128) pieces.push(piece);
    }
    return new Assembly(runtime, options, pieces);
  }

  /** The pieces that are there beyond the bytes that are digested, in ascending order. */
  get pieces(): readonly StoredPiece[] {
    return this.#pieces;
  }

  /** What is missing, in ascending order. */
  get gaps(): Span[] {
    return gapsOf([{ from: 0, to: this.#prefix }, ...this.#pieces], this.#options.size);
  }

  /**
   * Receives a piece. It counts when it has come and is what its checksum says. One that is there already is received
   * and dropped. If two connections send the same piece, the one that began last counts.
   *
   * @param body the bytes of the span, with their `xxh128`
   * @throws {FerryError} `checksum_mismatch`; `usage` for a piece beyond the end of the file, or one of which only a
   * part is there already; `busy` if it was replaced; the errors of the body and of the target. The body may not have
   * ended then
   */
  async receive(body: IncomingContent, span: Span, onBytes?: OnBytes): Promise<void> {
    const { target } = this.#options;
    this.#assertFits(span);
    if (this.#isThere(span)) return void await receive(this.#runtime, body, NOWHERE, { onBytes });
    for (const other of this.#coming) if (overlap(other.span, span)) other.replaced = true;
    const coming = { span, replaced: false };
    this.#coming.add(coming);
    let at = span.from;
    const write = async (bytes: Uint8Array) => {
      this.#assertWanted(coming);
      const offset = at;
      at += bytes.length;
      const writing = target.writeAt(bytes, offset);
      this.#writes.add(writing);
      await writing.finally(() => this.#writes.delete(writing));
    };
    try {
      const { checksum } = await receive(this.#runtime, body, { write }, { onBytes });
      this.#assertWanted(coming);
      await this.#add({ ...span, xxh128: hexOf(checksum) });
    } finally {
      this.#coming.delete(coming);
    }
  }

  #assertFits(span: Span): void {
    const { size } = this.#options;
    if (span.to <= span.from || span.to > size) {
      throw new FerryError("usage", `a piece has to lie within the ${size} bytes of the file`);
    }
    if (this.#isThere(span)) return;
    if (span.from < this.#prefix || this.#pieces.some((piece) => overlap(piece, span))) {
      throw new FerryError("usage", "a part of this piece is there already");
    }
  }

  #isThere({ from, to }: Span): boolean {
    const there = union([{ from: 0, to: this.#prefix }, ...this.#pieces]);
    return there.some((span) => span.from <= from && to <= span.to);
  }

  #assertWanted(coming: Coming): void {
    if (this.#ended) throw new FerryError("busy", "the upload was ended");
    if (coming.replaced) throw new FerryError("busy", "another connection sends this piece now");
  }

  async #add(piece: StoredPiece): Promise<void> {
    const at = this.#pieces.findIndex(({ from }) => from > piece.from);
    this.#pieces.splice(at < 0 ? this.#pieces.length : at, 0, piece);
    this.#advance();
    await this.#record();
  }

  /** Lets the digest follow the first bytes that are there. */
  #advance(): void {
    for (const { from, to } of this.#pieces) {
      if (from > this.#prefix) break;
      this.#prefix = Math.max(this.#prefix, to);
    }
    this.#digest.advance(this.#prefix);
  }

  /** Records what is there. Before the first bytes are there, nothing is. */
  async #record(): Promise<void> {
    const { saved } = this.#digest;
    if (!saved) return;
    this.#pieces = this.#pieces.filter(({ to }) => to > saved.size);
    await this.#options.target.checkpoint(saved, this.#pieces.slice(0, MAX_PIECES));
  }

  /**
   * The digest of the whole file, as soon as it is computed.
   *
   * @throws {FerryError} `busy` if a piece is missing; `io`
   */
  async whole(): Promise<PrefixDigest> {
    const { size, digest } = this.#options;
    if (this.#prefix < size) {
      throw new FerryError(
        "busy",
        `the file is not whole: its bytes from ${this.#prefix} on are missing`,
      );
    }
    await this.#digest.end();
    return digest;
  }

  /** Takes no more pieces, and records what is there. Never fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await Promise.allSettled(this.#writes);
    await this.#digest[Symbol.asyncDispose]();
    // What cannot be recorded is sent again.
    await this.#record().catch(() => {});
  }
}

function overlap(some: Span, other: Span): boolean {
  return some.from < other.to && other.from < some.to;
}

/** The XXH3-128 of a part of a file, in hexadecimal. */
export async function digestOfSpan(
  runtime: Runtime,
  file: Pick<PieceTarget, "readAt">,
  { from, to }: Span,
): Promise<string> {
  let at = from;
  const read = async (into: Uint8Array) => {
    const part = into.subarray(0, to - at) as Uint8Array<ArrayBuffer>;
    const count = part.length > 0 ? await file.readAt(part, at) : null;
    at += count ?? 0;
    return count;
  };
  return hexOf(await checksumOfSource(runtime, { read }, { algorithm: "xxh128" }));
}
