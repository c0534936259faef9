import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { AcceptLoop, acceptTcp, type ConnectionSource, type Served } from "../server/accept.ts";
import { FerryError } from "../lib/errors.ts";
import { DENO, programArgs, TempDir } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";

const LISTENING = { kind: "tcp", hostname: "127.0.0.1", port: 1 } as const;

class FakeConn {
  closed = false;

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
class FakeServed implements Served {
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
  const served = new FakeServed();
  source.give(...Array.from({ length: 5 }, tooManyFiles), conn);
  const started = performance.now();
  const loop = new AcceptLoop(LISTENING, source, (conn) => {
    begun.resolve(conn);
    return served;
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
  const loop = new AcceptLoop(LISTENING, source, () => new FakeServed());
  // From now on it pauses for 320 ms.
  while (source.accepts < 7) await new Promise((resolve) => setTimeout(resolve));
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("late"), 100);
  assertEquals(await Promise.race([loop.close(10_000), late.promise]), undefined);
  clearTimeout(timer);
  assertEquals(source.accepts, 7);
});

Deno.test("AcceptLoop closes a connection that cannot be served, and takes the next", async () => {
  const source = new FakeSource();
  const [bad, refused, good] = [new FakeConn(), new FakeConn(), new FakeConn()];
  const begun = Promise.withResolvers<void>();
  source.give(bad, refused, good);
  const loop = new AcceptLoop(LISTENING, source, (conn) => {
    if (conn === bad) throw new Deno.errors.NotConnected("gone");
    if (conn === refused) return null;
    begun.resolve();
    return new FakeServed();
  });
  await begun.promise;
  assertEquals([bad.closed, refused.closed, good.closed], [true, false, false]);
  await loop.close(10_000);
});

Deno.test("AcceptLoop.close() drains, and ends after the time for that what is still open", async () => {
  const source = new FakeSource();
  const quick = new FakeServed();
  const slow = new FakeServed({ endsWhenDrained: false });
  const gone = new FakeServed();
  const all = [quick, slow, gone];
  source.give(new FakeConn(), new FakeConn(), new FakeConn());
  const begun = Promise.withResolvers<void>();
  const waiting = [...all];
  const loop = new AcceptLoop(LISTENING, source, () => {
    if (waiting.length === 1) begun.resolve();
    return waiting.shift()!;
  });
  await begun.promise;
  gone.end();
  await gone.run();
  await Promise.all([loop.close(20), loop.close(20)]);
  assertEquals(all.map(({ told }) => told), [["drain"], ["drain", "closed"], []]);
});

Deno.test("acceptTcp() says which address it cannot listen on", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  try {
    acceptTcp("tcp", { hostname: "127.0.0.1", port }, () => null);
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
      assertStringIncludes(complaint, 'Cannot accept a connection on "tcp": "too many open files"');
      // The last ones wait in the system's queue until there is room.
      const waiting = peers.at(-1)!;
      const answer = waiting.ask({ op: "ping" });
      for (const peer of peers.slice(0, 60)) peer[Symbol.dispose]();
      assertEquals(await answer, "ok");
      for (const peer of peers) peer[Symbol.dispose]();
    } finally {
      child.kill("SIGKILL");
      await child.status;
      await lines.cancel();
      await log.cancel();
    }
  },
});
