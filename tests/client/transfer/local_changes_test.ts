import { assert, assertEquals, assertRejects } from "@std/assert";
import { LocalChanges } from "../../../client/transfer/local_changes.ts";
import { TempDir } from "../../support/programs.ts";

Deno.test("LocalChanges waits once where the time is longer than a timer can be", async () => {
  await using dir = new TempDir();
  using changes = new LocalChanges(dir.path);
  const { setTimeout } = globalThis;
  const waits: number[] = [];
  globalThis.setTimeout = ((callback: () => void, ms: number) => {
    waits.push(ms);
    return setTimeout(callback, ms);
  }) as typeof setTimeout;
  const enough = new AbortController();
  try {
    const waiting = changes.wait(60 * 86_400_000, enough.signal);
    await new Promise<void>((resolve) => setTimeout(resolve, 20));
    enough.abort(new Error("enough"));
    await assertRejects(() => waiting, Error, "enough");
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assertEquals(waits.length, 1);
  assert(waits[0]! < 2 ** 31, `${waits}`);
});
