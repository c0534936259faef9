import { assertEquals, assertStringIncludes } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { ferryd } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { BYTES, metadata, TUS } from "../support/tus.ts";

/** Larger than what ferryd has threads digest, and not a multiple of what they digest at once. */
const contents = [1, 2, 3].map((seed) => randomBytes(20 * MIB + seed, seed));

Deno.test("several files at a time are digested by two threads, and by none", async () => {
  for (const count of ["2", "1", "auto"]) {
    await using p = await Pair.start(["--threads", count]);
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

Deno.test("threads digest what comes over HTTP, by PUT and by tus", async () => {
  await using p = await Pair.start(["--threads", "2", "--http", "127.0.0.1:0"]);
  const base = `http://${p.server.listening.get("http")}`;
  const ask = async (path: string, init: RequestInit & { headers?: Record<string, string> }) => {
    const response = await fetch(new URL(path, base), init);
    await response.bytes();
    assertEquals(response.ok, true, `${path}: ${response.status}`);
    return response.headers;
  };
  const [whole, inParts] = contents as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  const stored = async (name: string, content: Uint8Array) => {
    assertEquals(md5(Deno.readFileSync(`${p.root}/${name}`)), md5(content));
    const { stdout } = await p.run("stat", name, "--json");
    assertEquals(JSON.parse(stdout).md5, md5(content));
  };
  await ask("/put", { method: "PUT", body: whole });
  await stored("put", whole);
  const created = await ask("/.tus/", {
    method: "POST",
    headers: {
      ...TUS,
      "upload-length": `${inParts.length}`,
      "upload-metadata": metadata({ filename: "tus" }),
    },
  });
  const half = 18 * MIB + 1000;
  for (const [offset, end] of [[0, half], [half, inParts.length]] as const) {
    await ask(created.get("location")!, {
      method: "PATCH",
      headers: { ...BYTES, "upload-offset": `${offset}` },
      body: inParts.subarray(offset, end),
    });
  }
  await stored("tus", inParts);
});

Deno.test("ferryd --threads takes a number or auto", async () => {
  for (const wrong of ["0", "65", "two"]) {
    const { code, stderr } = await ferryd(["--threads", wrong]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, "--threads takes auto, or a whole number from 1 to 64");
  }
});
