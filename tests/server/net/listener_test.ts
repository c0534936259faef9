import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  AcceptLoop,
  type ConnectionHandler,
  type ConnectionSource,
  listenTcp,
} from "../../../server/net/listener.ts";
import type { Address } from "../../../lib/core/address.ts";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { ConnectionLimits } from "../../../server/net/connection_limits.ts";
import { Traffic } from "../../../server/observe/traffic.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { setImmediate } from "node:timers";
import { DENO, programArgs, TempDir } from "../../support/programs.ts";
import { frame, RawPeer } from "../../support/raw_peer.ts";
import { RecordedLog } from "../../support/recorded_log.ts";

/** Takes everybody. */
const limits = new ConnectionLimits({
  clock: SYSTEM_CLOCK,
  maxConnections: 0,
  maxConnectionsPerSource: 0,
});

/** Tells nobody of anything. */
const traffic = new Traffic([], SYSTEM_CLOCK);

const LISTENING = { kind: "tcp", hostname: "127.0.0.1", port: 1 } as const;

class FakeConn {
  readonly remoteAddr: Address;
  closed = false;

  constructor(hostname = "127.0.0.1") {
    this.remoteAddr = { hostname, port: 1 };
  }

  close() {
    this.closed = true;
  }
}

/** Gives what a test puts into it: connections, and errors that accepting them fails with. */
class FakeSource implements ConnectionSource<FakeConn> {
  readonly #waiting: (FakeConn | Error)[] = [];
  #arrival = Promise.withResolvers<void>();
  #closed = false;
  accepts = 0;

  give(...what: (FakeConn | Error)[]) {
    this.#waiting.push(...what);
    this.#arrival.resolve();
  }

  async accept() {
    this.accepts++;
    while (this.#waiting.length === 0 && !this.#closed) {
      this.#arrival = Promise.withResolvers();
      await this.#arrival.promise;
    }
    const next = this.#waiting.shift() ?? new Deno.errors.BadResource("closed");
    if (next instanceof Error) throw next;
    return next;
  }

  close() {
    this.#closed = true;
    this.#arrival.resolve();
  }
}

/** Serves until it is told to end, and remembers what it was told. */
class FakeHandler implements ConnectionHandler {
  readonly told: string[] = [];
  readonly #ended = Promise.withResolvers<void>();
  readonly #endsWhenDrained: boolean;

  constructor({ endsWhenDrained = true } = {}) {
    this.#endsWhenDrained = endsWhenDrained;
  }

  run() {
    return this.#ended.promise;
  }

  drain() {
    this.told.push("drain");
    if (this.#endsWhenDrained) this.end();
  }

  close({ code }: FerryError) {
    this.told.push(code);
    this.end();
  }

  end() {
    this.#ended.resolve();
  }
}

function tooManyFiles(): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
}

Deno.test("AcceptLoop accepts on after errors, and pauses longer after each", async () => {
  const source = new FakeSource();
  const conn = new FakeConn();
  const begun = Promise.withResolvers<FakeConn>();
  const served = new FakeHandler();
  source.give(...Array.from({ length: 5 }, tooManyFiles), conn);
  const started = performance.now();
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin(conn) {
      begun.resolve(conn);
      return served;
    },
  });
  assert(await begun.promise === conn);
  // 5, 10, 20, 40 and 80 ms: timers are never early, but their clock has whole milliseconds.
  assert(performance.now() - started >= 150);
  await loop.close(10_000);
  assertEquals(served.told, ["drain"]);
});

Deno.test("AcceptLoop.close() does not wait for a pause after an error", async () => {
  const source = new FakeSource();
  source.give(...Array.from({ length: 1000 }, tooManyFiles));
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin: () => new FakeHandler(),
  });
  // From now on it pauses for 320 ms.
  while (source.accepts < 7) await new Promise((resolve) => setTimeout(resolve));
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("late"), 100);
  assertEquals(await Promise.race([loop.close(10_000), late.promise]), undefined);
  clearTimeout(timer);
  assertEquals(source.accepts, 7);
});

