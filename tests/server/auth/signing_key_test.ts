import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { SigningKey } from "../../../server/auth/signing_key.ts";
import { KeptRecords } from "../../support/kept_records.ts";

Deno.test("SigningKey is the same for all servers of the same records, and another for each purpose", async () => {
  const records = new KeptRecords();
  const key = await new SigningKey(records, "a").load();
  const signature = key.sign("text");
  assertEquals(signature.length, 43);
  const same = await new SigningKey(records, "a").load();
  assertEquals([same.id, same.verifies("text", signature)], [key.id, true]);
  assert(!same.verifies("other text", signature));
  const other = await new SigningKey(records, "b").load();
  assert(other.id !== key.id);
  assert(!other.verifies("text", signature));
  const elsewhere = await new SigningKey(new KeptRecords(), "a").load();
  assert(!elsewhere.verifies("text", signature));
});

Deno.test("SigningKey takes a signature only as it was made", async () => {
  const key = await new SigningKey(new KeptRecords(), "a").load();
  const signature = key.sign("text");
  const last = signature.at(-1)!;
  // The last character has two bits that mean nothing.
  const alike = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const others = [...alike].filter((character) => character !== last);
  for (const character of others) {
    assert(!key.verifies("text", signature.slice(0, -1) + character), character);
  }
  for (const text of ["", "!", signature.slice(1), `${signature}=`, `${signature}A`]) {
    assert(!key.verifies("text", text), text);
  }
});

Deno.test("SigningKey is made once when servers begin at the same time", async () => {
  const records = new KeptRecords();
  const keys = await Promise.all([1, 2, 3].map(() => new SigningKey(records, "a").load()));
  assertEquals(new Set(keys.map(({ id }) => id)).size, 1);
});

Deno.test("SigningKey.load() tries again after a failure, and refuses a damaged record", async () => {
  const records = new KeptRecords();
  records.before = () => {
    throw new FerryError("io", "no");
  };
  const key = new SigningKey(records, "a");
  await assertRejects(() => key.load(), FerryError, "no");
  records.before = () => {};
  await key.load();
  const { secret } = records.values.get("keys/a") as { secret: string };
  for (
    const damaged of [null, {}, { id: "x", secret }, { id: "00000000", secret: "AAAA" }, [], "text"]
  ) {
    records.values.set("keys/a", damaged);
    await assertRejects(() => new SigningKey(records, "a").load(), FerryError, "damaged");
  }
});

Deno.test("SigningKey that may be lost is used although there is no room for it", async () => {
  const records = new KeptRecords();
  records.before = (access) => {
    if (access.startsWith("create")) throw new FerryError("no_space", "no");
  };
  await assertRejects(() => new SigningKey(records, "a").load(), FerryError, "no");
  const key = new SigningKey(records, "a", { mayBeLost: true });
  const { id } = await key.load();
  assertEquals((await key.load()).id, id);
});
