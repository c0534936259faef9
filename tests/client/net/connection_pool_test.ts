import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Client, connect, FerryError } from "../../../mod.ts";
import { Clock } from "../../support/clock.ts";
import { entryName, InProcess, withEntries, withFiles } from "../../support/in_process.ts";
import { utf8 } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** More entries than are read before they are taken. */
const MANY = 10_000;

/** A server with a long list. */
function withMany(): Promise<InProcess> {
  return InProcess.start(withEntries(MANY));
}

/** A promise that a test resolves. */
function gate(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}

Deno.test("a request inside of a loop over a list works, on the same connection if that is short", async () => {
  await using p = await InProcess.start(withEntries(500));
  const counted = await p.counting();
  await using client = counted.client;
  let seen = 0;
  for await (const { filename } of client.list("many")) {
    assertEquals(filename, entryName(seen++));
    await client.ping();
  }
  assertEquals([seen, counted.connections], [500, 1]);
});

Deno.test("a connection that was unused for about as long as the server bears is made anew", async () => {
  await using p = await InProcess.start();
  Deno.writeTextFileSync(p.served("a.txt"), "content");
  const counted = await p.counting();
  await using client = counted.client;
  using clock = new Clock();
  clock.ahead += 50_000;
  await client.ping();
  assertEquals(counted.connections, 1);
  clock.ahead += 55_000;
  // Nothing of it could be repeated if the connection broke.
  await client.move("a.txt", "b.txt");
  assertEquals(counted.connections, 2);
  clock.ahead -= 10_000;
  assertEquals((await client.stat("b.txt")).size, 7);
});

Deno.test("a request inside of a loop over a long list has a connection of its own", async () => {
  await using p = await withMany();
  const counted = await p.counting();
  await using client = counted.client;
  let seen = 0;
  for await (const { filename } of client.list("many")) {
    assertEquals(filename, entryName(seen));
    if (seen++ % 1000 === 0) await client.stat("many");
  }
  assertEquals([seen, counted.connections], [MANY, 2]);
  // Nothing needs the second one any more; the first is good for the next request.
  await client.ping();
  assertEquals(counted.connections, 2);
});

Deno.test("lists can be nested, and run beside each other", async () => {
  await using p = await withMany();
  const walk = async (client: Client, depth: number): Promise<number> => {
    let seen = 0;
    for await (const _ of client.list("many")) {
      if (seen++ === 5000 && depth > 1) assertEquals(await walk(client, depth - 1), MANY);
    }
    return seen;
  };
  assertEquals(await walk(p.client, 3), MANY);
  assertEquals(await Promise.all([walk(p.client, 1), walk(p.client, 1)]), [MANY, MANY]);
  // One entry of each in turn.
  const lists = [p.client.list("many"), p.client.list("many")] as const;
  for (let i = 0; i < MANY; i++) {
    for (const list of lists) {
      const { value } = await list.next();
      assertEquals(value?.filename, entryName(i));
    }
    if (i > 20) break;
  }
  for (const list of lists) await list.return();
  await p.client.ping();
});

Deno.test("a list that is left, early or late, leaves the client usable", async () => {
  await using p = await withMany();
  for (const left of [1, 100, 4500, MANY]) {
    let seen = 0;
    for await (const _ of p.client.list("many")) if (++seen === left) break;
    await p.client.ping();
  }
  const failure = new Error("of the loop");
  const loop = async () => {
    for await (const _ of p.client.list("many")) throw failure;
  };
  assertEquals(await assertRejects(loop, Error), failure);
  await p.client.ping();
});

Deno.test("a list that is given up fails at its next entry", async () => {
  await using p = await withMany();
  const controller = new AbortController();
  const reason = new Error("enough");
  let seen = 0;
  const loop = async () => {
    for await (const _ of p.client.list("many", { signal: controller.signal })) {
      if (++seen === 10) controller.abort(reason);
    }
  };
  assertEquals(await assertRejects(loop, Error), reason);
  assertEquals(seen, 10);
  await p.client.ping();
});

Deno.test("a list whose connection is lost gives what has come, and fails", async () => {
  await using p = await InProcess.start(withEntries(1_000_000));
  let seen = 0;
  const loop = async () => {
    for await (const _ of p.client.list("many")) {
      if (++seen === 1) await p.server.close({ drainTimeout: 0 });
    }
  };
  const error = await assertCode("closed", loop);
  assertStringIncludes(error.message, 'Cannot list "many": ');
  assert(seen < 1_000_000, `${seen} entries`);
});

