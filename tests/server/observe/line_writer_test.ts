import { assert, assertEquals } from "@std/assert";
import { type ByteWriter, LineWriter } from "../../../server/observe/line_writer.ts";

/** A reader that takes what it is told to, when it is told to. */
class SlowReader implements ByteWriter {
  /** What it has taken. */
  text = "";
  /** The bytes of each write that has begun. */
  readonly pieces: string[] = [];
  #begun = Promise.withResolvers<void>();
  #pending: { bytes: Uint8Array; done: PromiseWithResolvers<number> } | undefined;

  write(bytes: Uint8Array): Promise<number> {
    this.pieces.push(new TextDecoder().decode(bytes));
    this.#pending = { bytes, done: Promise.withResolvers() };
    this.#begun.resolve();
    return this.#pending.done.promise;
  }

  /** Takes so many bytes of the write that is under way, or makes it fail. */
  async take(what: number | Error = Infinity): Promise<void> {
    await this.#begun.promise;
    const { bytes, done } = this.#pending!;
    this.#begun = Promise.withResolvers();
    if (what instanceof Error) return done.reject(what);
    const taken = bytes.subarray(0, what);
    this.text += new TextDecoder().decode(taken);
    done.resolve(taken.length);
  }
}

const NEVER = 2 ** 31 - 1;

Deno.test("LineWriter writes lines in order, also where they are taken in parts", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader);
  lines.write("one\n");
  lines.write("two\n");
  for (const count of [1, 2, 3, 100]) await reader.take(count);
  await lines.flush(NEVER);
  lines.write("three\n");
  await reader.take();
  await lines.flush(NEVER);
  assertEquals(reader.text, "one\ntwo\nthree\n");
  await lines.flush(NEVER);
});

Deno.test("LineWriter drops what is too much, and says so in its place", async () => {
  const reader = new SlowReader();
  const dropped = (count: number) => `${count} dropped\n`;
  const lines = new LineWriter(reader, { dropped, maxWaiting: 10 });
  lines.write("first\n");
  // That is under way; of these there is room for two.
  for (const line of ["2222\n", "3333\n", "4\n", "5\n", "6\n"]) lines.write(line);
  await reader.take();
  await reader.take();
  lines.write("late\n");
  await reader.take();
  await lines.flush(NEVER);
  assertEquals(reader.text, "first\n2222\n3333\n3 dropped\nlate\n");
});

Deno.test("LineWriter tells of what it dropped also where nothing follows", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader, { dropped: (n) => `${n} dropped\n`, maxWaiting: 4 });
  for (const line of ["one\n", "two\n", "three\n"]) lines.write(line);
  for (let n = 0; n < 2; n++) await reader.take();
  await lines.flush(NEVER);
  assertEquals(reader.text, "one\ntwo\n1 dropped\n");
});

Deno.test("LineWriter writes whole lines, of no more than a pipe takes at once", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader);
  const long = `${"x".repeat(5000)}\n`;
  const all = [...Array.from({ length: 500 }, (_, at) => `line ${at}\n`), long, "end\n"];
  for (const line of all) lines.write(line);
  while (reader.text.length < all.join("").length) await reader.take();
  assertEquals(reader.text, all.join(""));
  assert(reader.pieces.every((piece) => piece.endsWith("\n")));
  assert(reader.pieces.every((piece) => piece.length <= 4096 || piece === long));
  await lines.flush(NEVER);
});

Deno.test("LineWriter goes on with a line where a write failed", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader);
  lines.write("one line\n");
  await reader.take(4);
  await reader.take(new Error("no space left"));
  lines.write("two\n");
  await reader.take();
  await reader.take();
  await lines.flush(NEVER);
  assertEquals(reader.text, "one line\ntwo\n");
});

Deno.test("LineWriter.flush() does not wait for what cannot be written, nor for ever", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader);
  await lines.flush(NEVER);
  lines.write("one\n");
  await lines.flush(1);
  const flushed = lines.flush(NEVER);
  await reader.take(new Error("nobody reads"));
  await flushed;
  await lines.flush(NEVER);
  await reader.take();
  await lines.flush(NEVER);
  assertEquals(reader.text, "one\n");
});

Deno.test("LineWriter gathers lines after a write, unless it is flushed", async () => {
  const reader = new SlowReader();
  const lines = new LineWriter(reader, { gather: NEVER });
  lines.write("one\n");
  await reader.take();
  lines.write("two\n");
  lines.write("three\n");
  assertEquals(reader.pieces, ["one\n"]);
  const flushed = lines.flush(NEVER);
  await reader.take();
  await lines.flush(NEVER);
  await flushed;
  assertEquals(reader.pieces, ["one\n", "two\nthree\n"]);
});
