import { assertEquals } from "@std/assert";
import { jsonLines, printed } from "../../support/printed.ts";
import { MD5, TRANSFERRED, transfersOf } from "../../support/printed_examples.ts";

Deno.test("TransferOutput.transferred() prints a line of md5sum's format", () => {
  for (const op of ["put", "get"] as const) {
    const { out, err } = printed((output) =>
      transfersOf(output).transferred(op, "shown.bin", TRANSFERRED, 1)
    );
    assertEquals({ out, err }, { out: `${MD5}  shown.bin\n`, err: "" });
  }
});

Deno.test("TransferOutput.transferred() prints one JSON object with --json", () => {
  const common = {
    event: "done",
    filename: "d/a.bin",
    md5: MD5,
    total_size: 12345,
    skipped: false,
    resumed_from: 0,
    retries: 0,
  };
  assertEquals(
    jsonLines((output) => {
      transfersOf(output).transferred("put", "shown", TRANSFERRED, 1.23456789);
      transfersOf(output).transferred("get", "local/a.bin", TRANSFERRED, 0);
    }),
    [
      { ...common, op: "put", seconds: 1.234568, bytes_sent: 12345 },
      { ...common, op: "get", path: "local/a.bin", seconds: 0, bytes_received: 12345 },
    ],
  );
});
