import { assertEquals, assertRejects } from "@std/assert";
import { EarlyRefusal } from "../../../client/net/early_refusal.ts";
import { FerryError } from "../../../lib/core/errors.ts";

const PIECE = new Uint8Array(3);

const refused = () => new FerryError("quota", "there is no room");

Deno.test("EarlyRefusal.until() gives all pieces where nothing is refused", async () => {
  let ended = 0;
  async function* source() {
    try {
      for (let i = 0; i < 3; i++) yield await Promise.resolve(PIECE);
    } finally {
      ended++;
    }
  }
  assertEquals((await Array.fromAsync(new EarlyRefusal().until(source()))).length, 3);
  assertEquals(ended, 1);
});

Deno.test("EarlyRefusal.until() fails before the next piece, and ends the source", async () => {
  const ended = Promise.withResolvers<void>();
  async function* source() {
    try {
      for (;;) yield await Promise.resolve(PIECE);
    } finally {
      ended.resolve();
    }
  }
  const refusal = new EarlyRefusal();
  const pieces = refusal.until(source());
  await pieces.next();
  refusal.refuse(refused());
  const error = await assertRejects(() => pieces.next(), FerryError);
  assertEquals([error.code, refusal.error?.code], ["quota", "quota"]);
  await ended.promise;
});

Deno.test("EarlyRefusal.until() fails while it waits for a piece that never comes", async () => {
  const refusal = new EarlyRefusal();
  let returned = 0;
  const silent = {
    next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
    return: () => Promise.reject(new Error(`ended ${++returned} times`)),
  };
  const pieces = refusal.until({ [Symbol.asyncIterator]: () => silent });
  const waiting = assertRejects(() => pieces.next(), FerryError);
  refusal.refuse(refused());
  assertEquals((await waiting).code, "quota");
  assertEquals(returned, 1);
});

Deno.test("EarlyRefusal.until() fails as its source does", async () => {
  const failing = {
    next: () => Promise.reject(new Error("the disk is broken")),
  };
  const pieces = new EarlyRefusal().until({ [Symbol.asyncIterator]: () => failing });
  await assertRejects(() => pieces.next(), Error, "the disk is broken");
});
