/**
 * Compares what was built with the receipt, the lines that `ferry put --json` printed: exit status 0 where the
 * server has verified every file, or had it already.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** A line of the receipt about a file. */
interface Line {
  event: string;
  filename: string;
  /** As the server computed it; null where the file was there already, by its size and time. */
  md5: string | null;
  total_size: number;
  skipped: boolean;
}

const receipt = new Map<string, Line>();
for (const text of (await Deno.readTextFile("receipt.jsonl")).trimEnd().split("\n")) {
  const line: Line = JSON.parse(text);
  if (line.event === "done") receipt.set(line.filename, line);
}

let missing = 0;
for await (const { name } of Deno.readDir("dist")) {
  const bytes = await Deno.readFile(`dist/${name}`);
  const md5 = createHash("md5").update(bytes).digest("hex");
  const line = receipt.get(`site/${name}`);
  const arrived = line?.total_size === bytes.length && (line.md5 === md5 || line.skipped);
  console.log(`${arrived ? line.skipped ? "was there" : "published" : "NOT there"}  ${name}`);
  if (!arrived) missing++;
}
if (missing > 0) {
  console.error(`${missing} files are not on the server as they were built`);
  Deno.exit(1);
}
