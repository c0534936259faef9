import { assert, assertEquals, assertThrows } from "@std/assert";
import { bars } from "../../../docs/generate/bars.ts";
import { figuresIn, PERFORMANCE, REPORT, withTables } from "../../../docs/generate/performance.ts";
import { PICTURES } from "../../../docs/generate/pictures.ts";
import { mediansOf, readReport, record, type Report } from "../../bench/report.ts";

const MEASURED: Report = {
  cases: {
    put: {
      title: "1 GiB to a server",
      command: "deno task bench:peers --only put",
      date: "2026-01-31",
      machine: "2 x A processor",
      programs: ["ferry 0.1.0, Deno 2.9.6, x86_64-unknown-linux-gnu", "rsync 3.2.7"],
      table: "  ferry  1.98 s\n",
      medians: [
        { name: "ferry", seconds: 1.98 },
        { name: "ferry --durability none", seconds: 1.04 },
        { name: "rsync --fsync", seconds: 12.3 },
      ],
    },
  },
};

Deno.test("figuresIn() takes the medians of the cases that are drawn", () => {
  const { cases, note } = figuresIn(MEASURED);
  assertEquals(cases, [{
    name: "1 GiB to a server",
    bars: [{ name: "ferry", value: 1.98 }, { name: "rsync --fsync", value: 12.3 }],
  }]);
  assert(note.includes("ferry 0.1.0, Deno 2.9.6, x86_64-unknown-linux-gnu"));
});

Deno.test("withTables() puts each table into its place, also in place of an earlier one", () => {
  const empty = "# Title\n\n<!-- measured: put -->\n<!-- end -->\n\nText.\n";
  const filled = withTables(empty, MEASURED);
  assertEquals(filled.split("\n").slice(3, 11), [
    "",
    "```text",
    "$ deno task bench:peers --only put",
    "# 2026-01-31",
    "# 2 x A processor",
    "# ferry 0.1.0, Deno 2.9.6, x86_64-unknown-linux-gnu",
    "# rsync 3.2.7",
    "  ferry  1.98 s",
  ]);
  assertEquals(withTables(filled, MEASURED), filled);
  assertThrows(() => withTables(empty.replace("put", "get"), MEASURED), Error, "get");
});

Deno.test("docs/performance.md and the picture of speed show what docs/performance.json has", () => {
  const report = readReport(REPORT);
  const document = Deno.readTextFileSync(PERFORMANCE);
  assertEquals(withTables(document, report), document, "run deno task performance");
  const drawn = JSON.parse(Deno.readTextFileSync(new URL("speed.json", PICTURES)));
  assertEquals(drawn, figuresIn(report), "run deno task performance");
  for (const name of Object.keys(report.cases)) {
    assert(document.includes(`<!-- measured: ${name} -->`), `${name} is not shown`);
  }
});

Deno.test("record() keeps the other cases of a report", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.remove(path);
    const { put } = MEASURED.cases;
    const medians = mediansOf([{ name: "ferry", seconds: [3.0001, 1, 2.00049] }]);
    record(path, "get", put!);
    record(path, "put", put!);
    record(path, "get", { ...put!, medians });
    const { cases } = readReport(path);
    assertEquals(cases, { put: put!, get: { ...put!, medians: [{ name: "ferry", seconds: 2 }] } });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("bars() draws bars in proportion, and escapes texts", () => {
  const svg = bars({
    title: "a < b",
    unit: "s",
    note: "",
    cases: [{ name: "c", bars: [{ name: "ferry", value: 1 }, { name: "scp", value: 4 }] }],
  });
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="(\d+)"/g)].map(([, width]) =>
    width
  );
  assertEquals(widths, ["105", "420"]);
  assertEquals(svg.includes("a &lt; b"), true);
});
