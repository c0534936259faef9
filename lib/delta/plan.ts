/**
 * Finds out which parts of a file the other side has already, with signatures of the remote file that it asks for.
 *
 * First the blocks of both files are compared with those at the same offset. Where they differ, larger parts are
 * searched for the remote blocks at any offset. Then the same is done with finer blocks, but only where coarser ones
 * were not found, and in large gaps only if samples of them are.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { BlockSearch, FoundBlocks, FoundPlaces, windowBytes } from "./block_search.ts";
import { coarseBlock, finerBlock } from "./block_sizes.ts";
import { Copies } from "./copies.ts";
import {
  coveredBytes,
  firstPlaces,
  freeSpans,
  type Gap,
  gapsOf,
  sampleCount,
  SMALL_GAP,
  wholePlaces,
} from "./gaps.ts";
import { InPlaceComparison } from "./in_place.ts";
import type { RandomAccess } from "./random_access.ts";
import { RangeCollector, type Ranges } from "./ranges.ts";
import { MAX_ENTRIES, SearchTable } from "./search_table.ts";
import { BufferedReply, type FetchSignature, type SignatureReply } from "./signature.ts";
import { intersection, sizeOf, type Span, union } from "./spans.ts";
import { createStrongHash, type StrongHash } from "./strong_hash.ts";

/** Options of {@linkcode planPut}. */
export interface PlanOptions {
  /** Asks for a signature of the remote file. */
  fetch: FetchSignature;
  /** What is in front of this offset in the new content need not be found. Default: 0. */
  offset?: number | undefined;
  /** Gets every byte of the local file in order, once. The bytes are valid until it returns. */
  onBytes?: ((piece: Uint8Array<ArrayBuffer>) => void) | undefined;
  /** Is told how many bytes have been found so far. */
  onFound?: ((bytes: number) => void) | undefined;
}

/** What is needed to get a file by delta. */
export interface GetPlan {
  /** What the remote content has in common with the local file. */
  copies: Copies;
  /** The size of the remote file in bytes. */
  size: number;
}

/** What is known of a part of a new file, which follows that of the piece before. */
export interface PlanPiece {
  /** The offset of the part in the file. */
  readonly from: number;
  /** Its end. Unless that is the end of the file, the part ends with a copy. */
  readonly to: number;
  /** What the remote file has in common with the part. */
  readonly copies: Copies;
}

/**
 * The size in bytes of the first pieces of a file. One is larger than the one before if it took longer to ask about it
 * than to compare it.
 */
const PIECE_BYTES = 32 * 1024 * 1024;

/** Once a plan has more copies than this, nothing more is looked for. */
const MAX_COPIES = 400_000;

/** The most gaps that are examined at once. */
const MAX_GAPS = 100_000;

/** Which part of the samples of a gap has to be found, so that all of it is examined. */
const MIN_FOUND = 1 / 16;

/**
 * Finds the parts of a remote file, the basis, that the local file consists of.
 *
 * @param local the new content. It is read, and not closed
 * @throws {FerryError} `bad_header` if a signature is not valid, `io` if the local file cannot be read or is shorter
 * than it was; what fetching fails with
 */
export async function planPut(local: RandomAccess, options: PlanOptions): Promise<Copies> {
  return (await Planner.run(local, options, "put")).copies;
}

/**
 * Like {@linkcode planPut}, but piece by piece, as long as the files differ only in small places: the remote side can
 * begin with the first pieces while the others are compared. What is behind the first larger difference is one piece.
 *
 * @param options.pieceBytes the size of the first pieces. Default: 32 MiB
 * @throws {FerryError} as {@linkcode planPut}
 */
export async function* planPutInPieces(
  local: RandomAccess,
  { pieceBytes = PIECE_BYTES, ...options }: Omit<PlanOptions, "offset"> & { pieceBytes?: number },
): AsyncGenerator<PlanPiece, void, void> {
  yield* Planner.pieces(local, options, pieceBytes);
}

/**
 * Finds the parts of the local file, the basis, that a remote file consists of.
 *
 * @param local the older content. It is read, and not closed
 * @throws {FerryError} as {@linkcode planPut}
 */
