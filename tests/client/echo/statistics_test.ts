import { assert, assertEquals } from "@std/assert";
import { EchoStatistics, REMEMBERED, type Reply } from "../../../client/echo/statistics.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

/** Sends so many probes, one every millisecond. */
function sent(count: number): EchoStatistics {
  const statistics = new EchoStatistics();
  for (let i = 1; i <= count; i++) assertEquals(statistics.send(i), i);
  return statistics;
}

const kindOf = ({ kind, outOfOrder }: Reply) => outOfOrder ? `${kind}, out of order` : kind;

Deno.test("EchoStatistics tells replies apart", () => {
  const statistics = sent(6);
  const reply = (sequence: number, right = true) => kindOf(statistics.reply(sequence, 10, right));
  assertEquals(reply(1), "first");
  assertEquals(reply(1), "duplicate");
  assertEquals(reply(3), "first");
  assertEquals(reply(2), "first, out of order");
  assertEquals(reply(2), "duplicate");
  assertEquals(statistics.expire(4), [4]);
  assertEquals(reply(4), "late");
  assertEquals(reply(4), "duplicate");
  assertEquals(reply(6, false), "first");
  for (const sequence of [0, 7, -1, NaN, 1e10]) assertEquals(reply(sequence), "unknown");
  assertEquals(statistics.waiting, 1);
  const { rtt, ...counts } = statistics.summary();
  assertEquals(counts, {
    sent: 6,
    received: 3,
    lossPercent: 2 / 6 * 100,
    duplicates: 3,
    outOfOrder: 1,
    late: 1,
    damaged: 6,
  });
  assertEquals(rtt && [rtt.min, rtt.max], [7, 9]);
});

Deno.test("EchoStatistics.expire() gives up what was sent by then, once", () => {
  const statistics = sent(5);
  statistics.reply(2, 6, true);
  assertEquals(statistics.oldestSentAt, 1);
  assertEquals(statistics.expire(0), []);
  assertEquals(statistics.expire(3), [1, 3]);
  assertEquals(statistics.oldestSentAt, 4);
  assertEquals(statistics.expire(3), []);
  assertEquals(statistics.lose(5), true);
  assertEquals(statistics.lose(5), false);
  assertEquals(statistics.expire(Infinity), [4]);
  assertEquals([statistics.waiting, statistics.oldestSentAt], [0, undefined]);
  assertEquals(statistics.summary().lossPercent, 80);
});

Deno.test("EchoStatistics.summary() has the mean and the deviation of the times", () => {
  const statistics = new EchoStatistics();
  assertEquals(statistics.summary().rtt, null);
  assertEquals(statistics.summary().lossPercent, 0);
  for (const rtt of [2, 4, 4, 4, 5, 5, 7, 9]) {
    statistics.reply(statistics.send(1000), 1000 + rtt, true);
  }
  // A duplicate, a late one and a wrong one have no part in it.
  statistics.reply(8, 5000, true);
  statistics.lose(statistics.send(1000));
  statistics.reply(9, 9000, true);
  statistics.reply(statistics.send(1000), 9000, false);
  assertEquals(statistics.summary().rtt, { min: 2, avg: 5, max: 9, stddev: 2 });
});

Deno.test("EchoStatistics remembers the latest probes only, whatever happens to them", () => {
  const statistics = new EchoStatistics();
  for (let i = 1; i <= 3 * REMEMBERED; i++) {
    assert(statistics.hasRoom);
    statistics.send(i);
    if (i % 3 !== 0) statistics.reply(i, i + 1, true);
    if (statistics.waiting > 100) statistics.expire(i - 100);
  }
  assertEquals(statistics.reply(1, 1e6, true).kind, "unknown");
  assertEquals(statistics.reply(2 * REMEMBERED, 1e6, true).kind, "unknown");
  assertEquals(statistics.lose(3), false);
  assertEquals(statistics.reply(3 * REMEMBERED - 1, 1e6, true).kind, "duplicate");
  assertEquals(statistics.summary().damaged, 0);
});

Deno.test("EchoStatistics has no room when the oldest one that is waited for would be forgotten", () => {
  const statistics = new EchoStatistics();
  while (statistics.hasRoom) statistics.send(1);
  assertEquals(statistics.waiting, REMEMBERED);
  assertEquals(statistics.reply(1, 2, true).kind, "first");
  assert(statistics.hasRoom);
  assertEquals(statistics.expire(1).length, REMEMBERED - 1);
});

Deno.test("EchoStatistics counts as a list of everything that happened would", () => {
  const step = fc.oneof(
    fc.constant({ what: "send" } as const),
    fc.record({ what: fc.constant("reply" as const), back: fc.nat(20), right: fc.boolean() }),
    fc.record({ what: fc.constant("lose" as const), back: fc.nat(20) }),
    fc.record({ what: fc.constant("expire" as const), back: fc.nat(20) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const statistics = new EchoStatistics();
    const state = new Map<number, "waiting" | "lost" | "answered">();
    const counts = { received: 0, duplicates: 0, outOfOrder: 0, late: 0, damaged: 0, wrong: 0 };
    let highest = 0;
    for (const step of steps) {
      const sequence = "back" in step ? state.size - step.back : 0;
      const before = state.get(sequence);
      switch (step.what) {
        case "send":
          state.set(statistics.send(state.size + 1), "waiting");
          break;
        case "reply":
          statistics.reply(sequence, 1000, step.right);
          if (!step.right || !before) counts.damaged++;
          if (!before) break;
          if (before === "answered") counts.duplicates++;
          else {
            if (sequence < highest) counts.outOfOrder++;
            highest = Math.max(highest, sequence);
            if (before === "lost") counts.late++;
            else if (step.right) counts.received++;
            else counts.wrong++;
          }
          state.set(sequence, "answered");
          break;
        case "lose":
          assertEquals(statistics.lose(sequence), before === "waiting");
          if (before === "waiting") state.set(sequence, "lost");
          break;
        case "expire": {
          const lost = [...state].filter(([number, was]) =>
            was === "waiting" && number <= sequence
          );
          assertEquals(statistics.expire(sequence), lost.map(([number]) => number));
          for (const [number] of lost) state.set(number, "lost");
          break;
        }
      }
      const waiting = [...state.values()].filter((was) => was === "waiting");
      assertEquals(statistics.waiting, waiting.length);
      const { received, duplicates, outOfOrder, late, damaged, lossPercent } = statistics.summary();
      const { wrong, ...expected } = counts;
      assertEquals({ received, duplicates, outOfOrder, late, damaged }, expected);
      const missing = state.size - received - wrong;
      assertEquals(lossPercent, state.size === 0 ? 0 : missing / state.size * 100);
    }
  }));
});
