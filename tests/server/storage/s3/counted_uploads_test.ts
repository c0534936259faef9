import { assertEquals } from "@std/assert";
import { CountedUploads } from "../../../../server/storage/s3/counted_uploads.ts";
import { MovableClock } from "../../../support/movable_clock.ts";

/** Lets what was begun go on. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("CountedUploads counts in the background, at most once in a minute, and forgets what it cannot count", async () => {
  const clock = new MovableClock();
  const sizes = [5, 7];
  let [asked, fails] = [0, false];
  const counted = new CountedUploads(() => {
    asked++;
    if (fails) return Promise.reject(new Error("the bucket is gone"));
    return Promise.resolve(sizes.map((received, at) => ({
      id: `${at}`,
      owner: "",
      entry: { filename: "f", size: 10, received, mtime: 0, active: false },
    })));
  }, clock);
  assertEquals([counted.amount, counted.amount, asked], [undefined, undefined, 1]);
  await turn();
  assertEquals(counted.amount, { count: 2, bytes: 12 });
  sizes.push(1);
  clock.advance(30_000);
  assertEquals([counted.amount, asked], [{ count: 2, bytes: 12 }, 1]);
  clock.advance(31_000);
  assertEquals([counted.amount, asked], [{ count: 2, bytes: 12 }, 2]);
  await turn();
  assertEquals(counted.amount, { count: 3, bytes: 13 });
  fails = true;
  clock.advance(61_000);
  assertEquals(counted.amount, { count: 3, bytes: 13 });
  await turn();
  assertEquals([counted.amount, asked], [undefined, 3]);
});