export function planGet(
  local: RandomAccess,
  { fetch }: Pick<PlanOptions, "fetch">,
): Promise<GetPlan> {
  return Planner.run(local, { fetch }, "get");
}

/** One search. */
class Planner {
  readonly #local: RandomAccess;
  readonly #options: PlanOptions;
  readonly #direction: "put" | "get";
  readonly #hash: StrongHash;
  #copies = new Copies();
  #remoteSize = 0;
  /** The part of the content in which something is missing. Blocks of both files are the same at its ends. */
  #part: Span | undefined;

  private constructor(
    local: RandomAccess,
    options: PlanOptions,
    direction: "put" | "get",
    hash: StrongHash,
  ) {
    this.#local = local;
    this.#options = options;
    this.#direction = direction;
    this.#hash = hash;
  }

  static async run(
    local: RandomAccess,
    options: PlanOptions,
    direction: "put" | "get",
  ): Promise<GetPlan> {
    const planner = new Planner(local, options, direction, await createStrongHash());
    const block = planner.#coarseBlock;
    const reply = await planner.#ask(block, undefined);
    const comparison = planner.#comparison(reply, block);
    for await (const _ of comparison.run()) options.onFound?.(comparison.same.size);
    await planner.#searchBehind(0, comparison, block);
    return { copies: planner.#copies, size: planner.#remoteSize };
  }

  static async *pieces(
    local: RandomAccess,
    options: PlanOptions,
    pieceBytes: number,
  ): AsyncGenerator<PlanPiece, void, void> {
    const planner = new Planner(local, options, "put", await createStrongHash());
    const block = planner.#coarseBlock;
    const reply = new BufferedReply(await planner.#ask(block, undefined), block);
    const comparison = planner.#comparison(reply, block);
    let [from, least, differs] = [0, pieceBytes, false];
    let began = performance.now();
    for await (const at of comparison.run()) {
      options.onFound?.(comparison.same.size);
      differs ||= comparison.lacksZeros;
      // Only when the signature has been read, another one can be asked for.
      if (differs || !reply.ended || at - from < least) continue;
      const same = comparison.same.from(from);
      differs = freeSpans(same, at, from).some((gap) => gap.to - gap.from > SMALL_GAP * block);
      if (differs || same.count === 0) continue;
      const last = same.get(same.count - 1);
      const to = last.at + last.size;
      const asked = performance.now();
      await planner.#searchWithin({ from, to }, same, block);
      yield { from, to, copies: planner.#copies.from(from) };
      if (performance.now() - asked > asked - began) least *= 2;
      from = to;
      began = performance.now();
    }
    if (from === local.size) return;
    await planner.#searchBehind(from, comparison, block);
    yield { from, to: local.size, copies: planner.#copies.from(from) };
  }

  get #coarseBlock(): number {
    return coarseBlock(this.#local.size);
  }

  #comparison(reply: SignatureReply, block: number): InPlaceComparison {
    this.#remoteSize = reply.size;
    const target = this.#direction === "put" ? "local" : "remote";
    const { onBytes } = this.#options;
    return new InPlaceComparison(this.#local, reply, {
      block,
      target,
      hash: this.#hash,
      onBytes,
    });
  }

  /** Looks for what is missing behind an offset, in front of which everything has been found. */
  async #searchBehind(from: number, comparison: InPlaceComparison, block: number): Promise<void> {
    this.#part = from > 0 ? { from, to: this.#local.size } : undefined;
    const found = Copies.merged(comparison.same.from(from), comparison.zeros());
    this.#copies = Copies.merged(this.#copies, found);
    await this.#search(block, this.#gaps(block).filter((gap) => isLarge(gap, block)));
    await this.#searchFiner(block);
  }

  /** Looks for what is missing in a part between blocks that are the same at the same place. */
  async #searchWithin(part: Span, same: Copies, block: number): Promise<void> {
    this.#part = part;
    this.#copies = Copies.merged(this.#copies, same);
    await this.#searchFiner(block);
  }

