import { assert, assertEquals } from "@std/assert";
import stringWidth from "string-width";
import { renderProgress, renderTransfers } from "../../../client/cli/progress.ts";
import {
  noTransfers,
  reduceTransfers,
  type TransfersEvent,
  type TransfersState,
} from "../../../client/cli/progress_state.ts";
import fc from "../../support/properties.ts";
import { MIB } from "../../support/bytes.ts";

fc.configureGlobal({ seed: 19 });

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

Deno.test("renderProgress() says where a transfer went on, and takes for speed what was moved since", () => {
  const resumed = { bytes: 60 * MIB, from: 50 * MIB, seconds: 5 };
  assertEquals(line(resumed, 60), "a.bin (from 50%)        60%   60.0 MiB    2.0 MiB/s    00:20");
  const stream = line({ ...resumed, total: null }, 60);
  assert(stream.startsWith("a.bin (from 50.0 MiB) "), stream);
  // One that had to begin anew has moved nothing that counts yet.
  assert(line({ ...resumed, bytes: MIB }).includes(" 0.0 B/s"));
});

Deno.test("renderProgress() keeps the end of a long name", () => {
  const filename = `${"directory/".repeat(20)}the-end.bin`;
  const shown = line({ filename }, 60);
  assertEquals(shown.length, 60);
  assert(/^…\S*the-end\.bin /.test(shown), shown);
});

Deno.test("renderProgress() draws a bar where there is room for it beside the name", () => {
  assertEquals(
    line({}, 80),
    "a.bin                [====>              ]  25%   25.0 MiB    5.0 MiB/s    00:15",
  );
  assert(line({ bytes: 100 * MIB }).includes(`[${"=".repeat(19)}]`));
  assert(line({ bytes: 0 }).includes(`[>${" ".repeat(18)}]`));
  assert(!line({}, 70).includes("[") && line({}, 71).includes("["));
});

Deno.test("renderProgress() leaves out what tells least where there is no room", () => {
  assertEquals(line({}, 40), "a.bin          25%    5.0 MiB/s    00:15");
  assertEquals(line({}, 30), "a.bin         25%    5.0 MiB/s");
  assertEquals(line({}, 20), "a.bin            25%");
  assertEquals(line({}, 10), "a.bin  25%");
  assertEquals(line({}, 8), "25%");
  assertEquals(line({}, 2), "25");
  assertEquals(line({}, 0), "");
});

Deno.test("renderProgress() of a stream tells how much came, and no end", () => {
  const stream = { total: null };
  assertEquals(line(stream, 60), "a.bin                         25.0 MiB    5.0 MiB/s         ");
  assertEquals(line(stream, 20), "a.bin       25.0 MiB");
  assert(!/[[%\]]/.test(line(stream, 100)), line(stream, 100));
});

Deno.test("renderProgress() of a file that grew meanwhile is at its end", () => {
  assert(line({ bytes: 200, total: 100 }).includes("100% "));
  assert(line({ bytes: 200, total: 100 }).endsWith(" 00:00"));
});

Deno.test("renderProgress() tells no time that nobody can foresee", () => {
  assert(line({ bytes: 1, total: 1 + 100 * 3600, seconds: 1 }).endsWith("  4 days"));
  assert(line({ bytes: 1, total: 1 + 366 * 86_400, seconds: 1 }).endsWith("   -:--"));
});

Deno.test("renderProgress() shows no character that drives a terminal", () => {
  const shown = line({ filename: "a\x1b[2J\n\r\x9bb\u202ec" });
  assert(shown.startsWith("a?[2J???b?c "), shown);
});

