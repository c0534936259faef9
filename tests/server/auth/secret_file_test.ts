import { assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { writeSecretFile } from "../../../server/auth/secret_file.ts";
import { TempDir } from "../../support/programs.ts";

const mode = (path: string) => Deno.statSync(path).mode! & 0o777;
const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test("writeSecretFile() writes what only the owner can read, whatever the umask", async () => {
  await using dir = new TempDir();
  await writeSecretFile(dir.join("a"), "secret\n", { replace: false });
  assertEquals([Deno.readTextFileSync(dir.join("a")), mode(dir.join("a"))], ["secret\n", 0o600]);
  await writeSecretFile(dir.join("b"), "public\n", { replace: false, mode: 0o644 });
  assertEquals(mode(dir.join("b")), 0o644);
  assertEquals(names(dir.path), ["a", "b"]);
});

Deno.test("writeSecretFile() replaces a file, and narrows who can read it, only where it is told to", async () => {
  await using dir = new TempDir();
  const path = dir.write("a", "old");
  Deno.chmodSync(path, 0o644);
  const write = (replace: boolean) => writeSecretFile(path, "new", { replace });
  const { code, message } = await assertRejects(() => write(false), FerryError);
  assertEquals([code, message], ["exists", `Cannot write "${path}": it exists already`]);
  assertEquals([Deno.readTextFileSync(path), names(dir.path)], ["old", ["a"]]);
  await write(true);
  assertEquals([Deno.readTextFileSync(path), mode(path)], ["new", 0o600]);
  assertEquals(names(dir.path), ["a"]);
});

Deno.test("writeSecretFile() leaves nothing behind where it fails", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("a"));
  await assertRejects(() => writeSecretFile(dir.join("a"), "x", { replace: true }), Error);
  assertEquals(names(dir.path), ["a"]);
});
