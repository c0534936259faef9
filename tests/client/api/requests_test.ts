import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { InProcess } from "../../support/in_process.ts";
import { assertCode } from "../../support/assertions.ts";

/** A directory with some small files, a large one and a link, here and on the server. */
async function withTree(): Promise<InProcess> {
  const p = await InProcess.start();
  for (const tree of ["tree", "root/tree", "root/up", "down"]) Deno.mkdirSync(p.dir.join(tree));
  for (const name of ["a", "b", "c"]) {
    p.dir.write(`tree/${name}`, name);
    p.dir.write(`root/tree/${name}`, name);
  }
  for (const tree of ["tree", "root/tree"]) {
    Deno.symlinkSync("/", p.dir.join(`${tree}/link`));
    // Of small files no progress is told.
    Deno.writeFileSync(p.dir.join(`${tree}/large`), new Uint8Array(5_000_000));
  }
  return p;
}

Deno.test("what the functions that a transfer tells fail with ends it, and is thrown as it is", async (t) => {
  await using p = await withTree();
  const file = p.dir.write("file", new Uint8Array(3_000_000));
  await p.client.put(file, { as: "file" });
  const tree = p.dir.join("tree");
  for (const failure of [new Error("of mine"), new FerryError("closed", "of mine")]) {
    let told = 0;
    const fails = () => {
      told++;
      throw failure;
    };
    const onError = () => void told++;
    const table: [string, () => Promise<unknown>][] = [
      ["put, onProgress", () => p.client.put(file, { as: "g", onProgress: fails })],
      ["put a stream, onProgress", () => {
        return p.client.put(new Blob(["x"]).stream(), { as: "g", onProgress: fails });
      }],
      ["get, onProgress", () => {
        return p.client.get("file", { out: p.dir.join("g"), onProgress: fails });
      }],
      ["get bytes, onProgress", () => p.client.get("file", { onProgress: fails }).bytes()],
      ...["onProgress", "onFile", "onPlan", "onSkip"].flatMap((key): typeof table => [
        [`putTree, ${key}`, () => p.client.putTree(tree, { as: "up", onError, [key]: fails })],
        [`getTree, ${key}`, () => {
          const options = { out: p.dir.join(`down ${key}`), onError, [key]: fails };
          return p.client.getTree("tree", { ...options, overwrite: "always" });
        }],
      ]),
    ];
    for (const [what, run] of table) {
      await t.step(`${what}, ${failure.name}`, async () => {
        // A single file whose progress is told when it has come fails, too.
        told = 0;
        assertEquals(await assertRejects(run, Error), failure);
        assertEquals(told, 1);
        await p.client.remove("up", { recursive: true }).catch(() => {});
        await p.client.remove("g").catch(() => {});
        await Deno.remove(p.dir.join("down onFile"), { recursive: true }).catch(() => {});
        await Deno.remove(p.dir.join("down onProgress"), { recursive: true }).catch(() => {});
      });
    }
  }
});

Deno.test("a tree of which a file fails fails where nobody is told of that, when the others have moved", async () => {
  await using p = await withTree();
  const tree = p.dir.join("tree");
  p.dir.write("root/up/a", "another");
  p.dir.write("down/b", "another");
  const up = await assertCode("exists", () => p.client.putTree(tree, { as: "up" }));
  assert(up.message.startsWith(`Cannot put "${tree}/a": `), up.message);
  assertEquals(Deno.readTextFileSync(p.served("up/c")), "c");
  const down = await assertCode("exists", () => {
    return p.client.getTree("tree", { out: p.dir.join("down") });
  });
  assert(down.message.startsWith('Cannot get "tree/b": '), down.message);
  assertEquals(Deno.readTextFileSync(p.dir.join("down/c")), "c");
  const told: string[] = [];
  const onError = (filename: string) => void told.push(filename);
  await p.client.putTree(tree, { as: "up", onError });
  await p.client.getTree("tree", { out: p.dir.join("down"), onError });
  assertEquals(told, ["up/a", "tree/b"]);
});
