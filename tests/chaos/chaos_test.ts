/**
 * Transfers that are cut at random bytes, and damaged ones: a part of what `deno task chaos` does. `FERRY_CHAOS_SEED`
 * repeats a failed run; `FERRY_CHAOS_CUTS` sets how many transfers are cut.
 * @module
 */

import { assert } from "@std/assert";
import { cutDelta, damageDelta } from "./deltas.ts";
import { cutFile, damageFile } from "./files.ts";
import { CUTS, onLanes } from "./lane.ts";
import { disturbFile, type Endings } from "./network.ts";
import { cutTree } from "./trees.ts";

Deno.test("a file that is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(CUTS, cutFile);
});

Deno.test("a directory that is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(Math.ceil(CUTS / 2), cutTree);
});

Deno.test("a delta that is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(CUTS, cutDelta);
});

Deno.test("a delta that is damaged on the way is never published", async () => {
  await onLanes(Math.ceil(CUTS / 4), damageDelta);
});

Deno.test("what is damaged on the way is never published", async () => {
  await onLanes(Math.ceil(CUTS / 4), damageFile);
});

Deno.test("over a network that does everything wrong a file arrives, or an error says why not", async () => {
  const count = CUTS * 5;
  const endings: Endings = new Map();
  await onLanes(count, (lane, index) => disturbFile(lane, index, endings));
  const told = [...endings].map(([ending, times]) => `${times} ${ending}`).join(", ");
  console.log(told);
  assert((endings.get("verified") ?? 0) > count / 4 && endings.size > 2, told);
});
