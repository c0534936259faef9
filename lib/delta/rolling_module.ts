/**
 * The rolling hash of the search as a WebAssembly module, which is assembled here when it is first needed.
 *
 * The hash of n bytes b is the sum of b[i] * M^(n-1-i), modulo 2^64; its upper 32 bits are the weak hash. That of a
 * window is made from that of the window one byte before with two multiplications. Unlike sums of bytes and of their
 * positions, as in Adler-32, it has no more collisions in tables or texts than in random bytes.
 *
 * @module
 */

import { I32, I64, MODULE_START, WasmCode } from "../digest/wasm_code.ts";

/** The base M of the powers: odd, so that none of them is 0, and 5 modulo 8, so that 2^62 of them differ. */
const BASE = 0x9e3779b97f4a7c15n;

/** How many bytes of its memory the module needs for itself, from address 0 on. */
export const STATE_BYTES = 64;

/** Where the module finds and leaves values in its memory. */
export const STATE = {
  /** The hash of the present window, 64 bits. */
  hash: 0,
  /** The power of the base that {@linkcode powerOf} returns, 64 bits. */
  power: 8,
  /** The entry that was found, 32 bits. */
  entry: 16,
  /** The address of the filter, which has words of 32 bits: bits 0 to 4 of a weak hash name the bit, others the word. */
  filter: 20,
  /** The length of the filter in bytes, a power of two, minus 4. */
  filterMask: 24,
  /** The address of the hash table: words of 32 bits that are 0, or the number of an entry. */
  table: 28,
  /** The number of words of the table, a power of two, minus 1. */
  tableMask: 32,
  /** The address of the weak hashes of the entries from number 1 on, minus 4. */
  weaks: 36,
} as const;

/** How far from its place in the table an entry may be: longer searches are not worthwhile. */
export const MAX_PROBES = 32;

/** What the module exports. */
export interface RollingExports {
  /** Goes on with the hash in the state, 0 at first, over the bytes between two addresses. Returns the weak hash. */
  hash(from: number, to: number): number;
  /** The entry with a weak hash; 0 if there is none. */
  find(weak: number): number;
  /**
   * Moves the window on from an address, with the hash in the state, until its weak hash is that of an entry, which is
   * left in the state.
   *
   * @param from the address of the present window
   * @param last the address of the last window
   * @param block the length of the window
   * @returns the address of the window that was found; -1 if there was none up to the last one
   */
  scan(from: number, last: number, block: number): number;
}

/** Compiled once for the whole process: a compiled module never changes. */
let compiled: WebAssembly.Module | undefined;

/** An instance of the module that works on a memory. */
export function startRolling(memory: WebAssembly.Memory): RollingExports {
  compiled ??= new WebAssembly.Module(assemble());
  const { exports } = new WebAssembly.Instance(compiled, { ferry: { memory } });
  return exports as unknown as RollingExports;
}

/** What the first byte of a window has been multiplied by when it leaves it: the base to the power of its length. */
export function powerOf(block: number): bigint {
  let [power, square] = [1n, BASE];
  for (let rest = block; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = BigInt.asUintN(64, power * square);
    square = BigInt.asUintN(64, square * square);
  }
  return power;
}

const [LOOP, BLOCK, IF] = [[0x03, 0x40], [0x02, 0x40], [0x04, 0x40]] as const;
const [END, BRANCH, BRANCH_IF, RETURN] = [0x0b, 0x0c, 0x0d, 0x0f] as const;
const [EQZ, EQ, LESS_U, GREATER_U] = [0x45, 0x46, 0x49, 0x4b] as const;
const [ADD, AND, SHL, SHR_U] = [0x6a, 0x71, 0x74, 0x76] as const;
const [ADD64, SUB64, MUL64, SHR64_U, WRAP] = [0x7c, 0x7d, 0x7e, 0x88, 0xa7] as const;

/** How many bytes are hashed in one turn of the loop: only one of the multiplications waits for the turn before. */
const HASH_STEP = 8;

/** The body of `hash(from, to)`. */
function hashBody(code: WasmCode): WasmCode {
  const [from, to, hash] = [0, 1, 2];
  code.constant(0).load64(STATE.hash).set(hash);
  code.put(...BLOCK).put(...LOOP);
  code.get(from).constant(HASH_STEP).put(ADD).get(to).put(GREATER_U, BRANCH_IF, 1);
  code.get(hash).constant64(powerOf(HASH_STEP)).put(MUL64);
  for (let i = 0; i < HASH_STEP; i++) {
    code.get(from).loadByte64(i).constant64(powerOf(HASH_STEP - 1 - i)).put(MUL64, ADD64);
  }
  code.set(hash).get(from).constant(HASH_STEP).put(ADD).set(from).put(BRANCH, 0, END, END);
  code.put(...BLOCK).put(...LOOP);
  code.get(from).get(to).put(EQ, BRANCH_IF, 1);
  code.get(hash).constant64(BASE).put(MUL64).get(from).loadByte64(0).put(ADD64).set(hash);
  code.get(from).constant(1).put(ADD).set(from).put(BRANCH, 0, END, END);
  code.constant(0).get(hash).store64(STATE.hash);
  return code.get(hash).constant64(32n).put(SHR64_U, WRAP, END);
}