Deno.test("a list of what is not there fails, inside of another one too", async () => {
  await using p = await withMany();
  for await (const _ of p.client.list("many")) {
    await assertCode("not_found", () => Array.fromAsync(p.client.list("nope")));
    break;
  }
});

Deno.test("a source may make requests of the client that takes it", async () => {
  await using p = await InProcess.start();
  const counted = await p.counting();
  await using client = counted.client;
  await client.put(utf8.encode("hello"), { as: "a" });
  async function* source() {
    yield* client.get("a").stream();
    yield utf8.encode(` of ${(await client.stat("a")).size} bytes`);
  }
  await client.put(source(), { as: "b" });
  assertEquals(await client.get("b").text(), "hello of 5 bytes");
  await client.put(client.get("b").stream(), { as: "c" });
  assertEquals(await client.get("c").text(), "hello of 5 bytes");
  assert(counted.connections <= 3, `${counted.connections} connections`);
});

Deno.test("a sink may make requests of the client that fills it", async () => {
  await using p = await InProcess.start();
  await p.client.put(new Uint8Array(3_000_000), { as: "a" });
  let size = 0;
  const out = {
    async write(piece: Uint8Array) {
      assertEquals((await p.client.stat("a")).size, 3_000_000);
      size += piece.length;
    },
  };
  await p.client.get("a", { out });
  assertEquals(size, 3_000_000);
});

Deno.test("streams that are held open let other requests through, any number of them", async () => {
  await using p = await InProcess.start();
  const large = new Uint8Array(20_000_000);
  await p.client.put(large, { as: "large" });
  // Beyond those that are opened at once, one more waits until nothing else will let it.
  const readers = Array.from({ length: 9 }, () => p.client.get("large").stream().getReader());
  for (const reader of readers) assertEquals((await reader.read()).done, false);
  assertEquals((await p.client.stat("large")).size, large.length);
  await Promise.all(readers.map((reader) => reader.cancel()));
  await p.client.ping();
});

Deno.test("each time that open streams wait in vain for another one, twice as many may run", async () => {
  await using p = await InProcess.start();
  await p.client.put(new Uint8Array(3_000_000), { as: "large" });
  const { setTimeout } = globalThis;
  let waits = 0;
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    if (ms !== 1000) return setTimeout(run, ms);
    return setTimeout(() => {
      waits++;
      run();
    }, 1);
  }) as typeof setTimeout;
  try {
    const streams = Array.from({ length: 32 }, () => p.client.get("large").stream());
    for (const stream of streams.toReversed()) {
      assertEquals((await new Response(stream).arrayBuffer()).byteLength, 3_000_000);
    }
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assertEquals(waits, 2);
});

Deno.test("a connection serves many streams that flow, however many there are", async () => {
  await using p = await InProcess.start();
  const counted = await p.counting();
  await using client = counted.client;
  async function* source() {
    yield utf8.encode("x");
    await client.ping();
    yield utf8.encode("y");
  }
  const names = Array.from({ length: 100 }, (_, i) => `f${i}`);
  await Promise.all(names.map((name) => client.put(source(), { as: name })));
  assertEquals((await Array.fromAsync(client.list())).length, 100);
  assert(counted.connections <= 9, `${counted.connections} connections`);
});

Deno.test("requests wait for those that end by themselves, and one that waits can be given up", async () => {
  const blocked = gate();
  const reading = gate();
  await using p = await InProcess.start(withFiles((file) => ({
    async read(into) {
      reading.resolve();
      await blocked.promise;
      return await file.read(into);
    },
  })));
  const counted = await p.counting();
  await using client = counted.client;
  await client.put(new Uint8Array(2_000_000), { as: "f" });
  const getting = client.get("f", { out: p.dir.join("f") });
  await reading.promise;
  const controller = new AbortController();
  const waiting = client.ping({ signal: controller.signal });
  const behind = client.ping();
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  blocked.resolve();
  await getting;
  await behind;
  assertEquals(counted.connections, 1);
});

