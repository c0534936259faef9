import { assertEquals } from "@std/assert";
import { shownName, sizeText, timeText } from "../../../page/text/format.ts";

Deno.test("sizeText() has three digits at most, and never 1000 of a unit", () => {
  const cases: [bytes: number, text: string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1 kB"],
    [1549, "1.5 kB"],
    [99_940, "99.9 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1 MB"],
    [2 ** 30, "1.1 GB"],
    [5e12, "5 TB"],
    [5e18, "5,000 PB"],
  ];
  for (const [bytes, text] of cases) assertEquals(sizeText(bytes, "en"), text);
});

Deno.test("timeText() is written as the language does", () => {
  const time = new Date(2026, 10, 30, 13, 5).getTime();
  assertEquals(timeText(time, "en-GB"), "30 Nov 2026, 13:05");
  assertEquals(timeText(time, "zh-CN"), "2026年11月30日 13:05");
});

Deno.test("shownName() shows what a name hides", () => {
  assertEquals(shownName("report\u202egpj.exe"), "report\\u202egpj.exe");
  assertEquals(shownName("a\nb\tc"), "a\\u000ab\\u0009c");
  assertEquals(shownName("年度报告 – für alle 🎉.txt"), "年度报告 – für alle 🎉.txt");
});
