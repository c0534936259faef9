/**
 * md5 (RFC 1321), as fast as one core allows: WebAssembly that is assembled here when it is first needed.
 *
 * Its speed is that of a chain of 64 steps in which each needs the result of the one before. What does not
 * need it, the sum of the oldest word, the message word and the constant, is computed beside the chain, and
 * the second round's function is split in two parts that are added one after the other, since only one of
 * them waits. `deno task bench` compares it with `node:crypto`.
 *
 * @module
 */

import { type Md5Thread, Md5Threads } from "./md5_worker.ts";

/** The block that md5 works in, in bytes. */
export const BLOCK_BYTES = 64;

/** Where the length of all bytes stands in the last block. */
const LENGTH_AT = 56;

/** Each byte in hexadecimal. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Where the blocks stand in the module's memory, behind the four words of the state. */
const INPUT = 64;

/** How many bytes are handed over at once: they stay in the processor's cache. */
const INPUT_BYTES = 256 * 1024;

/** The words A, B, C and D at the start (RFC 1321, section 3.3). */
const INITIAL = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);

/** A piece of fewer bytes is digested before a thread would have heard of it. */
const MIN_THREAD_BYTES = 64 * 1024;

/** What a thread has digested. */
export interface Handled {
  /** The bytes, in the memory that they were in. */
  bytes: Uint8Array<ArrayBuffer>;
  /** See {@linkcode Md5.state}. */
  state: Uint8Array | undefined;
}

/** One md5, fed piece by piece. */
export class Md5 {
  readonly #words = new Uint32Array(INITIAL);
  /** The beginning of the block that is not full yet. */
  readonly #rest = new Uint8Array(BLOCK_BYTES);
  #size = 0;
  /** The thread that has the state, unless it is here. */
  #thread: Md5Thread | undefined;
  /** What was last fed by way of a thread, and how much of that waits to be fed here. */
  #handled: Promise<Handled> | undefined;
  #waiting = 0;

  /**
   * An md5 behind bytes that were digested elsewhere.
   *
   * @param state see {@linkcode Md5.state}
   * @param size how many bytes led to it, a multiple of {@linkcode BLOCK_BYTES}
   */
  static resume(state: Uint8Array, size: number): Md5 {
    const md5 = new Md5();
    const view = new DataView(state.buffer, state.byteOffset, 16);
    for (let i = 0; i < 4; i++) md5.#words[i] = view.getUint32(i * 4, true);
    md5.#size = size;
    return md5;
  }

  /** The md5 of bytes in memory. Many are small, and making a new state for each would take longer than they do. */
  static of(bytes: Uint8Array): string {
    shared.#words.set(INITIAL);
    shared.#size = 0;
    shared.update(bytes);
    return shared.hex();
  }

  /** One that has been fed the same, and goes its own way. */
  clone(): Md5 {
    const md5 = new Md5();
    md5.#words.set(this.#words);
    md5.#rest.set(this.#rest);
    md5.#size = this.#size;
    return md5;
  }

  /** How many bytes have been fed. */
  get size(): number {
    return this.#size;
  }

  /** The words A, B, C and D as 16 bytes, least significant first; undefined inside a block. */
  get state(): Uint8Array | undefined {
    return this.#size % BLOCK_BYTES === 0 ? inBytes(this.#words) : undefined;
  }

  /** Takes the next bytes; they may be overwritten as soon as this returns. */
  update(bytes: Uint8Array): void {
    this.#thread = undefined;
    const pending = this.#size % BLOCK_BYTES;
    this.#size += bytes.length;
    let from = 0;
    if (pending > 0) {
      from = Math.min(BLOCK_BYTES - pending, bytes.length);
      this.#rest.set(bytes.subarray(0, from), pending);
      if (pending + from < BLOCK_BYTES) return;
      this.#digest(this.#rest);
    }
    const whole = from + Math.floor((bytes.length - from) / BLOCK_BYTES) * BLOCK_BYTES;
    if (whole > from) this.#digest(bytes.subarray(from, whole));
    if (whole < bytes.length) this.#rest.set(bytes.subarray(whole));
  }

  /**
   * Has a thread take the next bytes. Until this resolves they are out of reach, and nothing may be asked of this
   * digest but to take more by the same thread.
   *
   * @throws where the thread has ended; the bytes are lost
   */
  updateOn(thread: Md5Thread, bytes: Uint8Array<ArrayBuffer>): Promise<Handled> {
    const inBlocks = this.#size % BLOCK_BYTES === 0 && bytes.length % BLOCK_BYTES === 0;
    const here = this.#waiting > 0 || !inBlocks || bytes.length < MIN_THREAD_BYTES;
    const handled = here ? this.#updateAfter(this.#handled, bytes) : this.#handOver(thread, bytes);
    this.#handled = handled;
    return handled;
  }

