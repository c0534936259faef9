import { assertEquals } from "@std/assert";
import {
  decodeManifestLine,
  encodeManifestLine,
  type ManifestLine,
} from "../../../lib/wire/manifest.ts";
import { decodeLines, MAX_LINE_BYTES } from "../../../lib/wire/lines.ts";
import fc from "../../support/properties.ts";
import { utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

fc.configureGlobal({ seed: 31 });

const MD5 = "0123456789abcdef0123456789abcdef";
const LINE: ManifestLine = { filename: "a/b.txt", size: 5, mtime: -1, checksum: MD5 };

/** A text that comes in pieces of so many bytes. */
async function* inPieces(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === "string" ? utf8.encode(text) : text;
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size);
    await Promise.resolve();
  }
}

async function linesOf(text: string | Uint8Array, size = 1000): Promise<string[]> {
  return (await Array.fromAsync(decodeLines(inPieces(text, size), (line) => line))).flat();
}

Deno.test("decodeLines() gives the lines however they are cut", async () => {
  const text = "eins\nzwei ü 🚢\n\n" + "long".repeat(1000) + "\nlast\n";
  for (const size of [1, 2, 3, 7, 1000, 100_000]) {
    assertEquals(await linesOf(text, size), text.split("\n").slice(0, -1));
  }
  assertEquals(await linesOf(""), []);
  assertEquals(await linesOf("\n"), [""]);
  assertEquals(await linesOf("no line break"), ["no line break"]);
  assertEquals(await linesOf("\ufeffa\n"), ["\ufeffa"]);
});

Deno.test("decodeLines() yields a line as soon as it is there", async () => {
  const lines = decodeLines(inPieces("a\nb\nc\nd", 4), (line) => line);
  assertEquals((await lines.next()).value, ["a", "b"]);
  // The rest is not read for that, and whoever leaves ends the pieces, too.
  await lines.return();
  assertEquals((await lines.next()).done, true);
});

Deno.test("decodeLines() gives no more lines together than are soon done with", async () => {
  const text = Array.from({ length: 1000 }, (_, turn) => `${turn}\n`).join("");
  const some = await Array.fromAsync(decodeLines(inPieces(text, text.length), Number));
  assertEquals(some.map(({ length }) => length), [...Array(15).fill(64), 40]);
  assertEquals(some.flat(), Array.from({ length: 1000 }, (_, turn) => turn));
});

Deno.test("decodeLines() takes no line that is too long, and gathers none", async () => {
  const longest = "x".repeat(MAX_LINE_BYTES);
  assertEquals(await linesOf(`${longest}\n${longest}`, 8192), [longest, longest]);
  for (const line of [`x${longest}`, `${"ü".repeat(MAX_LINE_BYTES / 2)}x`]) {
    for (const text of [line, `${line}\n`]) {
      const error = await assertCode("bad_header", () => linesOf(text, 8192));
      assertEquals(error.reason, "a line is longer than 65536 bytes");
    }
  }
  let asked = 0;
  const endless = async function* () {
    for (;; await Promise.resolve()) yield new Uint8Array(1000).fill(++asked && 120);
  };
  await assertCode("bad_header", () => Array.fromAsync(decodeLines(endless(), (line) => line)));
  assertEquals(asked, 66);
});

Deno.test("decodeLines() refuses what is not UTF-8, also at the end", async () => {
  for (const bytes of [[0xff, 10], [97, 10, 0xc3], [0xc3, 10]]) {
    for (const size of [1, 10]) {
      const error = await assertCode("bad_header", () => linesOf(Uint8Array.from(bytes), size));
      assertEquals(error.reason, "the lines are not UTF-8");
    }
  }
});

Deno.test("decodeLines() fails with what the decoder of a line throws", async () => {
  const pieces = inPieces(encodeManifestLine(LINE) + "{}\n", encodeManifestLine(LINE).length);
  const lines = decodeLines(pieces, decodeManifestLine);
  assertEquals((await lines.next()).value, [LINE]);
  const error = await assertCode("bad_header", () => lines.next());
  assertEquals(error.reason, "filename is missing");
});
