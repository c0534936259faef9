import { assert, assertEquals } from "@std/assert";
import { HOLE_BYTES, HoleWriter } from "../../../lib/files/holes.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { DescriptorFile } from "../../../lib/files/descriptor_file.ts";
import { openSync } from "node:fs";
import { RUNTIME } from "../../support/runtime.ts";
import { TempDir } from "../../support/programs.ts";

/** A target that records what is written and left out. */
class Recorder {
  readonly parts: [kind: "bytes" | "hole", count: number][] = [];
  readonly content: number[] = [];
  extended = 0;

  write(bytes: Uint8Array): Promise<void> {
    this.writeSync(bytes);
    return Promise.resolve();
  }
  writeSync(bytes: Uint8Array): void {
    this.parts.push(["bytes", bytes.length]);
    for (const byte of bytes) this.content.push(byte);
  }
  skip(count: number): void {
    this.parts.push(["hole", count]);
    for (let i = 0; i < count; i++) this.content.push(0);
  }
  extend(): void {
    this.extended++;
  }
}

/** Content with ones, except for runs of zeros, each given by its start and its end. */
function withZeros(size: number, ...runs: [from: number, to: number][]): Uint8Array {
  const bytes = new Uint8Array(size).fill(1);
  for (const [from, to] of runs) bytes.fill(0, from, to);
  return bytes;
}

Deno.test("HoleWriter leaves out runs of zeros, however the bytes arrive", async () => {
  const K = 1024;
  const content = withZeros(
    700 * K + 17,
    [0, 64 * K],
    [65 * K + 1, 150 * K],
    [160 * K, 223 * K],
    [300 * K, 500 * K],
    [600 * K, 700 * K + 17],
  );
  for (const piece of [1000, 4096, 65_536, 65_537, 262_144, content.length]) {
    const target = new Recorder();
    const writer = new HoleWriter(target, 0);
    for (let at = 0; at < content.length; at += piece) {
      await writer.write(content.subarray(at, at + piece));
    }
    writer.settle();
    writer.settle();
    assertEquals(new Uint8Array(target.content), content, `pieces of ${piece}`);
    const holes = target.parts.filter(([kind]) => kind === "hole").map(([, count]) => count);
    assertEquals(holes.length, 4);
    assert(holes.every((count) => count >= HOLE_BYTES));
    assert(holes.reduce((sum, count) => sum + count, 0) >= (64 + 80 + 200 + 100 - 4) * K);
    assertEquals(target.extended, 1);
  }
});

Deno.test("HoleWriter writes short runs of zeros, and what is no multiple of a block", async () => {
  const target = new Recorder();
  const writer = new HoleWriter(target, 5);
  await writer.write(new Uint8Array(HOLE_BYTES - 1));
  writer.settle();
  assertEquals(target.parts, [["bytes", HOLE_BYTES - 1]]);
  assertEquals(target.extended, 0);
  await writer.write(new Uint8Array(10));
  await writer.write(new Uint8Array([1]));
  await writer.write(new Uint8Array(0));
  writer.settle();
  assertEquals(target.content, [...new Uint8Array(HOLE_BYTES + 9), 1]);
});

/** The bytes that a file takes on the disk. */
function taken(path: string): number {
  return Deno.statSync(path).blocks! * 512;
}

Deno.test("StagedFile.makeHoles() makes files that take little space, and are whole", async () => {
  await using dir = new TempDir();
  const content = withZeros(5_000_000, [100_000, 2_500_000], [3_000_000, 5_000_000]);
  await using claimed = StagedFile.claim(dir.join("claimed.part"), RUNTIME, { create: true })!;
  const path = dir.join("described.part");
  const file = new DescriptorFile(openSync(path, "wx"), path);
  await using described = StagedFile.of({ file, path }, RUNTIME, { mode: 0o644 });
  await using plain = StagedFile.create(dir.path, RUNTIME);
  for (const [name, staged] of Object.entries({ claimed, described, plain })) {
    // Large pieces may be written on another thread.
    const piece = name === "described" ? 1_500_000 : 70_001;
    staged.makeHoles();
    assert(staged.hasHoles);
    for (let at = 0; at < content.length; at += piece) {
      await staged.write(content.subarray(at, at + piece));
    }
    assertEquals(staged.size, content.length);
    const mtime = 1_000_000_000_000;
    staged.setAttributes({ mtime });
    await staged.sync();
    staged.publish(dir.join(name), { replace: false });
    assertEquals(Deno.readFileSync(dir.join(name)), content);
    assertEquals(Deno.statSync(dir.join(name)).mtime!.getTime(), mtime);
    assert(taken(dir.join(name)) < 800_000, `${name} takes ${taken(dir.join(name))} bytes`);
  }
});

Deno.test("StagedFile.truncate() cuts off a hole, and goes on with holes", async () => {
  await using dir = new TempDir();
  await using staged = StagedFile.claim(dir.join("x.part"), RUNTIME, { create: true })!;
  staged.makeHoles();
  await staged.write(withZeros(300_000, [50_000, 300_000]));
  staged.settle();
  assertEquals(Deno.statSync(staged.path).size, 300_000);
  staged.truncate(200_000);
  await staged.write(new Uint8Array(200_000));
  await staged.write(new Uint8Array([1]));
  staged.publish(dir.join("x"), { replace: false });
  assertEquals(Deno.readFileSync(dir.join("x")), withZeros(400_001, [50_000, 400_000]));
});
