import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { guarded, logFailure } from "../../../server/observe/failures.ts";
import { RecordedLog } from "../../support/recorded_log.ts";

Deno.test("logFailure() logs what was foreseen in a line", async () => {
  await using log = await RecordedLog.start();
  const error = new FerryError("closed", "the peer left", { cause: new Error("underneath") });
  logFailure("{peer}: {reason} ({code})", error, { properties: { peer: "somebody" } });
  logFailure("{reason}", Object.assign(new Error("x"), { code: "ENOSPC" }), { level: "warn" });
  assertEquals(log.lines, [
    "info: somebody: the peer left (closed)",
    "warning: no space left on the device",
  ]);
});

Deno.test("logFailure() logs what nobody foresaw as an error, with its cause", async () => {
  await using log = await RecordedLog.start();
  const cause = new TypeError("x is undefined");
  const internal = new FerryError("internal", "it cannot be");
  for (const error of [cause, internal, internal.during("try")]) logFailure("{reason}", error);
  assertEquals(log.records.map(({ level }) => level), ["error", "error", "error"]);
  assertEquals(log.records.map(({ properties }) => properties.cause), [cause, internal, internal]);
  assertEquals(log.lines[0], `error: unexpected TypeError: x is undefined: ${cause}`);
});

Deno.test("guarded() logs what a callback fails with, now or later", async () => {
  await using log = await RecordedLog.start();
  const cause = new Error("unforeseen");
  let ran = 0;
  guarded("do it", () => ran++);
  guarded("do it", () => Promise.resolve(ran++));
  guarded("do it", () => {
    throw new FerryError("io", "it broke");
  });
  const later = Promise.reject(cause);
  guarded("do it later", () => later);
  await later.catch(() => {});
  assertEquals(ran, 2);
  assertEquals(log.lines, [
    "warning: Cannot do it: it broke (io)",
    `error: Cannot do it later: unexpected Error: unforeseen (internal): ${cause}`,
  ]);
});
