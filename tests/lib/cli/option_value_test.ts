import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseOptionValue, parseSize, parseTime } from "../../../lib/cli/option_value.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

Deno.test("parseSize() reads sizes", () => {
  const table: Record<string, number> = {
    "0": 0,
    "500": 500,
    "1k": 1000,
    "1K": 1000,
    "1kB": 1000,
    "2M": 2e6,
    "3g": 3e9,
    "1T": 1e12,
    "64KiB": 65536,
    "64 KiB": 65536,
    "1.5MiB": 1572864,
    "1gib": 2 ** 30,
    "1TiB": 2 ** 40,
    "0.5": 0,
    "1.9": 1,
  };
  for (const [text, size] of Object.entries(table)) assertEquals(parseSize(text), size, text);
});

Deno.test("parseTime() reads times", () => {
  const table: Record<string, number> = {
    "500ms": 500,
    "0": 0,
    "0s": 0,
    "1.5s": 1500,
    "30 s": 30_000,
    "5m": 300_000,
    "2h": 7_200_000,
    "1d": 86_400_000,
  };
  for (const [text, time] of Object.entries(table)) assertEquals(parseTime(text), time, text);
});

Deno.test("parseSize(), parseTime() give undefined for the rest", () => {
  const neither = [
    "",
    " ",
    "k",
    "-1k",
    "+1k",
    "1e3k",
    "0x10k",
    "1,5k",
    "1.k",
    ".5k",
    "1  k",
    " 1k",
  ];
  const hostile = ["1constructor", "1__proto__", "1toString", "1k\n", "1kk", "9".repeat(16) + "k"];
  for (const text of [...neither, ...hostile, "Infinity", "NaN", "1kms"]) {
    assertEquals(parseSize(text), undefined, text);
    assertEquals(parseTime(text), undefined, text);
  }
  for (const text of ["1s", "1b", "1ib", "1kibb", "1ms"]) {
    assertEquals(parseSize(text), undefined, text);
  }
  for (const text of ["1", "1k", "1kib"]) assertEquals(parseTime(text), undefined, text);
});

Deno.test("parseSize() gives a whole number of bytes or undefined, whatever the text", () => {
  const text = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(), fc.constantFrom("", "k", "MiB", "gb", "t", " kib")).map((parts) =>
      parts.join("")
    ),
  );
  fc.assert(fc.property(text, (text) => {
    const size = parseSize(text);
    assert(size === undefined || Number.isInteger(size) && size >= 0, `${text}: ${size}`);
  }));
});

Deno.test("a count may be left to the program, where it says so", () => {
  const spec = { kind: "count", help: "", auto: true, range: [1, 9] } as const;
  assertEquals(parseOptionValue("n", spec, "auto"), undefined);
  assertEquals(parseOptionValue("n", spec, "9"), 9);
  const wanted = "--n takes auto, or a whole number from 1 to 9";
  assertThrows(() => parseOptionValue("n", spec, "Auto"), FerryError, wanted);
  assertThrows(() => parseOptionValue("n", { kind: "count", help: "" }, "auto"), FerryError);
});
