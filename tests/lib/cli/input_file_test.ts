import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  MAX_REGULAR_FILE_BYTES,
  openRegularFile,
  readRegularFile,
} from "../../../lib/cli/input_file.ts";
import { TempDir } from "../../support/programs.ts";

Deno.test("readRegularFile() reads a file, also behind a link, and nothing else", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "gr\u00fc\u00dfe\n");
  Deno.symlinkSync("file", dir.join("link"));
  assertEquals(
    [readRegularFile(path), readRegularFile(dir.join("link"))],
    Array(2).fill("grüße\n"),
  );
  assertEquals(readRegularFile(dir.write("empty", "")), "");
  dir.pipe("pipe");
  Deno.symlinkSync("pipe", dir.join("link to a pipe"));
  for (
    const [path, words] of [
      [dir.path, "a directory"],
      [dir.join("pipe"), "a pipe"],
      [dir.join("link to a pipe"), "a pipe"],
      ["/dev/zero", "a device"],
    ] as const
  ) {
    for (const options of [{ read: true }, { read: true, write: true, create: true }]) {
      const error = assertThrows(() => openRegularFile(path, options), FerryError);
      assertEquals([error.code, error.message], [
        "usage",
        `it is ${words}: a regular file is needed`,
      ]);
    }
  }
  assertThrows(() => readRegularFile(dir.join("missing")), Deno.errors.NotFound);
  using made = openRegularFile(dir.join("missing"), { write: true, create: true });
  assert(made.statSync().isFile);
});

Deno.test("readRegularFile() takes no file that is too large", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "");
  Deno.truncateSync(path, MAX_REGULAR_FILE_BYTES);
  assertEquals(readRegularFile(path).length, MAX_REGULAR_FILE_BYTES);
  Deno.truncateSync(path, MAX_REGULAR_FILE_BYTES + 1);
  const { code, message } = assertThrows(() => readRegularFile(path), FerryError);
  assertEquals([code, message], ["usage", "it is larger than 16 MiB, the most that is read"]);
});
