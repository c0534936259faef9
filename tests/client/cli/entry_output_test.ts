import { assert, assertEquals } from "@std/assert";
import { showDetails, showEntry } from "../../../client/cli/entry_output.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import { jsonLines, printed } from "../../support/printed.ts";
import { FILE, MD5 } from "../../support/printed_examples.ts";

const DIRECTORY: Entry = {
  ...FILE,
  filename: "d",
  type: "directory",
  size: 0,
  mode: 0o755,
  checksum: null,
};

Deno.test("showEntry() prints a line as ls does", () => {
  const { out } = printed((output) => {
    showEntry(output, "list", FILE);
    showEntry(output, "list", DIRECTORY);
    showEntry(output, "list", { ...FILE, checksum: null, mode: 0o7 });
  });
  // The time is that of wherever this runs, with its zone.
  const [time = ""] = /2024-02-0[234] \d\d:\d\d:06 [+-]\d{4}/.exec(out) ?? [];
  assertEquals(
    Date.parse(time.replace(" ", "T").replace(" ", "")),
    Math.floor(FILE.mtime / 1000) * 1000,
  );
  assertEquals(out.split("\n"), [
    `-rw-r-----          12345 ${time} ${MD5} d/a.bin`,
    `drwxr-xr-x              0 ${time} -${" ".repeat(31)} d/`,
    `-------rwx          12345 ${time} -${" ".repeat(31)} d/a.bin`,
    "",
  ]);
  for (const mtime of [8.64e15, -8.64e15]) {
    assertEquals(printed((output) => showEntry(output, "list", { ...FILE, mtime })).err, "");
  }
});

Deno.test("showEntry(), showDetails() show no name that drives a terminal", () => {
  const entry = { ...FILE, filename: "a\x1b[2J\nb" };
  const { out } = printed((output) => {
    showEntry(output, "list", entry);
    showDetails(output, entry);
  });
  assert(!out.includes("\x1b"), out);
  assertEquals(out.match(/"a\\u001b\[2J\\nb"$/gm)?.length, 2, out);
});

Deno.test("showDetails() prints all that is known", () => {
  assertEquals(printed((output) => showDetails(output, FILE)).out.split("\n"), [
    "filename: d/a.bin",
    "type:     file",
    "size:     12345",
    "mtime:    2024-02-03T04:05:06.789Z",
    "mode:     0640",
    `md5:      ${MD5}`,
    "",
  ]);
  assertEquals(
    printed((output) => showDetails(output, { ...DIRECTORY, filename: "" })).out.split("\n"),
    [
      "filename: .",
      "type:     directory",
      "mtime:    2024-02-03T04:05:06.789Z",
      "mode:     0755",
      "",
    ],
  );
});

Deno.test("showEntry(), showDetails(), Output.done() print JSON objects with --json", () => {
  const { size, checksum: md5, ...rest } = FILE;
  assertEquals(
    jsonLines((output) => {
      showEntry(output, "list", FILE);
      showDetails(output, FILE);
      output.done("remove", { filename: "a" });
    }),
    [
      { event: "entry", op: "list", ...rest, md5, total_size: size },
      { event: "entry", op: "stat", ...rest, md5, total_size: size },
      { event: "done", op: "remove", filename: "a" },
    ],
  );
  assertEquals(printed((output) => output.done("remove", { filename: "a" })), { out: "", err: "" });
});
