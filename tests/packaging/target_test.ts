import { assertEquals } from "@std/assert";
import { hostTarget, parseTarget, targetOf, TARGETS } from "../../packaging/target.ts";
import { assertCode } from "../support/assertions.ts";

Deno.test("parseTarget() takes our names and Deno's, and tells those that there are", async () => {
  for (const target of TARGETS) {
    assertEquals(parseTarget(target.name), target);
    assertEquals(parseTarget(target.triple), target);
  }
  for (const name of ["", "linux", "linux-x86", "LINUX-X64", "all"]) {
    const { message } = await assertCode("usage", () => parseTarget(name));
    for (const target of TARGETS) assertEquals(message.includes(target.name), true);
  }
});

Deno.test("hostTarget() is the machine, where there is a target for it", () => {
  assertEquals(hostTarget("aarch64-apple-darwin")?.name, "macos-arm64");
  assertEquals(hostTarget("riscv64gc-unknown-linux-gnu"), undefined);
});

/** The beginning of an executable. */
function head(...fields: [at: number, bytes: number[]][]): Uint8Array {
  const bytes = new Uint8Array(512);
  for (const [at, field] of fields) bytes.set(field, at);
  return bytes;
}

const PE_AT_128: [number, number[]][] = [[0, [0x4d, 0x5a]], [0x3c, [128, 0, 0, 0]]];

Deno.test("targetOf() reads what system an executable is for", () => {
  const elf = (machine: number) => head([0, [0x7f, 0x45, 0x4c, 0x46]], [18, [machine, 0]]);
  const macho = (machine: number) => head([0, [0xcf, 0xfa, 0xed, 0xfe]], [4, [machine, 0, 0, 1]]);
  const pe = (...machine: number[]) => head(...PE_AT_128, [128, [0x50, 0x45, 0, 0, ...machine]]);
  const heads: [Uint8Array, string | undefined][] = [
    [elf(62), "linux-x64"],
    [elf(183), "linux-arm64"],
    [elf(40), undefined],
    [macho(7), "macos-x64"],
    [macho(12), "macos-arm64"],
    [macho(1), undefined],
    [pe(0x64, 0x86), "windows-x64"],
    [pe(0x64, 0xaa), "windows-arm64"],
    [pe(0x4c, 0x01), undefined],
    [head(...PE_AT_128), undefined],
    [head([0, [0x4d, 0x5a]], [0x3c, [0xff, 0xff, 0xff, 0xff]]), undefined],
    [new TextEncoder().encode("#!/bin/sh\n".repeat(20)), undefined],
    [new Uint8Array(), undefined],
    [elf(62).subarray(0, 20), undefined],
  ];
  for (const [bytes, name] of heads) assertEquals(targetOf(bytes)?.name, name);
});

Deno.test("targetOf() knows this Deno", () => {
  const bytes = new Uint8Array(4096);
  using file = Deno.openSync(Deno.execPath());
  file.readSync(bytes);
  assertEquals(targetOf(bytes), hostTarget());
});
