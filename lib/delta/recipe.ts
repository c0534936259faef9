/**
 * A recipe: how to make a content from parts of an older one, its basis, and from literal bytes. It is the body of a put
 * by delta.
 *
 * It consists of integers of variable length and of literal bytes: the length of a literal, which may be 0, and its
 * bytes; then, unless the content is complete, the length of a copy, which may be 0 if that of the literal is not; and
 * if it is not 0, the distance (as a zigzag code) of its start in the basis from the end of the copy before, at first
 * from the start of the basis; and so on.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import type { ByteSource } from "../core/bytes.ts";
import { SMALL_BUFFER } from "../core/buffer_budget.ts";
import type { Checksum } from "../core/checksum.ts";
import type { Copies, Copy } from "./copies.ts";
import type { Part, Parts, Received } from "./parts.ts";
import type { RandomAccess } from "./random_access.ts";
import {
  unzigzag,
  VARINT_BYTES,
  varintLength,
  VarintReader,
  writeVarint,
  zigzag,
} from "./varint.ts";

/** Encodes a recipe while it is sent. */
export class RecipeSource implements ByteSource {
  readonly #local: RandomAccess & Pick<ByteSource, "assertUnchanged">;
  readonly #copies: Iterator<Copy>;
  /** The copy behind the literal at hand; undefined behind the last one. */
  #copy: Copy | undefined;
  /** The offset in the content of what is encoded next. */
  #position: number;
  /** Up to where the literal at hand reaches. */
  #literalEnd: number;
  #expected: number;
  /** Integers that have been encoded, and how many of their bytes have been read. */
  readonly #integers = new Uint8Array(3 * VARINT_BYTES);
  #encoded = 0;
  #taken = 0;
  /** The exact length of the encoded recipe in bytes. */
  readonly size: number;

  /**
   * @param copies what the receiver copies from its basis
   * @param local the new content, from which literals are read. It is not closed
   * @param offset the offset in the content from which on the recipe describes it. Default: 0.
   * @param expected where in the basis the copy in front of that ends, for a recipe that continues another one.
   * Default: 0.
   */
  constructor(
    copies: Copies,
    local: RandomAccess & Pick<ByteSource, "assertUnchanged">,
    offset = 0,
    expected = 0,
  ) {
    this.size = lengthOf(copies, { offset, expected, size: local.size });
    this.#local = local;
    this.#expected = expected;
    this.#position = this.#literalEnd = offset;
    this.#copies = copies.behind(offset);
    if (offset < local.size) this.#beginLiteral();
  }

  /** The end in the basis of the last copy that has been encoded. */
  get expected(): number {
    return this.#expected;
  }

  /**
   * Reads some bytes of the encoded recipe into `into`; null at the end.
   *
   * @throws {FerryError} `io`, also if the local content is shorter than it was
   */
  async read(into: Uint8Array): Promise<number | null> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#taken < this.#encoded) {
        const piece = this.#integers.subarray(this.#taken, this.#encoded)
          .subarray(0, into.length - filled);
        into.set(piece, filled);
        this.#taken += piece.length;
        filled += piece.length;
      } else if (this.#position < this.#literalEnd) {
        const left = this.#literalEnd - this.#position;
        this.#local.seek(this.#position);
        const count = await this.#local.read(into.subarray(filled, filled + left));
        if (!count) throw new FerryError("io", "it shrank while it was sent");
        this.#position += count;
        filled += count;
      } else if (this.#copy) {
        this.#encodeCopy(this.#copy);
      } else {
        break;
      }
    }
    return filled === 0 && into.length > 0 ? null : filled;
  }

  /**
   * As that of the local content.
   *
   * @throws {FerryError} `io`
   */
  async assertUnchanged(whole?: Checksum): Promise<void> {
    await this.#local.assertUnchanged?.(whole);
  }

  #encodeCopy(copy: Copy): void {
    this.#encoded = writeVarint(this.#integers, 0, copy.size);
    const distance = zigzag(copy.from - this.#expected);
    this.#encoded = writeVarint(this.#integers, this.#encoded, distance);
    this.#taken = 0;
    this.#expected = copy.from + copy.size;
    this.#position = copy.at + copy.size;
    if (this.#position < this.#local.size) this.#beginLiteral();
    else this.#copy = undefined;
  }

  /** Encodes the length of the literal in front of the next copy. */
  #beginLiteral(): void {
    if (this.#taken === this.#encoded) this.#taken = this.#encoded = 0;
    const { done, value } = this.#copies.next();
    this.#copy = done ? undefined : value;
    this.#literalEnd = this.#copy?.at ?? this.#local.size;
    const length = this.#literalEnd - this.#position;
    this.#encoded = writeVarint(this.#integers, this.#encoded, length);
  }
}