/** The body of `find(weak)`. */
function findBody(code: WasmCode): WasmCode {
  const [weak, slot, entry, probes] = [0, 1, 2, 3];
  code.get(weak).set(slot).put(...LOOP);
  code.get(slot).constant(0).load(STATE.tableMask).put(AND).constant(2).put(SHL);
  code.constant(0).load(STATE.table).put(ADD).load(0).tee(entry).put(EQZ, ...IF);
  code.constant(0).put(RETURN, END);
  code.get(entry).constant(2).put(SHL).constant(0).load(STATE.weaks).put(ADD).load(0);
  code.get(weak).put(EQ, ...IF).get(entry).put(RETURN, END);
  code.get(slot).constant(1).put(ADD).set(slot);
  code.get(probes).constant(1).put(ADD).tee(probes).constant(MAX_PROBES).put(LESS_U, BRANCH_IF, 0);
  return code.put(END).constant(0).put(END);
}

/** How many positions are examined in one turn of the loop of a scan. */
const SCAN_STEP = 8;

/** The body of `scan(from, last, block)`. */
function scanBody(code: WasmCode): WasmCode {
  const [from, last, block, filter, mask, ahead, weak, hash, power] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  code.constant(0).load(STATE.filter).set(filter).constant(0).load(STATE.filterMask).set(mask);
  code.constant(0).load64(STATE.hash).set(hash).constant(0).load64(STATE.power).set(power);
  code.get(from).get(block).put(ADD).set(ahead);
  /** Moves the window on to the byte behind `from + i`, and returns if it is found there. */
  const step = (i: number) => {
    code.get(ahead).loadByte64(i).get(from).loadByte64(i).get(power).put(MUL64, SUB64);
    code.get(hash).constant64(BASE).put(MUL64, ADD64).tee(hash).constant64(32n).put(SHR64_U, WRAP);
    code.tee(weak).constant(3).put(SHR_U).constant(-4).put(AND);
    code.get(mask).put(AND).get(filter).put(ADD).load(0).get(weak).put(SHR_U).constant(1);
    code.put(AND, ...IF).get(weak).call(FIND).tee(weak).put(...IF);
    code.constant(0).get(hash).store64(STATE.hash).constant(0).get(weak).store(STATE.entry);
    code.get(from).constant(i + 1).put(ADD, RETURN, END, END);
  };
  for (const steps of [SCAN_STEP, 1]) {
    code.put(...BLOCK).put(...LOOP);
    code.get(from).constant(steps).put(ADD).get(last).put(GREATER_U, BRANCH_IF, 1);
    for (let i = 0; i < steps; i++) step(i);
    code.get(from).constant(steps).put(ADD).set(from);
    code.get(ahead).constant(steps).put(ADD).set(ahead).put(BRANCH, 0, END, END);
  }
  return code.constant(0).get(hash).store64(STATE.hash).constant(-1).put(END);
}

/** The index of `find` among the functions. */
const FIND = 1;

/** The binary module (section 5.5): three functions that work on a memory that is imported. */
function assemble(): Uint8Array<ArrayBuffer> {
  const hash = hashBody(new WasmCode().put(1, 1, I64));
  const find = findBody(new WasmCode().put(1, 3, I32));
  const scan = scanBody(new WasmCode().put(2, 4, I32, 2, I64));
  const types = new WasmCode().put(3, 0x60, 2, I32, I32, 1, I32, 0x60, 1, I32, 1, I32)
    .put(0x60, 3, I32, I32, I32, 1, I32);
  const { bytes } = new WasmCode().put(...MODULE_START)
    .section(1, types)
    .section(2, new WasmCode().put(1).name("ferry").name("memory").put(2, 0, 1))
    .section(3, new WasmCode().put(3, 0, 1, 2))
    .section(
      7,
      new WasmCode().put(3).name("hash").put(0, 0).name("find").put(0, FIND).name("scan").put(0, 2),
    )
    .section(10, new WasmCode().put(3).sized(hash).sized(find).sized(scan));
  return new Uint8Array(bytes);
}
