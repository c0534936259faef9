import { RUNTIME } from "../../support/runtime.ts";
import { assertEquals } from "@std/assert";
import {
  partialPathOf,
  removePartialDownloads,
} from "../../../client/transfer/partial_downloads.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { Pair } from "../../support/pair.ts";
import { TempDir } from "../../support/programs.ts";
import { namesIn } from "../../support/directories.ts";

Deno.test("removePartialDownloads() takes what nobody has, and nothing else", async () => {
  await using dir = new TempDir();
  const hex = "0123456789abcdef".repeat(2);
  const uuid = crypto.randomUUID();
  for (
    const name of [
      `.ferry-${hex}.part`,
      `.ferry-${hex}.json`,
      `.ferry-${hex}.json.new`,
      `.ferry-${uuid}.part`,
      `.ferry-${hex.replaceAll("0", "f")}.json`,
    ]
  ) dir.write(name, "x");
  const others = [".ferry-notes.part", ".ferry", "f", "f.part"];
  for (const name of others) dir.write(name, "x");
  await using busy = StagedFile.create(dir.path, RUNTIME, { prefix: ".ferry-" });
  await using claimed = StagedFile.claim(partialPathOf(dir.join("g"), RUNTIME), RUNTIME, {
    create: true,
  });
  const record = claimed!.path.replace(/part$/, "json");
  Deno.writeTextFileSync(record, "x");
  removePartialDownloads(dir.path, RUNTIME);
  const kept = [busy.path, claimed!.path, record].map((path) => path.slice(dir.path.length + 1));
  assertEquals(namesIn(dir.path), [...others, ...kept].sort());
});

Deno.test("ferry get of a directory leaves nothing of earlier tries behind once it succeeds", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.root}/t/sub`, { recursive: true });
  for (const name of ["t/a", "t/sub/b"]) Deno.writeTextFileSync(`${p.root}/${name}`, name);
  Deno.mkdirSync(`${p.cwd}/new/sub`, { recursive: true });
  Deno.mkdirSync(`${p.cwd}/new/mine`);
  const part = `.ferry-${"a".repeat(32)}.part`;
  for (const at of ["", "sub/", "mine/"]) p.write(`new/${at}${part}`, "cut");
  // As long as something fails, they stay.
  Deno.mkdirSync(`${p.cwd}/new/a`);
  assertEquals((await p.run("get", "t", "--out", "new")).code, 5);
  assertEquals(namesIn(`${p.cwd}/new`), [part, "a", "mine", "sub"]);
  Deno.removeSync(`${p.cwd}/new/a`);
  assertEquals((await p.run("get", "t", "--out", "new", "--dry-run")).code, 0);
  assertEquals(namesIn(`${p.cwd}/new`), [part, "mine", "sub"]);
  assertEquals((await p.run("get", "t", "--out", "new")).code, 0);
  assertEquals(namesIn(`${p.cwd}/new`), ["a", "mine", "sub"]);
  assertEquals(namesIn(`${p.cwd}/new/sub`), ["b"]);
  // Where nothing came, nothing was looked for.
  assertEquals(namesIn(`${p.cwd}/new/mine`), [part]);
});
