/**
 * Assembles WebAssembly modules (WebAssembly Core Specification, section 5).
 *
 * @module
 */

/** The type of 32-bit integers. */
export const I32 = 0x7f;

/** The type of 64-bit integers. */
export const I64 = 0x7e;

/** The first eight bytes of a module. */
export const MODULE_START: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/**
 * A part of a module that is built instruction by instruction: spreading arrays into each other would take longer than
 * many a transfer.
 */
export class WasmCode {
  /** What it consists of so far. */
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

  #signed(value: bigint): this {
    for (; value < -0x40n || value >= 0x40n; value >>= 7n) {
      this.bytes.push(Number(value & 0x7fn) | 0x80);
    }
    this.bytes.push(Number(value & 0x7fn));
    return this;
  }

  // Section 5.4: instructions with operands.
  /** Pushes the value of a local. */
  get(local: number): this {
    return this.put(0x20, local);
  }

  /** Pops a value into a local. */
  set(local: number): this {
    return this.put(0x21, local);
  }

  /** Copies the top of the stack into a local. */
  tee(local: number): this {
    return this.put(0x22, local);
  }

  /** Calls a function. */
  call(index: number): this {
    return this.put(0x10).unsigned(index);
  }

  /** Pushes a constant of 32 bits. */
  constant(value: number): this {
    return this.put(0x41).#signed(BigInt(value | 0));
  }

  /** Pushes a constant of 64 bits. */
  constant64(value: bigint): this {
    return this.put(0x42).#signed(BigInt.asIntN(64, value));
  }

  /** Loads 32 bits. */
  load(offset: number): this {
    return this.put(0x28, 2).unsigned(offset);
  }

  /** Stores 32 bits. */
  store(offset: number): this {
    return this.put(0x36, 2).unsigned(offset);
  }

  /** Loads 64 bits. */
  load64(offset: number): this {
    return this.put(0x29, 3).unsigned(offset);
  }

  /** Stores 64 bits. */
  store64(offset: number): this {
    return this.put(0x37, 3).unsigned(offset);
  }

  /** Loads a byte as 64 bits. */
  loadByte64(offset: number): this {
    return this.put(0x31, 0).unsigned(offset);
  }

  /** Other code, preceded by its length. */
  sized({ bytes }: WasmCode): this {
    return this.unsigned(bytes.length).put(...bytes);
  }

  /** A section (5.5.2). */
  section(id: number, content: WasmCode): this {
    return this.put(id).sized(content);
  }

  /** A name (5.2.4). */
  name(text: string): this {
    return this.sized(new WasmCode().put(...Array.from(text, (letter) => letter.charCodeAt(0))));
  }
}