  /** Looks for finer blocks than those that have been looked for. */
  async #searchFiner(coarser: number): Promise<void> {
    for (let block = coarser, finer; (finer = finerBlock(block)); block = finer) {
      const gaps = this.#gaps(block);
      await this.#search(finer, gaps, block);
      await this.#search(finer, this.#promising(gaps, block));
    }
  }

  #ask(block: number, ranges: Ranges | undefined): Promise<SignatureReply> {
    const { fetch: ask } = this.#options;
    return ask({ block, rolling: ranges !== undefined, ranges });
  }

  #gaps(margin: number): Gap[] {
    const [content, basis] = this.#direction === "put"
      ? [this.#local.size, this.#remoteSize]
      : [this.#remoteSize, this.#local.size];
    const { from, to } = this.#part ?? { from: this.#options.offset ?? 0, to: content };
    const gaps: Gap[] = [];
    for (
      const gap of gapsOf(this.#copies, {
        contentSize: to,
        basisSize: to < content ? to : basis,
        offset: from,
        margin,
      })
    ) {
      if (gap.basis.to > gap.basis.from) gaps.push(gap);
      if (gaps.length === MAX_GAPS) break;
    }
    return gaps;
  }

  /** What is still missing in the large gaps in which finer blocks have been found at samples. */
  #promising(gaps: readonly Gap[], block: number): Gap[] {
    const spans = gaps.filter((gap) => isLarge(gap, block)).map(({ content }) => content);
    const found = coveredBytes(this.#copies, spans);
    const promising = spans.filter((span, i) =>
      found[i]! > (2 + MIN_FOUND * sampleCount(span.to - span.from, block)) * block
    );
    let next = 0;
    return this.#gaps(block).filter(({ content }) => {
      while (next < promising.length && promising[next]!.to <= content.from) next++;
      return next < promising.length && promising[next]!.from <= content.from;
    });
  }

  /**
   * Looks for remote blocks at any offset within gaps.
   *
   * @param coarser the size of the blocks that were looked for before, to try the gaps at some places only. Default:
   * they are examined as a whole
   */
  async #search(block: number, gaps: readonly Gap[], coarser?: number): Promise<void> {
    const most = (MAX_ENTRIES - 2 * MAX_GAPS) * block;
    const put = this.#direction === "put";
    let [remote, local, bytes]: [Span[], Span[], number] = [[], [], 0];
    for (const { content, basis } of gaps) {
      const [there, here] = put ? [basis, content] : [content, basis];
      const all = coarser === undefined
        ? wholePlaces(there, here, most, block)
        : [firstPlaces(there, here, coarser)];
      for (const places of all) {
        const size = sizeOf(places.remote);
        if (bytes + size > most) {
          await this.#searchPlaces(block, remote, local);
          [remote, local, bytes] = [[], [], 0];
        }
        remote.push(...places.remote);
        local.push(...places.local);
        bytes += size;
      }
    }
    await this.#searchPlaces(block, remote, local);
  }

  async #searchPlaces(block: number, remote: Span[], local: Span[]): Promise<void> {
    if (this.#copies.count > MAX_COPIES) return;
    const put = this.#direction === "put";
    const free = freeSpans(this.#copies, put ? this.#local.size : this.#remoteSize);
    const collector = new RangeCollector(this.#remoteSize, block);
    // What was found in the meantime has to be left out.
    for (const { from, to } of put ? union(remote) : intersection(union(remote), free)) {
      collector.add(from, to - from);
    }
    if (collector.count === 0) return;
    const ranges = collector.finish();
    const reply = await this.#ask(block, ranges);
    if (reply.size !== this.#remoteSize) {
      throw new FerryError("busy", "the remote file changed while it was compared");
    }
    const table = await SearchTable.read(reply, ranges, block, windowBytes(block));
    const finds = put ? new FoundPlaces(table) : new FoundBlocks(table);
    const search = new BlockSearch(this.#local, table, this.#hash, finds);
    for (const span of put ? intersection(union(local), free) : union(local)) {
      await search.search(span);
    }
    this.#copies = Copies.merged(this.#copies, finds.finish());
    this.#options.onFound?.(this.#copies.size);
  }
}

/** Whether both sides of a gap are so large that they are not examined as a whole at once. */
function isLarge({ content, basis }: Gap, block: number): boolean {
  return Math.min(content.to - content.from, basis.to - basis.from) > SMALL_GAP * block;
}
