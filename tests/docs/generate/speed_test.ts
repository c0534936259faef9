import { assertEquals } from "@std/assert";
import { bars } from "../../../docs/generate/bars.ts";
import { figuresIn } from "../../../docs/generate/speed.ts";

const REPORT = `ferry 0.1.0, Deno 2.9.6, x86_64-unknown-linux-gnu
rsync  rsync  version 3.2.7  protocol version 31

put: 1 GiB to a server (measured in 56 s)
                            median      min-max     speed  vs rsync  vs scp
  ferry                     1.98 s  1.68-2.61 s  37 MiB/s     0.56x   1.00x
  ferry --durability none   1.04 s  0.99-1.57 s  32 MiB/s     0.48x   0.87x
  rsync --fsync            12.31 s  9.52-9.63 s  55 MiB/s     0.83x   1.50x
  goal: ferry at least 0.8x as fast as rsync --fsync: yes, 2.67x

start: --version: the time from the start of a program to its end (measured in 3 s)
         median      min-max
  ferry  0.08 s  0.07-0.09 s
`;

Deno.test("figuresIn() takes the medians of the cases that are drawn from a report of bench:peers", () => {
  const { cases, note } = figuresIn(REPORT);
  assertEquals(cases, [{
    name: "1 GiB to a server",
    bars: [{ name: "ferry", value: 1.98 }, { name: "rsync --fsync", value: 12.31 }],
  }]);
  assertEquals(note.includes("ferry 0.1.0, Deno 2.9.6, x86_64-unknown-linux-gnu"), true);
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
