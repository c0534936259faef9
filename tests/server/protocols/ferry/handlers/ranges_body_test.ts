import { assertEquals } from "@std/assert";
import { type Clock, SYSTEM_CLOCK } from "../../../../../lib/core/clock.ts";
import { createRuntime, type Runtime } from "../../../../../lib/runtime/runtime.ts";
import { Wire } from "../../../../../lib/wire/frames.ts";
import { readRanges } from "../../../../../server/protocols/ferry/handlers/ranges_body.ts";
import { assertCode } from "../../../../support/assertions.ts";
import { md5, MIB } from "../../../../support/bytes.ts";
import { MemoryStream } from "../../../../support/memory_stream.ts";
import { frame } from "../../../../support/raw_peer.ts";
import { noise } from "../../../../support/stored_files.ts";

/** Receives a request with a body, and reads that as ranges. */
async function read(runtime: Runtime, size: number): Promise<void> {
  const ranges = noise(size, 1);
  const header = frame({ op: "get", filename: "f", md5: md5(ranges), total_size: size });
  const stream = new MemoryStream([header, ranges]);
  const { body } = (await new Wire(stream, { runtime, idleTimeout: 60_000 }).readFrame())!;
  using lent = await readRanges(body);
  assertEquals(md5(lent.bytes), md5(ranges));
}

Deno.test("readRanges() takes what fits into the memory that is left, and nothing longer", async () => {
  const runtime = createRuntime();
  for (const size of [1, MIB, 3 * MIB, 7 * MIB]) await read(runtime, size);
  await assertCode("busy", () => read(runtime, 9 * MIB));
  await assertCode("bad_header", () => read(runtime, 16 * MIB + 1));
  using _others = runtime.buffers.lend(2 * MIB);
  await read(runtime, 5 * MIB);
  await assertCode("busy", () => read(runtime, 7 * MIB));
});

Deno.test("readRanges() waits for memory that other ranges use, but not for long", async () => {
  const waits: (() => void)[] = [];
  const clock: Clock = {
    ...SYSTEM_CLOCK,
    setTimeout: (run, ms) => ms === 10_000 ? waits.push(run) : 0,
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const runtime = createRuntime({ clock });
  const first = await runtime.buffers.reserve(4 * MIB);
  const late = read(runtime, 3 * MIB);
  const refused = assertCode("busy", () => late);
  while (waits.length === 0) await turn();
  waits[0]!();
  await refused;
  const waiting = read(runtime, 3 * MIB);
  while (waits.length === 1) await turn();
  first[Symbol.dispose]();
  await waiting;
});
