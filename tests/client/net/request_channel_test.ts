import { assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { RequestChannel } from "../../../client/net/request_channel.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { throwReported } from "../../../lib/wire/error_reply.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { OPERATIONS } from "../../../lib/wire/operations/operations.ts";
import { done } from "../../../lib/wire/schema.ts";
import { md5 } from "../../support/bytes.ts";
import { IDLE, MemoryStream, wireOver } from "../../support/memory_stream.ts";
import { RUNTIME } from "../../support/runtime.ts";
import { message } from "../../support/vectors.ts";

const ok = (filename: string, body = "") =>
  message(
    JSON.stringify({ status: "ok", filename, md5: md5(body), total_size: body.length }),
    body,
  );

const failed = (code: string) =>
  message(JSON.stringify({ status: "error", code, message: "so it is" }));

const remove = (filename: string) => ({ op: "remove", filename });

/** A channel to a server that sends these replies, and its wire. */
function channelOver(...replies: Uint8Array[]): { channel: RequestChannel; wire: Wire } {
  const wire = wireOver(...replies);
  return { channel: new RequestChannel(wire), wire };
}

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  return (await assertRejects(run, FerryError)).code;
}

Deno.test("RequestChannel.ask() gives each request its reply, and goes on after an error", async () => {
  const { channel, wire } = channelOver(ok("a"), failed("not_found"), ok("c"));
  await channel.ask(done, remove("a"));
  assertEquals(await codeOf(() => channel.ask(done, remove("b"))), "not_found");
  await channel.ask(done, remove("c"));
  assertEquals(wire.writable, true);
  // The server has nothing more to say.
  assertEquals(await codeOf(() => channel.ask(done, remove("d"))), "closed");
  assertEquals(wire.writable, false);
});

Deno.test("RequestChannel.ask() refuses the reply to another request", async () => {
  const { channel } = channelOver(ok("b"));
  assertEquals(await codeOf(() => channel.ask(done, remove("a"))), "bad_header");
});

Deno.test("RequestChannel.ask() skips a short body that nobody asked for, and closes before a long one", async () => {
  const { channel, wire } = channelOver(ok("a", "junk"), ok("b"));
  await channel.ask(done, remove("a"));
  await channel.ask(done, remove("b"));
  assertEquals(wire.writable, true);
  const long = channelOver(message('{"status":"ok","filename":"a","total_size":2000000}'));
  await long.channel.ask(done, remove("a"));
  assertEquals(long.wire.writable, false);
});

Deno.test("RequestChannel.fetch() skips what was not read of a body, whatever becomes of it", async () => {
  const { channel, wire } = channelOver(ok("a", "abc"), ok("b", "abc"), ok("c"));
  const request = { op: "get", filename: "a" };
  assertEquals(await channel.fetch(request, ({ header }) => Promise.resolve(header.filename)), "a");
  const broken = () => Promise.reject(new Error("the disk is full"));
  await assertRejects(() => channel.fetch(request, broken), Error, "the disk is full");
  await channel.ask(done, remove("c"));
  assertEquals(wire.writable, true);
});

Deno.test("RequestChannel.fetch() sends a request while the reply to another one is read", async () => {
  const { channel, wire } = channelOver(ok("a", "abc"), failed("busy"), ok("c", "xyz"));
  const read = Promise.withResolvers<void>();
  const names: unknown[] = [];
  const get = (filename: string, until = Promise.resolve()) =>
    channel.fetch({ op: "get", filename }, async ({ header }) => {
      names.push(header.filename);
      await until;
      throwReported(header, "server");
    });
  const before = wire.bytesTaken;
  const fetched = [get("a", read.promise), get("b"), get("c")];
  while (names.length === 0) await delay(0);
  assertEquals(names, ["a"]);
  const one = wire.bytesTaken - before;
  read.resolve();
  const ends = await Promise.allSettled(fetched);
  assertEquals(ends.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assertEquals(names, ["a", undefined, "c"]);
  assertEquals(wire.bytesTaken - before, one, "all requests were sent before");
  assertEquals(wire.writable, true);
});

Deno.test("RequestChannel.send() reports why a server refused a body and hung up", async () => {
  const stream = new MemoryStream([failed("quota")], { takes: 0 });
  const wire = new Wire(stream, { runtime: RUNTIME, idleTimeout: IDLE });
  const { reply } = OPERATIONS.put;
  const channel = new RequestChannel(wire);
  const sending = channel.send(reply, { op: "put", filename: "f" }, async (wire, refusal) => {
    await wire.writeFrame(
      { op: "put", filename: "f", md5: null, total_size: 1 },
      new Uint8Array(1),
    );
    while (!refusal.error) await delay(0);
    wire.close(new FerryError("closed", "the connection was reset"));
    await wire.flush();
  });
  assertEquals(await codeOf(() => sending), "quota");
  assertEquals(wire.writable, false);
});

Deno.test("RequestChannel.pipeline() passes each reply with its request, in order", async () => {
  const names = Array.from({ length: 450 }, (_, i) => `f${i}`);
  const { channel, wire } = channelOver(...names.map((name) => ok(name, "unread")));
  const left = names.values();
  const answered: unknown[] = [];
  await channel.pipeline(
    () => {
      const { value } = left.next();
      return value === undefined ? undefined : { header: remove(value) };
    },
    ({ header }, request) => {
      assertEquals(header.filename, request.header.filename);
      answered.push(header.filename);
    },
  );
  assertEquals(answered, names);
  assertEquals(wire.writable, true);
});

Deno.test("RequestChannel.pipeline() ends with the first failure: of a reply's use, or of the connection", async () => {
  const { channel } = channelOver(ok("a"), ok("b"));
  let asked = 0;
  const next = () => asked++ < 3 ? { header: remove("x") } : undefined;
  let taken = 0;
  const ending = channel.pipeline(next, () => {
    if (++taken === 2) throw new Error("two are enough");
  });
  await assertRejects(() => ending, Error, "two are enough");

  const short = channelOver(ok("a"));
  asked = 0;
  assertEquals(await codeOf(() => short.channel.pipeline(next, () => {})), "closed");
  assertEquals(short.wire.writable, false);
});
