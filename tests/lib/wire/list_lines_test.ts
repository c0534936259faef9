import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import type { Entry, PartEntry } from "../../../lib/core/entry.ts";
import { decodeListLine, encodeListLine } from "../../../lib/wire/list_lines.ts";
import { assertRefuses } from "../../support/headers.ts";

const EMPTY_MD5 = emptyChecksum("md5");
const EMPTY_SHA256 = emptyChecksum("sha256");

Deno.test("encodeListLine() and decodeListLine() are inverse", () => {
  const entry: Entry = {
    filename: "line\nfeed/é",
    type: "file",
    size: Number.MAX_SAFE_INTEGER,
    mtime: 1700000000000,
    mode: 0o644,
    checksum: null,
  };
  for (const checksum of [EMPTY_MD5, EMPTY_SHA256]) {
    const known = { ...entry, checksum };
    assertEquals({ ...decodeListLine("entry", encodeListLine(known)) }, known);
  }
  const line = encodeListLine(entry);
  // One line for one entry, whatever is in its name.
  assertMatch(line, /^[^\n]+\n$/);
  assertStringIncludes(line, "line\\nfeed");
  assertEquals({ ...decodeListLine("entry", line) }, entry);
  const part: PartEntry = {
    filename: "line\nfeed/é",
    size: Number.MAX_SAFE_INTEGER,
    received: Number.MAX_SAFE_INTEGER - 1,
    mtime: -1,
    active: true,
  };
  assertMatch(encodeListLine(part), /^[^\n]+\n$/);
  assertEquals({ ...decodeListLine("part", encodeListLine(part)) }, part);
});

Deno.test("decodeListLine() refuses what is no part", () => {
  const part = { filename: "f", size: 70, received: 64, mtime: 0 };
  const decode = (keys: Record<string, unknown>) =>
    decodeListLine("part", JSON.stringify({ ...part, ...keys }));
  assertEquals(decode({}).active, false);
  const cases: [keys: Record<string, unknown>, words: string][] = [
    [{ filename: undefined }, "filename is missing"],
    [{ size: 1.5 }, "size is not an integer"],
    [{ received: undefined }, "received is missing"],
    [{ received: -1 }, "received is negative"],
    [{ received: "64" }, "received is not an integer"],
    [{ mtime: null }, "mtime is not a number"],
    [{ active: "yes" }, "active is not a boolean"],
  ];
  for (const [keys, words] of cases) assertRefuses(() => decode(keys), "bad_header", words);
  // Not rounded to something that would do.
  const line = '{"filename":"f","size":70,"received":9007199254740993,"mtime":0}';
  assertRefuses(() => decodeListLine("part", line), "bad_header", "received is more than 2^53-1");
  assertRefuses(() => decodeListLine("part", "["), "bad_header", "a line of the list is not JSON");
});

Deno.test("decodeListLine() refuses what is no entry", () => {
  assertRefuses(() => decodeListLine("entry", "{"), "bad_header", "a line of the list is not JSON");
  assertRefuses(() => decodeListLine("entry", "{}"), "bad_header", "filename is missing");
});