Deno.test("renderProgress() knows that some characters are two columns wide", () => {
  const shown = line({ filename: "文件夹/🚢".repeat(20) }, 60);
  assertEquals(stringWidth(shown), 60);
  assertEquals(stringWidth(line({ filename: "文件.bin" }, 60)), 60);
  // Characters of several code points: a flag, a skin tone, an accent of its own.
  for (const filename of ["🇩🇪", "👍🏽", "e\u0301", "❤\ufe0f"]) {
    for (let columns = 40; columns < 90; columns++) {
      const shown = line({ filename: filename.repeat(60) }, columns);
      assertEquals(stringWidth(shown), columns, shown);
    }
  }
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

/** The state after events, each with its time in seconds. */
function after(...events: [seconds: number, event: TransfersEvent][]): TransfersState {
  return events.reduce(
    (state, [seconds, event]) => reduceTransfers(state, event, seconds * 1000),
    noTransfers(0),
  );
}

/** Three files of which one is done, one is half done, one has just begun. */
const THREE = after(
  [0, { type: "planned", files: 4, bytes: 400 * MIB }],
  [0, { type: "began", filename: "done.bin", total: 100 * MIB }],
  [0, { type: "began", filename: "photos/half.jpg", total: 100 * MIB }],
  [5, { type: "moved", filename: "done.bin", bytes: 100 * MIB }],
  [5, { type: "ended", filename: "done.bin" }],
  [10, { type: "moved", filename: "photos/half.jpg", bytes: 50 * MIB }],
  [10, { type: "began", filename: "new.bin", total: 100 * MIB }],
);

const PLAIN = { columns: 80, rows: 24, color: false };

/** What of a line does not depend on how speed is smoothed. */
const withoutRate = (line: string) => line.slice(0, -22);

Deno.test("renderTransfers() shows a line for each transfer and one for everything", () => {
  const lines = renderTransfers(THREE, PLAIN);
  assertEquals(lines.map(withoutRate), [
    "photos/half.jpg      [=========>         ]  50%   50.0 MiB",
    "new.bin              [>                  ]   0%      0.0 B",
    "1/4 files, 400.0 MiB [=======>           ]  37%  150.0 MiB",
  ]);
  for (const line of lines) assert(/ [\d.]+ \w+\/s +[\d:-]+$/.test(line), line);
});

Deno.test("renderTransfers() says where a transfer went on", () => {
  const state = [
    { type: "planned", files: 2, bytes: 200 },
    { type: "began", filename: "a", total: 100, bytes: 40 },
    { type: "moved", filename: "a", bytes: 50 },
  ] as const;
  const after = state.reduce((state, event) => reduceTransfers(state, event, 0), noTransfers(0));
  const [shown] = renderTransfers(after, { columns: 60, rows: 5, color: false });
  assert(shown!.startsWith("a (from 40%) "), shown);
});

Deno.test("renderTransfers() of one file is the line of that file", () => {
  const one = after(
    [0, { type: "planned", files: 1, bytes: 100 }],
    [0, { type: "began", filename: "a.bin", total: 100 }],
    [5, { type: "moved", filename: "a.bin", bytes: 50 }],
  );
  const lines = renderTransfers(one, PLAIN);
  assertEquals(lines.map(withoutRate), [
    "a.bin                [=========>         ]  50%     50.0 B",
  ]);
});

Deno.test("renderTransfers() counts those for which there are no rows", () => {
  const events = Array.from({ length: 10 }, (_, n): [number, TransfersEvent] => [
    0,
    { type: "began", filename: `${n}.bin`, total: 10 },
  ]);
  const state = after([0, { type: "planned", files: 20, bytes: 200 }], ...events);
  const names = (rows: number) =>
    renderTransfers(state, { ...PLAIN, rows }).map((line) => /^\S+( \d+ more)?/.exec(line)![0]);
  assertEquals(names(0), []);
  assertEquals(names(1), ["0/20"]);
  assertEquals(names(2), ["and 10 more", "0/20"]);
  assertEquals(names(4), ["0.bin", "1.bin", "and 8 more", "0/20"]);
  assertEquals(names(10).slice(-2), ["and 2 more", "0/20"]);
  assertEquals(names(11).slice(-2), ["9.bin", "0/20"]);
});

Deno.test("renderTransfers() tells the average speed and the whole time at the end", () => {
  const finished = after(
    [0, { type: "planned", files: 3, bytes: 120 * MIB }],
    [1, { type: "skipped", files: 1, bytes: 20 * MIB }],
    [1, { type: "began", filename: "a", total: 100 * MIB }],
    [9, { type: "moved", filename: "a", bytes: 100 * MIB }],
    [9, { type: "ended", filename: "a" }],
    [9, { type: "began", filename: "b", total: 0 }],
    [10, { type: "ended", filename: "b" }],
  );
  assertEquals(renderTransfers(finished, { ...PLAIN, columns: 90 }), [
    "3/3 files, 120.0 MiB  [============================] 100%  120.0 MiB   10.0 MiB/s    00:10",
  ]);
});

Deno.test("renderTransfers() reaches 100% only when everything is done", () => {
  const crossed = after(
    [0, { type: "planned", files: 2, bytes: 100 }],
    [0, { type: "began", filename: "a", total: 100 }],
    [1, { type: "moved", filename: "a", bytes: 100 }],
  );
  const [own, overall] = renderTransfers(crossed, PLAIN);
  assert(own!.includes("100% ") && overall!.includes(" 99% "), `${own}\n${overall}`);
});

Deno.test("renderTransfers() of empty files goes by their number", () => {
  const plan: [number, TransfersEvent] = [0, { type: "planned", files: 4, bytes: 0 }];
  const one = after(plan, [1, { type: "skipped", files: 1, bytes: 0 }]);
  assert(renderTransfers(one, PLAIN)[0]!.includes(" 25%      0.0 B"));
  const all = after(plan, [1, { type: "skipped", files: 4, bytes: 0 }]);
  assert(renderTransfers(all, PLAIN)[0]!.includes("100%      0.0 B"));
  const none = after([0, { type: "planned", files: 0, bytes: 0 }]);
  assert(renderTransfers(none, PLAIN)[0]!.startsWith("0/0 files, 0.0 B"));
  assert(renderTransfers(none, PLAIN)[0]!.includes("100%"));
});

Deno.test("renderTransfers() shows no share of what nobody knows", () => {
  const unknown = after(
    [0, { type: "began", filename: "stdin", total: null }],
    [2, { type: "moved", filename: "stdin", bytes: 10 * MIB }],
  );
  assertEquals(renderTransfers(unknown, { ...PLAIN, columns: 60 }), [
    "stdin                         10.0 MiB    6.9 MiB/s         ",
    "0 files                       10.0 MiB    6.9 MiB/s         ",
  ]);
  // The number of files may be known before their size is.
  const [, overall] = renderTransfers(
    reduceTransfers(unknown, { type: "planned", files: 2, bytes: null }, 2000),
    PLAIN,
  );
  assert(overall!.startsWith("0/2 files  ") && !/[%[]/.test(overall!), overall);
});

Deno.test("renderTransfers() shortens what it counts where there is no room", () => {
  const labels = [80, 50, 36, 16].map((columns) =>
    renderTransfers(THREE, { ...PLAIN, columns, rows: 1 })[0]!.split(/ {2,}| \[/)[0]
  );
  assertEquals(labels, ["1/4 files, 400.0 MiB", "1/4 files", "1/4 files", "1/4 files"]);
});

Deno.test("renderTransfers() uses colours where it may, and the text is the same", () => {
  const plain = renderTransfers(THREE, PLAIN);
  const colored = renderTransfers(THREE, { ...PLAIN, color: true });
  assert(!plain.join("").includes("\x1b"));
  // deno-lint-ignore no-control-regex -- these are what is looked for
  assertEquals(colored.map((line) => line.replace(/\x1b\[\d+m/g, "")), plain);
  assert(colored[0]!.includes("[\x1b[32m=========>\x1b[39m "), colored[0]);
  for (const line of colored) assertEquals(stringWidth(line), 80);
});

Deno.test("renderTransfers() never is wider nor higher than it may be", () => {
  const filename = fc.oneof(
    fc.constantFrom("文件夹/照片.jpg", "🇩🇪".repeat(30), "a/".repeat(99), ""),
    fc.string({ unit: "grapheme", maxLength: 60 }),
  );
  const total = fc.option(fc.maxSafeNat());
  const event: fc.Arbitrary<TransfersEvent> = fc.oneof(
    fc.record({ type: fc.constant("planned"), files: fc.option(fc.nat()), bytes: total } as const),
    fc.record({ type: fc.constant("skipped"), files: fc.nat(), bytes: fc.maxSafeNat() } as const),
    fc.record({ type: fc.constant("began"), filename, total } as const),
    fc.record({ type: fc.constant("moved"), filename, bytes: fc.maxSafeNat() } as const),
    fc.record({ type: fc.constant("ended"), filename } as const),
  );
  const events = fc.array(fc.tuple(fc.nat(1e6), event), { maxLength: 30 });
  const room = fc.record({ columns: fc.nat(200), rows: fc.nat(20), color: fc.boolean() });
  fc.assert(fc.property(events, room, (events, room) => {
    const state = after(...events.sort(([a], [b]) => a - b));
    const lines = renderTransfers(state, room);
    assert(lines.length <= room.rows);
    for (const line of lines) {
      assert(stringWidth(line) <= room.columns, line);
      assert(!/NaN|Infinity|undefined/.test(line.slice(-36)), line);
    }
  }));
});
