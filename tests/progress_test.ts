import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import stringWidth from "string-width";
import { renderProgress } from "../client/progress.ts";

fc.configureGlobal({ seed: 19 });

const MIB = 1024 * 1024;

function line(
  state: Partial<Parameters<typeof renderProgress>[0]>,
  columns = 80,
): string {
  return renderProgress(
    { filename: "a.bin", bytes: 25 * MIB, total: 100 * MIB, seconds: 5, ...state },
    columns,
  );
}

Deno.test("renderProgress() shows the name, how much, how fast, how long still", () => {
  assertEquals(line({}, 60), "a.bin                   25%   25.0 MiB    5.0 MiB/s    00:15");
});

Deno.test("renderProgress() fills the width exactly", () => {
  for (const columns of [45, 60, 80, 200]) assertEquals(line({}, columns).length, columns);
});

Deno.test("renderProgress() rounds a percentage down: 100% is the end", () => {
  assert(line({ bytes: 0 }).includes("  0% "));
  assert(line({ bytes: 1999, total: 2000 }).includes(" 99% "));
  assert(line({ bytes: 2000, total: 2000 }).includes("100% "));
  assert(line({ bytes: 0, total: 0 }).includes("100% "), "an empty file is done");
});

Deno.test("renderProgress() tells the time that is left", () => {
  const left = (state: Parameters<typeof line>[0]) => line(state).trimEnd().split(" ").at(-1);
  assertEquals(left({ bytes: 50, total: 100, seconds: 1 }), "00:01");
  assertEquals(left({ bytes: 1, total: 60, seconds: 1 }), "00:59");
  assertEquals(left({ bytes: 1, total: 61, seconds: 1 }), "01:00");
  assertEquals(left({ bytes: 1, total: 3601, seconds: 1 }), "1:00:00");
  assertEquals(left({ bytes: 1, total: 1 + 36_061, seconds: 1 }), "10:01:01");
  assertEquals(left({ bytes: 100, total: 100, seconds: 9 }), "00:00");
  // Rounded up: nobody is told that nothing is left while something is.
  assertEquals(left({ bytes: 99, total: 100, seconds: 9 }), "00:01");
});

Deno.test("renderProgress() has no rate and no time left at the start", () => {
  assert(
    line({ bytes: 0, seconds: 0 }).endsWith("0.0 B/s     -:--"),
    line({ bytes: 0, seconds: 0 }),
  );
  assert(line({ bytes: 0, seconds: 5 }).endsWith("0.0 B/s     -:--"));
});

Deno.test("renderProgress() keeps the end of a long name", () => {
  const filename = `${"directory/".repeat(20)}the-end.bin`;
  const shown = line({ filename }, 60);
  assertEquals(shown.length, 60);
  assert(/^…\S*the-end\.bin /.test(shown), shown);
});

Deno.test("renderProgress() leaves the name out where there is no room", () => {
  const shown = line({}, 35);
  assert(!shown.includes("a.bin") && shown.startsWith("25%"), shown);
  assertEquals(line({}, 0), "");
});

Deno.test("renderProgress() shows no character that drives a terminal", () => {
  const shown = line({ filename: "a\x1b[2J\n\r\x9bb\u202ec" });
  assert(shown.startsWith("a?[2J???b?c "), shown);
});

Deno.test("renderProgress() knows that some characters are two columns wide", () => {
  const shown = line({ filename: "文件夹/🚢".repeat(20) }, 60);
  assertEquals(stringWidth(shown), 60);
  assertEquals(stringWidth(line({ filename: "文件.bin" }, 60)), 60);
});

Deno.test("renderProgress() never is wider than it may be, nor more than a line", () => {
  const state = fc.record({
    filename: fc.string({ unit: "binary", maxLength: 100 }),
    bytes: fc.maxSafeNat(),
    total: fc.maxSafeNat(),
    seconds: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 1e9, noNaN: true })),
  });
  fc.assert(fc.property(state, fc.nat(200), (state, columns) => {
    const { bytes, total } = state;
    const range = { bytes: Math.min(bytes, total), total: Math.max(bytes, total) };
    const shown = renderProgress({ ...state, ...range }, columns);
    assert(stringWidth(shown) <= columns, `${shown.length} of ${columns}: ${shown}`);
    assert(!/\p{Cc}/u.test(shown), "a control character");
    assert(!/NaN|Infinity|undefined/.test(shown.slice(-36)), shown);
  }));
});
