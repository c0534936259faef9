import { assertEquals } from "@std/assert";
import { formatSize } from "../../../lib/core/quantities.ts";

Deno.test("formatSize() writes sizes in the units that options take", () => {
  const table: [bytes: number, text: string][] = [
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [20 * 1024 ** 2, "20 MiB"],
    [3 * 1024 ** 3, "3 GiB"],
  ];
  for (const [bytes, text] of table) assertEquals(formatSize(bytes), text);
  assertEquals(
    formatSize(2048, { minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    "2.0 KiB",
  );
});
