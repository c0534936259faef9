/**
 * The compression function of MD5 (RFC 1321) as a WebAssembly module, which is assembled here when it is first needed.
 *
 * Its speed is limited by a chain of 64 steps, each of which depends on the result of the previous one. What does not
 * depend on it, the sum of the oldest word, the message word and the constant, is computed in parallel to the chain.
 * The function of the second round is split in two parts that are added one after the other, since only one of them has
 * to wait. `deno task bench` compares it with `node:crypto`.
 *
 * @module
 */

import { I32, MODULE_START, WasmCode } from "./wasm_code.ts";

/** The block size of MD5 in bytes. */
export const BLOCK_BYTES = 64;

/** The offset in bytes of the blocks in the module's memory: after the four words of the state. */
export const INPUT_OFFSET = 64;

/** How many bytes of blocks the module accepts in one call: few enough to stay in the processor's cache. */
export const INPUT_BYTES: number = 256 * 1024;

/** What the module exports. */
export interface Md5Exports {
  /** The state, four words of 32 bits, and from {@linkcode INPUT_OFFSET} on the blocks. */
  memory: WebAssembly.Memory;
  /** Applies the whole blocks between two addresses to the state. */
  compress(from: number, to: number): void;
}

/** Compiled once for the whole process: a compiled module never changes. */
let compiled: WebAssembly.Module | undefined;

/** The module. */
export function md5Module(): WebAssembly.Module {
  return compiled ??= new WebAssembly.Module(assemble());
}

/** The amounts of rotation of the four rounds (section 3.4). */
const ROTATIONS = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/** The word of the block that a step uses (section 3.4). */
function messageWord(step: number): number {
  return [step, 5 * step + 1, 3 * step + 5, 7 * step][step >> 4]! % 16;
}

const LOOP = [0x03, 0x40] as const;
const [END, BRANCH_IF, LESS, ADD] = [0x0b, 0x0d, 0x49, 0x6a] as const;
const [AND, OR, XOR, ROTL] = [0x71, 0x72, 0x73, 0x77] as const;

/** Adds the result of the function of a round, applied to three locals, to the top of the stack. */
function addRound(
  code: WasmCode,
  round: number,
  [b, c, d]: readonly [number, number, number],
): void {
  switch (round) {
    case 0: // F: (b & c) | (~b & d)
      code.get(d).get(b).get(c).get(d).put(XOR, AND, XOR, ADD);
      break;
    case 1: // G: (b & d) | (c & ~d); the two have no bit in common, so that they can be added
      code.get(c).get(d).constant(-1).put(XOR).put(AND, ADD).get(b).get(d).put(AND, ADD);
      break;
    case 2: // H: b ^ c ^ d
      code.get(c).get(d).put(XOR).get(b).put(XOR, ADD);
      break;
    default: // I: c ^ (b | ~d)
      code.get(d).constant(-1).put(XOR).get(b).put(OR).get(c).put(XOR, ADD);
  }
}

/** The body of `compress(from, to)`: applies the blocks between two addresses to the state at address 0. */
function compressBody(code: WasmCode): WasmCode {
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
  const pages = Math.ceil((INPUT_OFFSET + INPUT_BYTES) / 65536);
  const body = compressBody(new WasmCode().put(1, 8, I32));
  const { bytes } = new WasmCode().put(...MODULE_START)
    .section(1, new WasmCode().put(1, 0x60, 2, I32, I32, 0))
    .section(3, new WasmCode().put(1, 0))
    .section(5, new WasmCode().put(1, 0).unsigned(pages))
    .section(7, new WasmCode().put(2).name("memory").put(2, 0).name("compress").put(0, 0))
    .section(10, new WasmCode().put(1).sized(body));
  return new Uint8Array(bytes);
}
