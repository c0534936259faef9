import { RUNTIME } from "../../../../support/runtime.ts";
import { assertEquals, assertRejects } from "@std/assert";
import { Wire } from "../../../../../lib/wire/frames.ts";
import { ReplyQueue } from "../../../../../server/protocols/ferry/exchange/reply_queue.ts";
import { IDLE, MemoryStream, text } from "../../../../support/memory_stream.ts";

const numbers = (stream: MemoryStream) =>
  [...text(stream.written).matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n));

Deno.test("ReplyQueue.push() sends replies in the order of their requests", async () => {
  const stream = new MemoryStream();
  const queue = new ReplyQueue(new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }));
  const late = Promise.withResolvers<Record<string, unknown>>();
  await queue.push(late.promise);
  await queue.push(Promise.resolve({ n: 2 }));
  await queue.push(Promise.resolve({ n: 3 }));
  late.resolve({ n: 1 });
  await queue.settle();
  assertEquals(numbers(stream), [1, 2, 3]);
  // Those that were ready together left together.
  assertEquals(stream.writes.length, 1);
});

Deno.test("ReplyQueue.push() waits where too many replies are waiting", async () => {
  const stream = new MemoryStream();
  const queue = new ReplyQueue(new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }));
  const late = Promise.withResolvers<Record<string, unknown>>();
  await queue.push(late.promise);
  for (let n = 2; n < 256; n++) await queue.push(Promise.resolve({ n }));
  let through = false;
  const pushing = queue.push(Promise.resolve({ n: 256 })).then(() => through = true);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(through, false);
  late.resolve({ n: 1 });
  await pushing;
  await queue.settle();
  assertEquals(numbers(stream).length, 256);
});

Deno.test("ReplyQueue.settle() fails where a reply could not be sent", async () => {
  const stream = new MemoryStream();
  stream.write = () => Promise.reject(new Deno.errors.BrokenPipe());
  const queue = new ReplyQueue(new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }));
  await queue.push(Promise.resolve({ n: 1 }));
  await queue.push(Promise.resolve({ n: 2 }));
  await assertRejects(() => queue.settle(), Error);
});

Deno.test("ReplyQueue.settle() waits for requests at work, also where no reply can be sent", async () => {
  const stream = new MemoryStream();
  stream.write = () => Promise.reject(new Deno.errors.BrokenPipe());
  const queue = new ReplyQueue(new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE }));
  await queue.push(Promise.resolve({ n: 1 }));
  await assertRejects(() => queue.settle(), Error);
  const late = Promise.withResolvers<Record<string, unknown>>();
  await queue.push(late.promise);
  await queue.push(Promise.resolve({ n: 3 }));
  let settled = false;
  const settling = queue.settle().finally(() => settled = true);
  settling.catch(() => {});
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(settled, false);
  late.resolve({ n: 2 });
  await assertRejects(() => settling, Error);
});
