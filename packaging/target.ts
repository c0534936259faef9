/**
 * The systems that executables are made for.
 *
 * @module
 */

import { FerryError, quote } from "../lib/core/errors.ts";

/** A system: an operating system on a kind of processor. */
export interface Target {
  /** Its name, also in names of files: `linux-x64`. */
  readonly name: string;
  /** Its name in Deno. */
  readonly triple: string;
  /** Its operating system. */
  readonly os: "linux" | "macos" | "windows";
  /** The suffix of executables. */
  readonly suffix: string;
}

/** All targets. */
export const TARGETS: readonly Target[] = [
  { name: "linux-x64", triple: "x86_64-unknown-linux-gnu", os: "linux", suffix: "" },
  { name: "linux-arm64", triple: "aarch64-unknown-linux-gnu", os: "linux", suffix: "" },
  { name: "macos-x64", triple: "x86_64-apple-darwin", os: "macos", suffix: "" },
  { name: "macos-arm64", triple: "aarch64-apple-darwin", os: "macos", suffix: "" },
  { name: "windows-x64", triple: "x86_64-pc-windows-msvc", os: "windows", suffix: ".exe" },
  { name: "windows-arm64", triple: "aarch64-pc-windows-msvc", os: "windows", suffix: ".exe" },
];

/**
 * The target of a name, of this module or of Deno.
 *
 * @throws {FerryError} `usage`, with all targets
 */
export function parseTarget(text: string): Target {
  const target = TARGETS.find(({ name, triple }) => name === text || triple === text);
  if (target) return target;
  const names = TARGETS.map(({ name }) => name).join(", ");
  throw new FerryError("usage", `There is no target ${quote(text)}; there are ${names}`);
}

/** The target that is this machine; undefined where it is none. */
export function hostTarget(triple: string = Deno.build.target): Target | undefined {
  return TARGETS.find((target) => target.triple === triple);
}

/**
 * The target of an executable, by its first bytes; undefined where they are not those of an executable.
 *
 * @param head its first 4 KiB, or all of it
 */
export function targetOf(head: Uint8Array): Target | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const within = (at: number) => at + 4 <= view.byteLength;
  if (!within(60)) return undefined;
  const find = (os: string, machine: string | undefined) =>
    TARGETS.find(({ name }) => name === `${os}-${machine}`);
  // System V ABI, "ELF Header": the magic number, then e_machine at 18.
  if (view.getUint32(0) === 0x7f454c46) {
    return find("linux", { 62: "x64", 183: "arm64" }[view.getUint16(18, true)]);
  }
  // <mach-o/loader.h>: MH_MAGIC_64, then the type of the processor.
  if (view.getUint32(0, true) === 0xfeedfacf) {
    return find("macos", { 0x01000007: "x64", 0x0100000c: "arm64" }[view.getUint32(4, true)]);
  }
  // "PE Format": "MZ", the offset of the signature "PE\0\0" at 0x3c, then the type of the machine.
  const signature = view.getUint32(0x3c, true);
  if (
    view.getUint16(0) === 0x4d5a && within(signature + 4) &&
    view.getUint32(signature) === 0x50450000
  ) {
    return find("windows", { 0x8664: "x64", 0xaa64: "arm64" }[view.getUint16(signature + 4, true)]);
  }
  return undefined;
}