/** The length in bytes of an encoded recipe. */
function lengthOf(
  copies: Copies,
  { offset, expected, size }: { offset: number; expected: number; size: number },
): number {
  let [length, end] = [0, offset];
  for (const copy of copies.behind(offset)) {
    const literal = copy.at - end;
    length += varintLength(literal) + literal + varintLength(copy.size) +
      varintLength(zigzag(copy.from - expected));
    end = copy.at + copy.size;
    expected = copy.from + copy.size;
  }
  const rest = size - end;
  return rest === 0 ? length : length + varintLength(rest) + rest;
}

/** Decodes a recipe while it is received, and checks everything in it. */
export class RecipeDecoder implements Parts {
  readonly #input: Received;
  readonly #basisSize: number;
  readonly #buffer = new Uint8Array(SMALL_BUFFER);
  #filled = 0;
  #taken = 0;
  readonly #varints = new VarintReader();
  /** How many bytes of the content the parts that follow still have to give. */
  #left: number;
  /** How many bytes of the literal at hand have not been read. */
  #literal = 0;
  /** Whether the last part was a literal, behind which the length of a copy follows. */
  #afterLiteral = false;
  #expected = 0;

  /**
   * @param input the encoded recipe
   * @param size how many bytes it describes
   * @param basisSize the size of the basis in bytes
   */
  constructor(input: Received, size: number, basisSize: number) {
    this.#input = input;
    this.#left = size;
    this.#basisSize = basisSize;
  }

  /**
   * The next part; null when the content is complete and nothing follows.
   *
   * @throws {FerryError} `bad_header` if the recipe is not valid, or what the input fails with
   */
  async next(): Promise<Part | null> {
    if (this.#left === 0) {
      if (this.#taken < this.#filled || await this.#fill()) {
        throw bad("it goes on behind the end of the content");
      }
      return null;
    }
    let empty = false;
    if (!this.#afterLiteral) {
      const size = await this.#integer();
      if (size > this.#left) throw bad("a literal reaches over the end of the content");
      this.#left -= this.#literal = size;
      this.#afterLiteral = true;
      if (size > 0) return { size, from: undefined };
      empty = true;
    }
    this.#afterLiteral = false;
    const size = await this.#integer();
    if (size === 0) {
      if (empty) throw bad("a literal and the copy behind it are both empty");
      return await this.next();
    }
    if (size > this.#left) throw bad("a copy reaches over the end of the content");
    const from = this.#expected + unzigzag(await this.#integer());
    if (!(from >= 0 && from + size <= this.#basisSize)) {
      throw bad("a copy is not within the older content");
    }
    this.#left -= size;
    this.#expected = from + size;
    return { size, from };
  }

  /**
   * Reads bytes of the literal that {@linkcode RecipeDecoder.next} returned last.
   *
   * @throws {FerryError} `bad_header` if the recipe ends in it, or what the input fails with
   */
  async read(into: Uint8Array): Promise<number> {
    const wanted = into.subarray(0, this.#literal);
    const buffered = this.#buffer.subarray(this.#taken, this.#filled).subarray(0, wanted.length);
    let count = buffered.length;
    if (count > 0) {
      into.set(buffered);
      this.#taken += count;
    } else if (wanted.length >= SMALL_BUFFER) {
      count = await this.#input.read(wanted);
      if (count === 0) throw endsEarly();
    } else if (wanted.length > 0) {
      if (!await this.#fill()) throw endsEarly();
      return await this.read(into);
    }
    this.#literal -= count;
    return count;
  }

  async #integer(): Promise<number> {
    while (true) {
      if (this.#taken === this.#filled && !await this.#fill()) throw endsEarly();
      const value = this.#varints.take(this.#buffer[this.#taken++]!);
      if (value !== undefined) return value;
    }
  }

  /** Refills the empty buffer. Returns whether there was something. */
  async #fill(): Promise<boolean> {
    this.#taken = 0;
    this.#filled = 0;
    this.#filled = await this.#input.read(this.#buffer);
    return this.#filled > 0;
  }
}

function endsEarly(): FerryError {
  return bad("it ends before the content is complete");
}

function bad(flaw: string): FerryError {
  return new FerryError("bad_header", `the recipe is not valid: ${flaw}`);
}