Deno.test("AcceptLoop logs what nobody foresaw of a connection, ends it, and takes the next", async () => {
  await using log = await RecordedLog.start();
  const source = new FakeSource();
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 0,
    maxConnectionsPerSource: 0,
  });
  const cause = new TypeError("x is undefined");
  const throws = (): never => {
    throw cause;
  };
  const faults: Partial<ConnectionHandler>[] = [
    { run: () => Promise.reject(cause) },
    { run: throws },
  ];
  const conns = [...faults, {}].map(() => new FakeConn());
  const begun = Promise.withResolvers<void>();
  source.give(...conns);
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin(conn) {
      const at = conns.indexOf(conn);
      if (at === faults.length) begun.resolve();
      return Object.assign(new FakeHandler(), faults[at]);
    },
  });
  await begun.promise;
  assertEquals(conns.map(({ closed }) => closed), [true, true, false]);
  assertEquals(limits.open, 1);
  await loop.close(10_000);
  assertEquals(limits.open, 0);
  assertEquals(log.records.map(({ properties }) => properties.cause), [cause, cause]);
});

Deno.test("AcceptLoop.close() ends all connections where one cannot be told to end", async () => {
  await using log = await RecordedLog.start();
  const source = new FakeSource();
  const throws = (): never => {
    throw new TypeError("x is undefined");
  };
  const bad = new FakeHandler({ endsWhenDrained: false });
  const faults = { drain: throws, close: throws };
  const late = { drain: () => Promise.reject(new TypeError("later")) };
  const all = [
    Object.assign(bad, faults),
    Object.assign(new FakeHandler({ endsWhenDrained: false }), late),
    new FakeHandler({ endsWhenDrained: false }),
  ];
  const begun = Promise.withResolvers<void>();
  let count = 0;
  source.give(...all.map(() => new FakeConn()));
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin() {
      const served = all[count++]!;
      if (count === all.length) begun.resolve();
      return served;
    },
  });
  await begun.promise;
  const closing = loop.close(1);
  // The two that can be told end, and the last one is heard of then.
  await Promise.all(all.slice(1).map((served) => served.run()));
  assertEquals(all.map(({ told }) => told), [[], ["closed"], ["drain", "closed"]]);
  bad.end();
  await closing;
  assertEquals(log.lines.map((line) => line.split(":")[0]), ["error", "error", "error"]);
});

Deno.test("AcceptLoop closes a connection that cannot be served, and takes the next", async () => {
  const source = new FakeSource();
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 1,
    maxConnectionsPerSource: 0,
  });
  const [bad, good] = [new FakeConn(), new FakeConn()];
  const begun = Promise.withResolvers<void>();
  source.give(bad, good);
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin(conn) {
      if (conn === bad) throw new Deno.errors.NotConnected("gone");
      begun.resolve();
      return new FakeHandler();
    },
  });
  // The first one has left its place.
  await begun.promise;
  assertEquals([bad.closed, good.closed, limits.open], [true, false, 1]);
  await loop.close(10_000);
  assertEquals(limits.open, 0);
});

Deno.test("AcceptLoop.close() drains, and ends after the time for that what is still open", async () => {
  const source = new FakeSource();
  const quick = new FakeHandler();
  const slow = new FakeHandler({ endsWhenDrained: false });
  const gone = new FakeHandler();
  const all = [quick, slow, gone];
  source.give(new FakeConn(), new FakeConn(), new FakeConn());
  const begun = Promise.withResolvers<void>();
  const waiting = [...all];
  const loop = AcceptLoop.start(LISTENING, source, {
    limits,
    traffic,
    clock: SYSTEM_CLOCK,
    begin() {
      if (waiting.length === 1) begun.resolve();
      return waiting.shift()!;
    },
  });
  await begun.promise;
  gone.end();
  await gone.run();
  await Promise.all([loop.close(20), loop.close(20)]);
  assertEquals(all.map(({ told }) => told), [["drain"], ["drain", "closed"], []]);
});

