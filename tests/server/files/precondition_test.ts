import { assertEquals, assertThrows } from "@std/assert";
import type { Entry } from "../../../lib/core/entry.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { conditionOf, type Precondition } from "../../../server/files/precondition.ts";
import { md5 } from "../../support/bytes.ts";

const FILE: Entry = {
  filename: "f",
  type: "file",
  size: 3,
  mtime: 5999,
  mode: 0o644,
  checksum: md5("old"),
};
const DIRECTORY: Entry = { ...FILE, type: "directory", size: 0, checksum: null };

/** What a precondition says of a file, of a directory, and of nothing: undefined where it holds. */
const CASES: readonly [Precondition, ...(string | undefined)[]][] = [
  [{}, undefined, undefined, undefined],
  [{ absent: true }, "exists", "exists", undefined],
  [{ matches: "any" }, undefined, undefined, "not_found"],
  [{ matches: [md5("a"), md5("old")] }, undefined, "exists", "not_found"],
  [{ matches: [] }, "exists", "exists", "not_found"],
  [{ differs: [md5("old")] }, "exists", undefined, undefined],
  [{ differs: [md5("a")] }, undefined, undefined, undefined],
  [{ unmodifiedSince: 5 }, undefined, undefined, undefined],
  [{ unmodifiedSince: 4 }, "exists", undefined, undefined],
  [{ matches: [md5("old")], differs: [md5("old")] }, "exists", "exists", "not_found"],
];

Deno.test("conditionOf() judges what has the name", () => {
  for (const [precondition, ...expected] of CASES) {
    const condition = conditionOf(precondition);
    for (const [at, there] of [FILE, DIRECTORY, undefined].entries()) {
      const named = `${JSON.stringify(precondition)} ${there?.type}`;
      if (expected[at] === undefined) condition(there);
      else assertEquals(assertThrows(() => condition(there), FerryError).code, expected[at], named);
    }
  }
});
