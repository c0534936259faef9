import { assert, assertEquals } from "@std/assert";
import { existsSync } from "../lib/exists.ts";
import { TempDir } from "./programs.ts";

Deno.test("existsSync() tells the same before and after node:fs is worth loading", async () => {
  await using dir = new TempDir();
  const file = dir.write("file", "x");
  Deno.symlinkSync(dir.join("nowhere"), dir.join("dangling"));
  const look = () =>
    [file, dir.path, dir.join("none"), `${file}/below`, dir.join("dangling")].map(existsSync);
  const expected = [true, true, false, false, false];
  assertEquals(look(), expected);
  for (let miss = 0; miss < 1000; miss++) assert(!existsSync(dir.join(`none-${miss}`)));
  await import("node:fs");
  assertEquals(look(), expected);
});
