import { assert, assertEquals } from "@std/assert";
import type { Entry } from "../../../page/door/door.ts";
import { found, nextOrder, type Order, sorted } from "../../../page/listing/order.ts";

function entry(name: string, size = 0, mtime = 0, type = "file"): Entry {
  return { name, type, size, mtime };
}

const ENTRIES = [
  entry("file 10", 5, 30),
  entry("file 9", 5, 10),
  entry("Äpfel", 1, 20),
  entry("zoo", 0, 5, "directory"),
  entry("bar", 9, 40, "directory"),
];

function names(entries: readonly Entry[]): string {
  return entries.map(({ name }) => name).join();
}

Deno.test("sorted() puts directories first, and numbers by their value", () => {
  const cases: [order: Order, expected: string][] = [
    [{ by: "name", descending: false }, "bar,zoo,Äpfel,file 9,file 10"],
    [{ by: "name", descending: true }, "zoo,bar,file 10,file 9,Äpfel"],
    [{ by: "size", descending: false }, "bar,zoo,Äpfel,file 9,file 10"],
    [{ by: "size", descending: true }, "bar,zoo,file 9,file 10,Äpfel"],
    [{ by: "mtime", descending: true }, "bar,zoo,file 10,Äpfel,file 9"],
  ];
  for (const [order, expected] of cases) {
    assertEquals(names(sorted(ENTRIES, order, "en")), expected);
  }
});

Deno.test("sorted() has one order for names that a language takes for equal", () => {
  const twins = [entry("é"), entry("e\u0301")];
  const order: Order = { by: "name", descending: false };
  assertEquals(sorted(twins, order, "en"), sorted(twins.toReversed(), order, "en"));
});

Deno.test("sorted() sorts Chinese names by their sounds for a Chinese reader", () => {
  const order: Order = { by: "name", descending: false };
  assertEquals(
    names(sorted(["张", "李", "安"].map((name) => entry(name)), order, "zh-CN")),
    "安,李,张",
  );
});

Deno.test("sorted() makes one collator for 10,000 entries, and compares no more than a merge sort", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => entry(`file ${(i * 7919) % 10_000}`, i));
  const { Collator } = Intl;
  const { localeCompare } = String.prototype;
  const counts = { collators: 0, comparisons: 0 };
  using _restored = {
    [Symbol.dispose]() {
      Intl.Collator = Collator;
      String.prototype.localeCompare = localeCompare;
    },
  };
  Intl.Collator = function (...args: ConstructorParameters<typeof Collator>) {
    counts.collators++;
    const { compare } = new Collator(...args);
    return { compare: (a: string, b: string) => (counts.comparisons++, compare(a, b)) };
  } as unknown as typeof Collator;
  // This looks for a collator each time.
  String.prototype.localeCompare = function (
    this: string,
    ...args: Parameters<typeof localeCompare>
  ) {
    counts.collators++;
    return localeCompare.apply(this, args);
  } as typeof localeCompare;
  const [first] = sorted(many, { by: "name", descending: false }, "en");
  assertEquals([first!.name, counts.collators], ["file 0", 1]);
  const most = 10_000 * Math.ceil(Math.log2(10_000));
  assert(counts.comparisons <= most, `${counts.comparisons} comparisons`);
});

Deno.test("found() needs each word, whatever the case and the accents", () => {
  const cases: [query: string, expected: string][] = [
    ["", names(ENTRIES)],
    ["  ", names(ENTRIES)],
    ["FILE", "file 10,file 9"],
    ["9 fi", "file 9"],
    ["apf", "Äpfel"],
    ["Äpf", "Äpfel"],
    ["nothing", ""],
  ];
  for (const [query, expected] of cases) {
    assertEquals(names(found(ENTRIES, query)), expected, query);
  }
  assertEquals(names(found([entry("年度报告.docx")], "报告")), "年度报告.docx");
});

Deno.test("nextOrder() turns the order around, and shows the largest and newest first", () => {
  const byName: Order = { by: "name", descending: false };
  assertEquals(nextOrder(byName, "name"), { by: "name", descending: true });
  assertEquals(nextOrder(byName, "size"), { by: "size", descending: true });
  assertEquals(nextOrder({ by: "mtime", descending: true }, "name"), byName);
});
