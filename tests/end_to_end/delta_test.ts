import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import type { Outcome } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";

const OLD = randomBytes(4 * MIB + 3, 31);
const NEW = OLD.slice();
NEW.set(randomBytes(500, 32), 2 * MIB);

/** The events of a run that succeeded. */
function eventsOf({ code, stdout, stderr }: Outcome): Record<string, unknown>[] {
  assertEquals(code, 0, stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("ferry put and get move only what has changed, and say so", async () => {
  await using p = await Pair.shared();
  const replace = ["--overwrite", "different", "--json"];
  const check = (outcome: Outcome, crossed: string) => {
    const [done] = eventsOf(outcome);
    assertEquals([done?.event, done?.md5, done?.resumed_from], ["done", md5(NEW), 0]);
    const [moved, reused] = [done?.[crossed] as number, done?.bytes_reused as number];
    assertEquals(moved + reused, NEW.length);
    assert(moved > 0 && moved < 20_000, `${moved} bytes crossed`);
  };
  p.write("f", NEW);
  Deno.writeFileSync(`${p.root}/f`, OLD);
  check(await p.run("put", "f", ...replace), "bytes_sent");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(NEW));
  p.write("f", OLD);
  check(await p.run("get", "f", ...replace), "bytes_received");
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/f`)), md5(NEW));
  p.write("f", OLD);
  const [plain] = eventsOf(await p.run("put", "f", ...replace, "--no-delta"));
  assertEquals([plain?.bytes_sent, plain?.bytes_reused], [OLD.length, undefined]);
  p.write("f", NEW);
  const [got] = eventsOf(await p.run("get", "f", ...replace, "--no-delta"));
  assertEquals([got?.bytes_received, got?.bytes_reused], [OLD.length, undefined]);
});

Deno.test("ferry --basis builds upon another file, of one file only", async () => {
  await using p = await Pair.shared();
  p.write("new", NEW);
  p.write("old", OLD);
  Deno.mkdirSync(`${p.cwd}/d`);
  Deno.mkdirSync(`${p.root}/d`);
  Deno.writeFileSync(`${p.root}/v1`, OLD);
  const [put] = eventsOf(await p.run("put", "new", "--as", "v2", "--basis", "v1", "--json"));
  assert((put?.bytes_reused as number) > 4 * MIB - 20_000);
  assertEquals(md5(Deno.readFileSync(`${p.root}/v2`)), md5(NEW));
  assertEquals(md5(Deno.readFileSync(`${p.root}/v1`)), md5(OLD));
  const [get] = eventsOf(await p.run("get", "v2", "--basis", "old", "--json"));
  assert((get?.bytes_reused as number) > 4 * MIB - 20_000);
  assertEquals(md5(Deno.readFileSync(`${p.cwd}/v2`)), md5(NEW));
  for (
    const [code, words, ...args] of [
      [2, "for one file", "put", "new", "old", "--basis", "v1"],
      [2, "for one file", "put", "d", "--basis", "v1"],
      [2, "for one file", "get", "v1", "v2", "--basis", "old"],
      [2, "for one file", "get", "d", "--basis", "old"],
      [2, "no delta", "put", "new", "--basis", "v1", "--no-delta"],
      [2, "path of a file", "get", "v1", "--out", "-", "--basis", "old"],
      [4, '"v0" cannot be used', "put", "new", "--as", "v3", "--basis", "v0"],
      [4, '"v0" cannot be used', "get", "v1", "--out", "v3", "--basis", "v0"],
      [4, '"v0" cannot be used', "put", "new", "--as", "v3", "--basis", "v0", "-n"],
    ] as const
  ) {
    const refused = await p.run(...args);
    assertEquals(refused.code, code, `${args}: ${refused.stderr}`);
    assertStringIncludes(refused.stderr, words);
  }
});
