/**
 * What a new version of a file takes from an older one.
 *
 * @module
 */

/** A part of a content that is the same as a part of its basis. */
export interface Copy {
  /** The offset in the content. */
  at: number;
  /** The offset in the basis. */
  from: number;
  /** The length in bytes. */
  size: number;
}

/** The numbers of one copy in {@linkcode Copies}. */
const NUMBERS = 3;

/**
 * Copies in ascending order of their offsets in the content. They do not overlap there. What is between them is the
 * literal part of the content. There may be a million of them, so they are kept as plain numbers.
 */
export class Copies implements Iterable<Copy> {
  #numbers = new Float64Array(16 * NUMBERS);
  #count = 0;
  #size = 0;

  /** How many copies there are. */
  get count(): number {
    return this.#count;
  }

  /** How many bytes of the content are copied. */
  get size(): number {
    return this.#size;
  }

  /** Adds a copy behind all others. It becomes one with the last one if it continues that in both files. */
  add(at: number, from: number, size: number): void {
    const last = (this.#count - 1) * NUMBERS;
    this.#size += size;
    const numbers = this.#numbers;
    if (
      this.#count > 0 && numbers[last]! + numbers[last + 2]! === at &&
      numbers[last + 1]! + numbers[last + 2]! === from
    ) {
      numbers[last + 2]! += size;
      return;
    }
    const next = last + NUMBERS;
    if (next === numbers.length) {
      this.#numbers = new Float64Array(2 * numbers.length);
      this.#numbers.set(numbers);
    }
    this.#numbers[next] = at;
    this.#numbers[next + 1] = from;
    this.#numbers[next + 2] = size;
    this.#count++;
  }

  /** The copy with an index from 0 to `count` - 1. */
  get(index: number): Copy {
    const [at, from, size] = this.#numbers.subarray(index * NUMBERS, (index + 1) * NUMBERS);
    return { at: at!, from: from!, size: size! };
  }

  /** All copies in order. */
  *[Symbol.iterator](): Iterator<Copy> {
    for (let index = 0; index < this.#count; index++) yield this.get(index);
  }

  /** Copies of both lists, which have no part of the content in common. */
  static merged(some: Copies, others: Copies): Copies {
    if (others.count === 0) return some;
    const merged = new Copies();
    for (let i = 0, j = 0; i < some.count || j < others.count;) {
      const first = j === others.count || i < some.count && some.#atOf(i) < others.#atOf(j);
      const { at, from, size } = first ? some.get(i++) : others.get(j++);
      merged.add(at, from, size);
    }
    return merged;
  }

  #atOf(index: number): number {
    return this.#numbers[index * NUMBERS]!;
  }

  /** A list of its own of the copies behind an offset in the content. */
  from(offset: number): Copies {
    const copies = new Copies();
    for (const { at, from, size } of this.behind(offset)) copies.add(at, from, size);
    return copies;
  }

  /** The copies behind an offset in the content, the first of them without what is in front of it. */
  *behind(offset: number): Generator<Copy, void, void> {
    for (const copy of this) {
      const cut = Math.max(0, offset - copy.at);
      if (cut >= copy.size) continue;
      yield { at: copy.at + cut, from: copy.from + cut, size: copy.size - cut };
    }
  }
}
