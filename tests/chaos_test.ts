/**
 * Transfers that are cut at random bytes, and damaged ones: a part of what `deno task chaos` does.
 * `FERRY_CHAOS_SEED` repeats a run that failed; `FERRY_CHAOS_CUTS` says how many transfers are cut.
 *
 * @module
 */

import { cutFile, damageFile } from "./chaos/files.ts";
import { CUTS, onLanes } from "./chaos/lane.ts";
import { cutTree } from "./chaos/trees.ts";

Deno.test("a file that is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(CUTS, cutFile);
});

Deno.test("a directory that is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(Math.ceil(CUTS / 2), cutTree);
});

Deno.test("what is damaged on the way is never published", async () => {
  await onLanes(Math.ceil(CUTS / 4), damageFile);
});
