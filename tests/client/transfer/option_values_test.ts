import { assertEquals, assertThrows } from "@std/assert";
import { assertOptionValues } from "../../../client/transfer/option_values.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { MIB } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";
import { InProcess } from "../../support/in_process.ts";

Deno.test("assertOptionValues() takes what the options have, and refuses the rest", () => {
  assertOptionValues({});
  assertOptionValues({ algorithm: undefined, overwrite: undefined, durability: undefined });
  assertOptionValues({ algorithm: "xxh128", overwrite: "different", durability: "none" });
  for (
    const [options, message] of [
      [{ algorithm: "sha1" }, "algorithm is one of md5, sha256, xxh128, and not sha1"],
      [
        { overwrite: "" },
        "overwrite is one of never, always, newer, different, and not ",
      ],
      [{ durability: true }, "durability is one of full, none, and not true"],
      [
        { checksum: "bogus" },
        "there is no option checksum: compare the checksum of the result",
      ],
    ] as const
  ) {
    const error = assertThrows(() => assertOptionValues(options as object), FerryError);
    assertEquals([error.code, error.message], ["usage", message]);
  }
});

Deno.test("transfers refuse option values that there are not, and leave nothing", async () => {
  await using p = await InProcess.start();
  const { client } = p;
  Deno.mkdirSync(p.dir.join("tree"));
  p.dir.write("tree/f", "content");
  const wrong: object = { algorithm: "sha1" };
  const out = p.dir.join("out");
  await assertCode("usage", () => client.put(new Uint8Array(2 * MIB), { as: "f", ...wrong }));
  await assertCode("usage", () => client.putTree(p.dir.join("tree"), { as: "t", ...wrong }));
  await assertCode("usage", () => client.stat("", wrong));
  await client.put(new Uint8Array(3), { as: "g" });
  await assertCode("usage", async () => await client.get("g", { out, ...wrong }));
  await assertCode("usage", () => client.get("g", wrong).bytes());
  await assertCode("usage", () => client.getTree("", { out, ...wrong }));
  assertEquals([...Deno.readDirSync(p.dir.join("root"))].map(({ name }) => name).sort(), [
    ".ferry",
    "g",
  ]);
});
