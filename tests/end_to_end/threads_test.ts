import { assertEquals, assertStringIncludes } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { ferryd } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";

Deno.test("several files at a time are digested by two threads, and by none", async () => {
  for (const count of ["2", "1", "auto"]) {
    await using p = await Pair.start(["--threads", count]);
    const contents = [1, 2, 3].map((seed) => randomBytes(20 * MIB + seed, seed));
    Deno.mkdirSync(`${p.cwd}/tree`);
    contents.forEach((content, at) => p.write(`tree/${at}`, content));
    const sums = contents.map((content, at) => `${md5(content)}  tree/${at}`).sort();
    const put = await p.run("put", "tree", "--jobs", "3");
    assertEquals([put.code, put.stdout.trim().split("\n").sort()], [0, sums], put.stderr);
    const got = await p.run("get", "tree", "--out", "back", "--jobs", "3");
    assertEquals(got.code, 0, got.stderr);
    for (const [at, content] of contents.entries()) {
      assertEquals(md5(Deno.readFileSync(`${p.cwd}/back/${at}`)), md5(content));
    }
  }
});

Deno.test("ferryd --threads takes a number or auto", async () => {
  for (const wrong of ["0", "65", "two"]) {
    const { code, stderr } = await ferryd(["--threads", wrong]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, "--threads takes auto, or a whole number from 1 to 64");
  }
});
