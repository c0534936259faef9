import { assertEquals, assertThrows } from "@std/assert";
import { write } from "../../../client/cli/stdio.ts";
import { FerryError } from "../../../lib/core/errors.ts";

Deno.test("write() writes all of a text, however little is taken at once", () => {
  const taken: number[] = [];
  const text = "中文 and more";
  write({ writeSync: (bytes) => (taken.push(bytes[0]!), 1) }, text);
  assertEquals(new TextDecoder().decode(new Uint8Array(taken)), text);
});

Deno.test("write() ends the program as SIGPIPE would where the reader is gone", () => {
  const exit = Deno.exit;
  const statuses: (number | undefined)[] = [];
  Deno.exit = (status) => {
    statuses.push(status);
    throw new Error("ended");
  };
  try {
    const gone = { writeSync: () => raise(new Deno.errors.BrokenPipe("gone")) };
    assertThrows(() => write(gone, "x"), Error, "ended");
    assertEquals(statuses, [141]);
    const full = { writeSync: () => raise(Object.assign(new Error("full"), { code: "ENOSPC" })) };
    const error = assertThrows(() => write(full, "x"), FerryError, "write to standard output");
    assertEquals(error.code, "no_space");
    assertEquals(statuses, [141]);
  } finally {
    Deno.exit = exit;
  }
});

function raise(error: Error): never {
  throw error;
}