Deno.test("AcceptLoop closes a connection that is not taken, and says why where it can", async () => {
  const limits = new ConnectionLimits({
    clock: SYSTEM_CLOCK,
    maxConnections: 1,
    maxConnectionsPerSource: 0,
  });
  for (const speaks of [true, false]) {
    const source = new FakeSource();
    const conns = [new FakeConn(), new FakeConn(), new FakeConn()];
    const told: FerryError[] = [];
    const begun: FakeConn[] = [];
    const parting = new FakeHandler();
    source.give(conns[0]!, conns[1]!);
    const loop = AcceptLoop.start(LISTENING, source, {
      limits,
      traffic,
      clock: SYSTEM_CLOCK,
      begin(conn) {
        begun.push(conn);
        return new FakeHandler();
      },
      ...(speaks
        ? {
          reject(_conn: FakeConn, rejection: FerryError) {
            told.push(rejection);
            return parting;
          },
        }
        : {}),
    });
    while (speaks ? told.length === 0 : !conns[1]!.closed) await new Promise(setImmediate);
    assertEquals(begun, [conns[0]!]);
    assertEquals(conns[1]!.closed, !speaks, "who speaks closes it");
    assertEquals(
      told.map(({ code, message }) => `${code}: ${message}`),
      [
        "busy: Cannot connect: too many connections are open",
      ].slice(0, speaks ? 1 : 0),
    );
    await loop.close(10_000);
    assertEquals(limits.open, 0);
  }
});

Deno.test("listenTcp() says which address it cannot listen on", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  try {
    listenTcp("tcp", { hostname: "127.0.0.1", port }, {
      limits,
      traffic,
      clock: SYSTEM_CLOCK,
      begin: () => new FakeHandler(),
    });
    throw new Error("it listens");
  } catch (error) {
    assert(error instanceof FerryError);
    assertEquals(error.message, `Cannot listen on 127.0.0.1:${port}: the address is in use`);
  }
});

Deno.test({
  name: "ferryd survives that it runs out of file descriptors",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using dir = new TempDir();
    const args = [...programArgs("ferryd"), "--root", dir.path, "--listen", "127.0.0.1:0"];
    const child = new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 60; exec "$@"', "sh", DENO, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const log = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    try {
      let said = "";
      while (!said.includes("ready")) said += (await lines.read()).value ?? "(it ended)";
      const port = Number(/tcp 127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
      const peers: RawPeer[] = [];
      for (let i = 0; i < 80; i++) peers.push(await RawPeer.connect(port));
      let complaint = "";
      while (!complaint.includes("\n")) complaint += (await log.read()).value ?? "(it ended)\n";
      assertStringIncludes(complaint, "Cannot accept a connection on tcp: too many open files");
      // Those who are there are served, as far as that takes no further descriptor.
      const [first] = peers as [RawPeer];
      const put = { op: "put", filename: "x", md5: null, total_size: 1 };
      const closing = { end: true, md5: "0cc175b9c0f1b6a831c399e269772661", size: 1 };
      assertEquals(await first.ask({ op: "ping" }), "ok");
      assertEquals(await first.ask(put, "a", frame(closing)), "busy");
      assertEquals(await first.ask({ op: "ping" }), "ok");
      // The last ones wait in the system's queue until there is room.
      const waiting = peers.at(-1)!;
      const answer = waiting.ask({ op: "ping" });
      for (const peer of peers.slice(1, 60)) peer[Symbol.dispose]();
      assertEquals(await answer, "ok");
      assertEquals(await waiting.ask(put, "a", frame(closing)), "ok");
      assertEquals(await first.ask({ op: "stat", filename: "x" }), "ok");
      for (const peer of peers) peer[Symbol.dispose]();
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await lines.cancel();
      await log.cancel();
    }
  },
});