Deno.test("Client.close() ends what runs and what waits, with one reason", async (t) => {
  const large = new Uint8Array(20_000_000);
  const reason = "the client was closed";
  const table: Record<
    string,
    (client: Client, dir: string) => [started: Promise<void>, Promise<unknown>]
  > = {
    "a download"(client, dir) {
      const started = gate();
      const get = client.get("large", { out: `${dir}/f`, onProgress: () => started.resolve() });
      return [started.promise, get];
    },
    "a stream"(client) {
      const reader = client.get("large").stream().getReader();
      const rest = async () => {
        while (!(await reader.read()).done);
      };
      return [reader.read().then(() => {}), rest()];
    },
    "a download into a stream that takes nothing"(client) {
      const started = gate();
      const out = new WritableStream({
        write() {
          started.resolve();
          return new Promise<void>(() => {});
        },
      });
      return [started.promise, client.get("large", { out })];
    },
    "an upload whose source waits"(client) {
      const started = gate();
      async function* source() {
        yield utf8.encode("x");
        started.resolve();
        await new Promise<void>(() => {});
      }
      return [started.promise, client.put(source(), { as: "g" })];
    },
    "a list"(client) {
      const list = client.list("many");
      const rest = async () => {
        await client.close();
        for await (const _ of list);
      };
      return [Promise.resolve(), list.next().then(rest)];
    },
    "a request that waits"(client, dir) {
      const get = client.get("large", { out: `${dir}/f` });
      const ping = client.ping();
      return [Promise.resolve(), Promise.all([ping, get])];
    },
  };
  for (const [what, start] of Object.entries(table)) {
    await t.step(what, async () => {
      await using p = await withMany();
      await p.client.put(large, { as: "large" });
      await using client = await connect(p.address);
      const [started, running] = start(client, p.dir.path);
      const outcome = assertRejects(() => running, FerryError);
      await started;
      await client.close();
      const error = await outcome;
      assertEquals(error.code, "closed");
      assertStringIncludes(error.message, reason);
      assertStringIncludes(error.message, "Cannot ");
    });
  }
});

Deno.test("Client.close() can be repeated, and everything fails behind it", async (t) => {
  await using p = await InProcess.start();
  const { client } = p;
  await Promise.all([client.close(), client.close()]);
  await client[Symbol.asyncDispose]();
  const dir = p.dir.write("tree", "x");
  const table: Record<string, () => Promise<unknown>> = {
    put: () => client.put(utf8.encode("x"), { as: "a" }),
    get: () => client.get("a", { out: p.dir.join("a") }),
    "get().text": () => client.get("a").text(),
    "get().stream": () => Array.fromAsync(client.get("a").stream()),
    getTree: () => client.getTree("a"),
    putTree: () => client.putTree(p.dir.path),
    list: () => Array.fromAsync(client.list()),
    listParts: () => Array.fromAsync(client.listParts()),
    stat: () => client.stat("a"),
    remove: () => client.remove("a"),
    move: () => client.move("a", "b"),
    mkdir: () => client.mkdir("a"),
    exec: () => client.exec(["true"]),
    ping: () => client.ping(),
  };
  assertEquals(dir, p.dir.join("tree"));
  for (const [what, request] of Object.entries(table)) {
    await t.step(what, async () => {
      const { message } = await assertCode("closed", request);
      assert(/^Cannot .*: the client was closed$/.test(message), message);
    });
  }
});

Deno.test("Client.close() ends a wait for the next try, and the making of a connection", async () => {
  await using p = await InProcess.start();
  const retrying = gate();
  const client = await connect(p.address, { retries: 5, onRetry: () => retrying.resolve() });
  await p.server.close();
  const ping = assertRejects(() => client.ping(), FerryError, "the client was closed");
  await retrying.promise;
  await client.close();
  await ping;
});

Deno.test("Client.close() can be called by what a request waits for", async () => {
  await using p = await InProcess.start();
  const { client } = p;
  async function* source() {
    yield utf8.encode("x");
    await client.close();
  }
  await assertCode("closed", () => client.put(source(), { as: "f" }));
});

Deno.test("a client that is closed keeps the part of a download", async () => {
  await using p = await InProcess.start();
  await p.client.put(new Uint8Array(30_000_000), { as: "f" });
  const client = await p.connect();
  const out = p.dir.join("f");
  const half = gate();
  const onProgress = ({ bytes }: { bytes: number }) => bytes > 15_000_000 && half.resolve();
  const getting = assertRejects(() => client.get("f", { out, onProgress }), FerryError);
  await half.promise;
  await client.close();
  await getting;
  assert((await p.client.get("f", { out })).resumedFrom > 0);
});
