import { assertEquals } from "@std/assert";
import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";
import { recordsOf } from "../../server/records_of_storage.ts";
import { MemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { assertCode } from "../support/assertions.ts";
import { RecordedLog } from "../support/recorded_log.ts";
import { RUNTIME } from "../support/runtime.ts";

/** A storage in which records cannot be kept. */
function without(code: ErrorCode): Storage {
  const internal = () => Promise.reject(new FerryError(code, "nothing can be kept"));
  return Object.assign(new MemoryStorage(), { internal });
}

Deno.test("records are kept in the storage of the files", async () => {
  const storage = new MemoryStorage();
  await recordsOf(storage, RUNTIME, "A login").write("k", "id", 1);
  assertEquals(await recordsOf(storage, RUNTIME, "A login").read("k", "id"), 1);
});

Deno.test("records end with the server where nothing can be written, and the log says so", async () => {
  await using log = await RecordedLog.start();
  for (const code of ["denied", "no_space"] as const) {
    const records = recordsOf(without(code), RUNTIME, "A login");
    await records.write("k", "id", 1);
    assertEquals(await records.read("k", "id"), 1);
  }
  const words = "A login ends with this server: nothing can be kept";
  assertEquals(log.lines.filter((line) => line.includes(words)).length, 2);
});

Deno.test("records that cannot be opened for another reason are not kept elsewhere", async () => {
  const records = recordsOf(without("io"), RUNTIME, "A login");
  await assertCode("io", () => records.write("k", "id", 1));
});
