import { assert, assertEquals } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { stagedIn } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { md5, MIB } from "../support/bytes.ts";

/** A file of 18 MiB with bytes at its beginning, in its middle and before its end, and zeros between. */
function withHoles(): Uint8Array {
  const bytes = new Uint8Array(18 * MIB + 5);
  for (const at of [0, 9 * MIB + 77, 17 * MIB]) bytes.set(randomBytes(100_000, at), at);
  return bytes;
}

/** The bytes that a file takes on the disk. */
function taken(path: string): number {
  return Deno.statSync(path).blocks! * 512;
}

Deno.test("ferry put and get --sparse make holes of runs of zeros, without it they store them", async () => {
  await using p = await Pair.shared();
  const bytes = withHoles();
  const small = bytes.subarray(0, MIB);
  p.write("f", bytes);
  Deno.mkdirSync(`${p.cwd}/t`);
  p.write("t/small", small);
  for (const args of [["put", "f", "--sparse"], ["put", "t", "--sparse"]]) {
    assertEquals((await p.run(...args)).code, 0);
  }
  assertEquals((await p.run("put", "f", "--as", "full")).code, 0);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
  assertEquals(Deno.readFileSync(`${p.root}/t/small`), small);
  assert(taken(`${p.root}/f`) < MIB, `it takes ${taken(`${p.root}/f`)} bytes`);
  assert(taken(`${p.root}/t/small`) < MIB / 4);
  assert(taken(`${p.root}/full`) >= 18 * MIB);
  for (const name of ["full", "t"]) {
    assertEquals((await p.run("get", name, "--out", `back/${name}`, "--sparse")).code, 0);
  }
  assertEquals((await p.run("get", "f", "--out", "back/plain")).code, 0);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/back/full`)), md5(bytes));
  assertEquals(Deno.readFileSync(`${p.cwd}/back/t/small`), small);
  assert(taken(`${p.cwd}/back/full`) < MIB);
  assert(taken(`${p.cwd}/back/t/small`) < MIB / 4);
  assert(taken(`${p.cwd}/back/plain`) >= 18 * MIB);
});

Deno.test("ferry put --sparse goes on where one was cut in a hole", async () => {
  await using p = await Pair.start();
  const bytes = withHoles();
  p.dir.write("cwd/f", bytes);
  {
    using peer = await p.connect();
    const put = { op: "put", filename: "f", md5: null, total_size: bytes.length, sparse: true };
    await peer.send(put, bytes.subarray(0, 15 * MIB));
    await peer.end();
    assertEquals(await peer.code(), "closed");
  }
  const [part] = (await p.run("ls", "--partial", "--json")).stdout.trim().split("\n");
  const { received } = JSON.parse(part!);
  assert(received >= 10 * MIB, `${received} bytes are kept`);
  const [staged] = stagedIn(p.root).filter((name) => name.endsWith(".part"));
  const path = `${p.root}/.ferry/staging/${staged}`;
  assert(Deno.statSync(path).size >= received);
  assert(taken(path) < MIB);
  const event = JSON.parse((await p.run("put", "f", "--sparse", "--json")).stdout);
  assertEquals([event.md5, event.resumed_from], [md5(bytes), received]);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(bytes));
  assert(taken(`${p.root}/f`) < MIB);
});
