import { assert, assertEquals } from "@std/assert";
import {
  ReflectionLimit,
  type ReflectionLimitOptions,
  type Refusal,
} from "../../../../server/protocols/echo/reflection_limit.ts";
import { utf8 } from "../../../support/bytes.ts";

/** A guard on a clock that a test sets. */
class Guarded {
  now = 1000;
  readonly #guard: ReflectionLimit;

  constructor(options: Partial<ReflectionLimitOptions> = {}) {
    this.#guard = new ReflectionLimit({
      port: 9,
      anyPort: false,
      rate: 0,
      now: () => this.now,
      seed: 19,
      ...options,
    });
  }

  /** What becomes of a datagram that is unchanged by being echoed. */
  refusal(hostname: string, port: number, content: string | Uint8Array): Refusal | undefined {
    const datagram = typeof content === "string" ? utf8.encode(content) : content;
    return this.#guard.refusal({ hostname, port }, datagram, true);
  }

  /** The same for one that has letters in lower case. */
  refusalOfRequest(hostname: string, port: number, size = 64): Refusal | undefined {
    return this.#guard.refusal({ hostname, port }, new Uint8Array(size), false);
  }
}

/** How many of so many datagrams are answered. */
function answered(count: number, send: (i: number) => Refusal | undefined): number {
  let answers = 0;
  for (let i = 0; i < count; i++) if (send(i) === undefined) answers++;
  return answers;
}

Deno.test("ReflectionLimit answers no port of a service, and no echo on its own port", () => {
  const guard = new Guarded({ port: 8080 });
  for (const port of [0, 1, 7, 19, 53, 1023]) {
    assertEquals(guard.refusal("127.0.0.1", port, "x"), "well-known port", `${port}`);
  }
  for (const port of [1024, 8079, 8081, 65535]) {
    assertEquals(guard.refusal("127.0.0.1", port, "x"), undefined, `${port}`);
  }
  assertEquals(guard.refusal("192.0.2.1", 8080, "x"), "port of an echo");
});

Deno.test("ReflectionLimit answers every port where that is wanted", () => {
  const guard = new Guarded({ port: 8080, anyPort: true });
  for (const port of [1, 7, 8080]) assertEquals(guard.refusal("192.0.2.1", port, "x"), undefined);
});

Deno.test("ReflectionLimit holds the rate of each source, in packets", () => {
  const guard = new Guarded({ rate: 100 });
  const small = (host: string) => answered(1000, (i) => guard.refusalOfRequest(host, 2000 + i));
  assertEquals(small("192.0.2.1"), 100);
  assertEquals(guard.refusalOfRequest("192.0.2.1", 3000), "rate limit");
  assertEquals(small("192.0.2.2"), 100);
  guard.now += 500;
  assertEquals(small("192.0.2.1"), 50);
  guard.now += 3_600_000;
  assertEquals(small("192.0.2.1"), 100);
  // 65515 bytes with the header of UDP are 45 packets.
  assertEquals(answered(9, () => guard.refusalOfRequest("192.0.2.3", 2000, 65507)), 3);
  guard.now += 340;
  assertEquals(guard.refusalOfRequest("192.0.2.3", 2000, 1), "rate limit");
  guard.now += 20;
  assertEquals(guard.refusalOfRequest("192.0.2.3", 2000, 1), undefined);
});

Deno.test("ReflectionLimit lets a large datagram pass at any rate", () => {
  const guard = new Guarded({ rate: 1 });
  assertEquals(guard.refusalOfRequest("192.0.2.1", 2000, 65507), undefined);
  assertEquals(guard.refusalOfRequest("192.0.2.1", 2000, 1), "rate limit");
  guard.now += 44_000;
  assertEquals(guard.refusalOfRequest("192.0.2.1", 2000, 1), "rate limit");
  guard.now += 1_000;
  assertEquals(guard.refusalOfRequest("192.0.2.1", 2000, 1), undefined);
});

Deno.test("ReflectionLimit takes the 2^64 addresses of an IPv6 network for one source", () => {
  const guard = new Guarded({ rate: 10 });
  const host = (i: number) => `2001:db8:1:2:${i.toString(16)}::1`;
  assertEquals(answered(100, (i) => guard.refusalOfRequest(host(i + 1), 2000)), 10);
  assertEquals(guard.refusalOfRequest("2001:db8:1:3::1", 2000), undefined);
  assertEquals(guard.refusalOfRequest("2001:db8::1", 2000), undefined);
  // An IPv4 address in IPv6 clothes is that address.
  assertEquals(answered(100, () => guard.refusalOfRequest("::ffff:192.0.2.7", 2000)), 10);
  assertEquals(guard.refusalOfRequest("192.0.2.7", 2000), "rate limit");
});

Deno.test("ReflectionLimit has no rate for this machine, and none where none is wanted", () => {
  for (const host of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) {
    const guard = new Guarded({ rate: 1 });
    assertEquals(answered(500, () => guard.refusalOfRequest(host, 2000)), 500);
  }
  const guard = new Guarded({ rate: 0 });
  assertEquals(answered(5000, () => guard.refusalOfRequest("192.0.2.1", 2000)), 5000);
});

Deno.test("ReflectionLimit holds the rate however many sources there claim to be", () => {
  const guard = new Guarded({ rate: 10 });
  const flood = (from: number) =>
    answered(300_000, (i) => {
      const host = [10, (i + from) >> 16 & 255, (i + from) >> 8 & 255, (i + from) & 255].join(".");
      return guard.refusalOfRequest(host, 2000);
    });
  // 4096 slots of 10 packets each.
  const first = flood(0);
  assert(first > 40_000 && first <= 40_960, `${first}`);
  assertEquals(flood(300_000) + first <= 40_960, true);
});

Deno.test("ReflectionLimit ends a datagram that goes round between two echoes", () => {
  for (const length of [0, 1, 64, 65507]) {
    const guard = new Guarded();
    const datagram = new Uint8Array(length).fill(0x41);
    let rounds = 0;
    while (guard.refusal("192.0.2.1", 2000, datagram) === undefined && rounds < 20_000) {
      rounds++;
      // A second between two rounds, as between the antipodes of a bad network.
      guard.now += 1000;
    }
    assertEquals(rounds, 9_999, `${length} bytes`);
  }
});

Deno.test("ReflectionLimit ends every one of several datagrams that go round", () => {
  const guard = new Guarded();
  let circling = ["ONE", "TWO", "TWO", "THREE", "FOUR", ""];
  for (let rounds = 0; circling.length > 0; rounds++) {
    assert(rounds < 100_000, `${circling.length} go round`);
    circling = circling.filter((text) => guard.refusal("127.0.0.1", 2000, text) === undefined);
  }
});

Deno.test("ReflectionLimit never takes a client for an echo that asks for what has to change", () => {
  const guard = new Guarded();
  assertEquals(answered(100_000, () => guard.refusalOfRequest("192.0.2.1", 2000)), 100_000);
});

Deno.test("ReflectionLimit never takes a client for an echo that sends something new each time", () => {
  const guard = new Guarded();
  const numbered = (i: number) => guard.refusal("192.0.2.1", 2000, `PROBE ${i}`);
  assertEquals(answered(100_000, numbered), 100_000);
});

Deno.test("ReflectionLimit never takes a client for an echo that asks now and then", () => {
  const guard = new Guarded();
  const rare = () => {
    guard.now += 10_001;
    return guard.refusal("192.0.2.1", 2000, "ARE YOU THERE?");
  };
  assertEquals(answered(50_000, rare), 50_000);
});