  async #handOver(thread: Md5Thread, bytes: Uint8Array<ArrayBuffer>): Promise<Handled> {
    // It goes on from where it is itself unless something was fed here.
    const from = this.#thread === thread ? undefined : this.#words.slice();
    this.#thread = thread;
    this.#size += bytes.length;
    const digested = await thread.digest(bytes, from);
    this.#words.set(digested.state);
    return { bytes: digested.bytes, state: inBytes(digested.state) };
  }

  async #updateAfter(
    before: Promise<unknown> | undefined,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<Handled> {
    this.#waiting++;
    await before;
    this.#waiting--;
    this.update(bytes);
    return { bytes, state: this.state };
  }

  /** The digest of all bytes in lower-case hexadecimal. Nothing may be fed after that. */
  hex(): string {
    const size = this.#size;
    const block = this.#rest;
    // Section 3.1: a one, zeros up to 8 bytes before the end of a block, and the length in bits.
    let end = size % BLOCK_BYTES;
    block[end++] = 0x80;
    if (end > LENGTH_AT) {
      this.#digest(block.fill(0, end));
      end = 0;
    }
    block.fill(0, end);
    const view = new DataView(block.buffer);
    view.setUint32(LENGTH_AT, (size % 2 ** 29) * 8, true);
    view.setUint32(LENGTH_AT + 4, Math.floor(size / 2 ** 29), true);
    this.#digest(block);
    let hex = "";
    for (const word of this.#words) {
      hex += HEX[word & 255]! + HEX[word >> 8 & 255]! + HEX[word >> 16 & 255]! + HEX[word >>> 24]!;
    }
    return hex;
  }

  /** Digests whole blocks. The one instance serves everyone, since this never waits. */
  #digest(blocks: Uint8Array): void {
    const { compress, memory, state } = engine ??= startEngine();
    state.set(this.#words);
    for (let from = 0; from < blocks.length; from += INPUT_BYTES) {
      const piece = blocks.subarray(from, from + INPUT_BYTES);
      memory.set(piece, INPUT);
      compress(INPUT, INPUT + piece.length);
    }
    this.#words.set(state);
  }
}

const shared = new Md5();

/** The words of a state, least significant byte first. */
function inBytes(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(16);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word, true));
  return bytes;
}

/** What large bodies are digested by. */
export const THREADS: Md5Threads = new Md5Threads(() => {
  return { module: makeModule(), input: INPUT, inputBytes: INPUT_BYTES };
});

/** The amounts of rotation of the four rounds (section 3.4). */
const ROTATIONS = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/** The word of the block that a step uses (section 3.4). */
function messageWord(step: number): number {
  return [step, 5 * step + 1, 3 * step + 5, 7 * step][step >> 4]! % 16;
}

/**
 * A piece of a WebAssembly module (WebAssembly Core Specification, section 5) that grows instruction by
 * instruction: arrays that are spread into each other would take longer than many a transfer.
 */
class Code {
  readonly bytes: number[] = [];

  /** Instructions without operands, and other bytes as they are. */
  put(...bytes: readonly number[]): this {
    for (const byte of bytes) this.bytes.push(byte);
    return this;
  }

  /** An integer of variable length (LEB128, section 5.2.2). */
  unsigned(value: number): this {
    for (; value >= 0x80; value >>>= 7) this.bytes.push(value & 0x7f | 0x80);
    this.bytes.push(value);
    return this;
  }

  #signed(value: number): this {
    for (; value < -0x40 || value >= 0x40; value >>= 7) this.bytes.push(value & 0x7f | 0x80);
    this.bytes.push(value & 0x7f);
    return this;
  }

  // Section 5.4: instructions with operands.
  get(local: number): this {
    return this.put(0x20, local);
  }

  set(local: number): this {
    return this.put(0x21, local);
  }

  tee(local: number): this {
    return this.put(0x22, local);
  }

  constant(value: number): this {
    return this.put(0x41).#signed(value | 0);
  }

  load(offset: number): this {
    return this.put(0x28, 2).unsigned(offset);
  }

  store(offset: number): this {
    return this.put(0x36, 2).unsigned(offset);
  }

  not(local: number): this {
    return this.get(local).constant(-1).put(XOR);
  }

  /** Other code behind its length. */
  sized({ bytes }: Code): this {
    return this.unsigned(bytes.length).put(...bytes);
  }

  /** A section (5.5.2). */
  section(id: number, content: Code): this {
    return this.put(id).sized(content);
  }

  /** A name (5.2.4). */
  name(text: string): this {
    return this.sized(new Code().put(...Array.from(text, (letter) => letter.charCodeAt(0))));
  }
}

