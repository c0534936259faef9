import { assertEquals } from "@std/assert";
import type { Overwrite } from "../../../../../lib/core/overwrite.ts";
import { put } from "../../../../../server/protocols/ferry/handlers/put.ts";

/** Answers a put of an empty file. Returns what is done with the replies, in order. */
async function answer(overwrite: Overwrite, stage?: string): Promise<string[]> {
  const done: string[] = [];
  const published = Promise.resolve({ checksum: "", size: 0, unchanged: false });
  const exchange = {
    connection: {
      releaseOffered: () => Promise.resolve(),
      replies: { settle: () => Promise.resolve(void done.push("settle")) },
    },
    replyLater: () => Promise.resolve(done.push("reply") > 0),
    request: { filename: "d/f", algorithm: "md5", overwrite, stage, offset: 0n },
    body: { size: 0n },
    permit: { wait: <T>(promise: Promise<T>) => promise },
    uploadsInto: () => Promise.resolve({ put: () => Promise.resolve({ published }) }),
  };
  await put.answer(exchange as unknown as Parameters<typeof put.answer>[0]);
  return done;
}

Deno.test("put waits for earlier ones only where it is compared with what they publish", async () => {
  for (const overwrite of ["newer", "different"] as const) {
    assertEquals(await answer(overwrite), ["settle", "reply"]);
    assertEquals(await answer(overwrite, "id"), ["reply"]);
  }
  for (const overwrite of ["never", "always"] as const) {
    assertEquals(await answer(overwrite), ["reply"]);
  }
});
