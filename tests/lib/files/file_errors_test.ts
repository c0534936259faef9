import { closeSync, openSync } from "node:fs";
import { assertEquals, assertThrows } from "@std/assert";
import { namingError } from "../../../lib/files/file_errors.ts";
import { TempDir } from "../../support/programs.ts";

Deno.test({
  name:
    "namingError() does not blame a name for a directory that was removed while it is held open",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = new TempDir();
    const held = dir.join("held");
    Deno.mkdirSync(held);
    const descriptor = openSync(held, "r");
    try {
      Deno.symlinkSync(`/proc/self/fd/${descriptor}`, dir.join("link"));
      const path = dir.join("link/name");
      Deno.removeSync(held);
      const error = assertThrows(() => Deno.writeTextFileSync(path, ""), Deno.errors.NotFound);
      assertEquals(namingError(error, path).code, "not_found");
      // With the directory in its place, the file system would have refused the name.
      assertEquals(namingError(error, dir.join("name")).code, "bad_name");
    } finally {
      closeSync(descriptor);
    }
  },
});