const LOOP = [0x03, 0x40] as const;
const [END, BRANCH_IF, LESS, ADD] = [0x0b, 0x0d, 0x49, 0x6a] as const;
const [AND, OR, XOR, ROTL] = [0x71, 0x72, 0x73, 0x77] as const;

/** Adds the function of a round, of three locals, to what stands on the stack. */
function addRound(code: Code, round: number, [b, c, d]: readonly [number, number, number]): void {
  switch (round) {
    case 0: // F: (b & c) | (~b & d)
      code.get(d).get(b).get(c).get(d).put(XOR, AND, XOR, ADD);
      break;
    case 1: // G: (b & d) | (c & ~d); the two have no bit in common, so that they can be added
      code.get(c).not(d).put(AND, ADD).get(b).get(d).put(AND, ADD);
      break;
    case 2: // H: b ^ c ^ d
      code.get(c).get(d).put(XOR).get(b).put(XOR, ADD);
      break;
    default: // I: c ^ (b | ~d)
      code.not(d).get(b).put(OR).get(c).put(XOR, ADD);
  }
}

/** The body of `compress(from, to)`: digests the blocks between two addresses into the state at 0. */
function compressBody(code: Code): Code {
  const [from, to] = [0, 1];
  const words = [2, 3, 4, 5];
  const saved = [6, 7, 8, 9];
  let [a, b, c, d] = words as [number, number, number, number];
  words.forEach((word, i) => code.constant(0).load(i * 4).set(word));
  code.put(...LOOP);
  words.forEach((word, i) => code.get(word).set(saved[i]!));
  for (let step = 0; step < 64; step++) {
    const round = step >> 4;
    const sine = Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32);
    code.get(a).get(from).load(messageWord(step) * 4).constant(sine).put(ADD, ADD);
    addRound(code, round, [b, c, d]);
    code.constant(ROTATIONS[round]![step % 4]!).put(ROTL).get(b).put(ADD).set(a);
    [a, b, c, d] = [d, a, b, c];
  }
  words.forEach((word, i) => code.get(word).get(saved[i]!).put(ADD).set(word));
  code.get(from).constant(BLOCK_BYTES).put(ADD).tee(from).get(to).put(LESS, BRANCH_IF, 0, END);
  words.forEach((word, i) => code.constant(0).get(word).store(i * 4));
  return code.put(END);
}

/** The binary module (section 5.5): one function, one memory, both exported. */
function assemble(): Uint8Array<ArrayBuffer> {
  const I32 = 0x7f;
  const pages = Math.ceil((INPUT + INPUT_BYTES) / 65536);
  const body = compressBody(new Code().put(1, 8, I32));
  const { bytes } = new Code().put(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0)
    .section(1, new Code().put(1, 0x60, 2, I32, I32, 0))
    .section(3, new Code().put(1, 0))
    .section(5, new Code().put(1, 0).unsigned(pages))
    .section(7, new Code().put(2).name("memory").put(2, 0).name("compress").put(0, 0))
    .section(10, new Code().put(1).sized(body));
  return new Uint8Array(bytes);
}

interface Exports {
  memory: WebAssembly.Memory;
  compress(from: number, to: number): void;
}

/** The module when it runs. */
interface Engine {
  compress: Exports["compress"];
  memory: Uint8Array;
  /** The state in its memory. WebAssembly is little-endian, and so is every machine that runs Deno. */
  state: Uint32Array;
}

/** Made when they are first needed: many a run has nothing to digest. */
let module: WebAssembly.Module | undefined;
let engine: Engine | undefined;

function makeModule(): WebAssembly.Module {
  return module ??= new WebAssembly.Module(assemble());
}

function startEngine(): Engine {
  const { exports } = new WebAssembly.Instance(makeModule());
  const { compress, memory: { buffer } } = exports as unknown as Exports;
  return { compress, memory: new Uint8Array(buffer), state: new Uint32Array(buffer, 0, 4) };
}
