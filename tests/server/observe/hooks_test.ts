import { assert, assertEquals, assertRejects } from "@std/assert";
import { existsSync } from "node:fs";
import { FerryError } from "../../../lib/core/errors.ts";
import { Hooks, type ServerHooks } from "../../../server/observe/hooks.ts";
import {
  connect,
  type FailedRequest,
  MemoryStorage,
  type Requester,
  serve,
  type ServeOptions,
  type Server,
  type StoredUpload,
} from "../../../mod.ts";
import { tokenTable } from "../../../server/auth/token_table.ts";
import { programArgs, TempDir } from "../../support/programs.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { RecordedLog } from "../../support/recorded_log.ts";
import { token } from "../../support/token_server.ts";
import { md5, MIB, utf8 } from "../../support/bytes.ts";
import { keepPartial } from "../../support/stored_files.ts";

/** Hooks that keep what they are told. */
class Told implements ServerHooks {
  readonly stored: [StoredUpload, Requester][] = [];
  readonly failed: [FerryError, FailedRequest][] = [];

  readonly onStored = (file: StoredUpload, by: Requester) => void this.stored.push([file, by]);
  readonly onError = (error: FerryError, by: FailedRequest) => void this.failed.push([error, by]);

  /** What was told of files since it was asked last. */
  files(): StoredUpload[] {
    return this.stored.splice(0).map(([file]) => file);
  }

  /** Operation, name and code of what failed since it was asked last. */
  failures(): string[] {
    return this.failed.splice(0).map(([{ code }, { op, filename }]) =>
      `${op ?? "-"} ${filename ?? "-"}: ${code}`
    );
  }
}

function addressOf(server: Server): string {
  return `127.0.0.1:${server.addresses[0]!.port}`;
}

/** Serves memory on a free port. */
function start(options: Partial<ServeOptions> = {}): Promise<Server> {
  return serve({ storage: new MemoryStorage(), listen: "127.0.0.1:0", ...options });
}

Deno.test("onListen is called for each address before serve() resolves", async () => {
  const told: unknown[] = [];
  const listen = "127.0.0.1:0";
  await using server = await start({
    tcpEcho: listen,
    udpEcho: listen,
    onListen: (listening) => told.push(listening),
  });
  assertEquals(told, [...server.addresses]);
  assertEquals(server.addresses.map(({ kind, port }) => [kind, port > 0]), [
    ["tcp", true],
    ["tcp-echo", true],
    ["udp-echo", true],
  ]);
});

Deno.test("onListen is not called where one of the addresses cannot be had", async () => {
  await using other = await start();
  let told = 0;
  const onListen = () => void told++;
  await assertRejects(() => start({ tcpEcho: addressOf(other), onListen }), FerryError);
  assertEquals(told, 0);
});

Deno.test("onStored tells what was stored, as a whole, in part and not at all", async () => {
  const told = new Told();
  const storage = new MemoryStorage({ files: { old: "old", same: "same" } });
  const large = new Uint8Array(10 * MIB).map((_, at) => at * 7);
  await keepPartial(storage, "large", large, 9 * MIB);
  const server = await start({ storage, ...told });
  const client = await connect(addressOf(server));
  await using dir = new TempDir();
  const fact = (filename: string, content: string | Uint8Array) => ({
    filename,
    size: content.length,
    checksum: md5(content),
    unchanged: false,
    resumedFrom: 0,
    reused: 0,
  });
  await client.put(utf8.encode("new"), { as: "d/new" });
  await client.put(utf8.encode("newer"), { as: "old", overwrite: "always" });
  // Its bytes are sent and found to be there; those of a local file are asked about before.
  await client.put(utf8.encode("same"), { as: "same" });
  await client.put(dir.write("same", "same"), { as: "same" });
  await client.put(dir.write("large", large));
  const sha256 = await client.put(utf8.encode("x"), { as: "x", algorithm: "sha256" });
  const tree = dir.join("tree");
  Deno.mkdirSync(tree);
  dir.write("tree/a", "a");
  await client.putTree(tree, { as: "tree" });
  await client[Symbol.asyncDispose]();
  await server.close();
  assertEquals(told.files(), [
    fact("d/new", "new"),
    fact("old", "newer"),
    { ...fact("same", "same"), unchanged: true },
    { ...fact("same", "same"), unchanged: true },
    { ...fact("large", large), resumedFrom: 9 * MIB },
    { ...fact("x", "x"), checksum: sha256.checksum! },
    fact("tree/a", "a"),
  ]);
  assertEquals(told.failures(), []);
});

Deno.test("onStored and onError know by whom, and what was asked for", async () => {
  const told = new Told();
  const ci = await token("write", "inbox/");
  const reader = await token("read");
  const tokens = tokenTable([ci.record, reader.record]);
  const server = await start({ tokens, anonymous: ["read"], ...told });
  const failing = async (run: Promise<unknown>) => void await assertRejects(() => run, FerryError);
  {
    await using anybody = await connect(addressOf(server));
    await failing(anybody.put(utf8.encode("no"), { as: "inbox/f" }));
    await failing(anybody.stat("nothing"));
    await using client = await connect(addressOf(server), { token: ci.token });
    await client.put(utf8.encode("yes"), { as: "inbox/f" });
    await failing(client.put(utf8.encode("no"), { as: "f" }));
    await failing(client.put(utf8.encode("no"), { as: "inbox/f" }));
    await failing(client.move("inbox/f", "inbox"));
    const unknown = await token("write");
    await failing(connect(addressOf(server), { token: unknown.token }));
  }
  await server.close();
  const [[, by] = []] = told.stored;
  assertEquals(by?.token, { id: ci.record.id, name: ci.record.name });
  assertEquals(by?.peer.hostname, "127.0.0.1");
  assert(by!.peer.port > 0);
  const tokensOf = told.failed.map(([, { token }]) => token?.id);
  assertEquals(tokensOf, [
    undefined,
    undefined,
    ci.record.id,
    ci.record.id,
    ci.record.id,
    undefined,
  ]);
  assert(told.failed.every(([, { peer }]) => peer.hostname === "127.0.0.1"));
  assertEquals(told.failures(), [
    "put inbox/f: auth_required",
    "stat nothing: not_found",
    "put f: denied",
    "put inbox/f: exists",
    "move inbox/f: denied",
    "auth -: denied",
  ]);
});

Deno.test("onError tells of requests that make no sense, and of connections that break", async () => {
  const told = new Told();
  const server = await start({ idleTimeout: 200, ...told });
  const { port } = server.addresses[0]!;
  const table: [string, (peer: RawPeer) => Promise<unknown>, string[]][] = [
    ["an unknown operation", (peer) => peer.ask({ op: "steal" }), ["- -: bad_header"]],
    [
      "what is no message",
      async (peer) => {
        await peer.send("GET / HTTP/1.1\r\n\r\n");
        await peer.readAll();
      },
      ["- -: bad_header"],
    ],
    [
      "the wrong checksum",
      (peer) => peer.ask({ op: "put", filename: "f", total_size: 1, md5: md5("y") }, "x"),
      ["put f: checksum_mismatch"],
    ],
    [
      "an upload that is cut",
      async (peer) => {
        await peer.send({ op: "put", filename: "f", total_size: 2, md5: md5("xx") }, "x");
        await peer.end();
        await peer.readAll();
      },
      ["put f: closed"],
    ],
    [
      "an upload that stops",
      async (peer) => {
        await peer.send({ op: "put", filename: "f", total_size: 2, md5: md5("xx") }, "x");
        await peer.readAll();
      },
      ["put f: timeout"],
    ],
    ["nothing", (peer) => peer.end(), []],
  ];
  for (const [what, run, expected] of table) {
    {
      using peer = await RawPeer.connect(port);
      await run(peer);
    }
    // The server notices at once; what follows is told after it.
    using last = await RawPeer.connect(port);
    await last.ask({ op: "stat", filename: what });
    while (!told.failed.some(([, { filename }]) => filename === what)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(told.failures(), [...expected, `stat ${what}: not_found`], what);
  }
  await server.close();
});

Deno.test("a hook that throws, rejects or hangs harms nobody, and is logged once", async (t) => {
  const hang = new Promise<void>(() => {});
  const table: Record<string, () => unknown> = {
    throws: () => {
      throw new Error("of the user");
    },
    rejects: () => Promise.reject(new Error("of the user")),
    hangs: () => hang,
    "gives a promise that is none": () => ({
      get then() {
        throw new Error("of the user");
      },
    }),
  };
  for (const [what, harm] of Object.entries(table)) {
    await t.step(what, async () => {
      await using log = await RecordedLog.start();
      let calls = 0;
      const hook = () => {
        calls++;
        return harm();
      };
      const server = await start({ onListen: hook, onStored: hook, onError: hook });
      {
        await using client = await connect(addressOf(server));
        for (const name of ["a", "b"]) await client.put(utf8.encode(name), { as: name });
        for (const name of ["c", "d"]) {
          await assertRejects(() => client.stat(name), FerryError, "no such file");
        }
      }
      await server.close();
      assertEquals(calls, 5);
      const warnings = log.lines.filter((line) => line.startsWith("warning: "));
      const expected = ["onListen", "onStored", "onError"].map((hook) =>
        `warning: The hook ${hook} failed: Error: of the user`
      );
      assertEquals(warnings.toSorted(), what === "hangs" ? [] : expected.toSorted());
    });
  }
});

Deno.test("a hook does not keep the client waiting", async () => {
  await using dir = new TempDir();
  const [file, done] = [dir.write("file", "content"), dir.join("done")];
  let wasToldFirst: boolean | undefined;
  await using server = await start({
    onStored() {
      // Nothing else runs in this thread meanwhile; the client is another process.
      const deadline = performance.now() + 20_000;
      while (!existsSync(done) && performance.now() < deadline) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
      wasToldFirst = existsSync(done);
    },
  });
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      '"$@" && : > "$DONE"',
      "sh",
      Deno.execPath(),
      ...programArgs("ferry"),
      "put",
      file,
    ],
    env: { FERRY_SERVER: addressOf(server), DONE: done },
  });
  assertEquals((await child.output()).code, 0);
  assertEquals(wasToldFirst, true);
});

Deno.test("Hooks lose what nobody has finished with, say so, and go on", async () => {
  await using log = await RecordedLog.start();
  const released = Promise.withResolvers<void>();
  let calls = 0;
  const hooks = new Hooks({
    onStored() {
      calls++;
      return released.promise;
    },
  });
  const by = { peer: { hostname: "::1", port: 1 }, token: undefined };
  const file = {
    filename: "f",
    size: 0,
    checksum: md5(""),
    unchanged: false,
    resumedFrom: 0,
    reused: 0,
  };
  for (let turn = 0; turn < 10_005; turn++) hooks.stored(file, by);
  const settled = hooks.settle();
  assertEquals(calls, 10_000);
  const text =
    "warning: 10000 calls of hooks have not finished: what happens meanwhile is not told";
  assertEquals(log.lines, [text]);
  released.resolve();
  await settled;
  hooks.stored(file, by);
  await hooks.settle();
  assertEquals([calls, log.lines], [10_001, [text]]);
});

Deno.test("a signal ends the server in order", async () => {
  const stop = new AbortController();
  const begun = Promise.withResolvers<void>();
  class Watched extends MemoryStorage {
    override create(...args: Parameters<MemoryStorage["create"]>) {
      begun.resolve();
      return super.create(...args);
    }
  }
  const storage = new Watched();
  const server = await start({ storage, signal: stop.signal });
  const rest = Promise.withResolvers<void>();
  const content = new Uint8Array(300_000).fill(7);
  await using client = await connect(addressOf(server), { retries: 0 });
  const source = ReadableStream.from((async function* () {
    yield content;
    await rest.promise;
    yield content;
  })());
  const putting = client.put(source, { as: "f" });
  await begun.promise;
  stop.abort();
  // Nobody else is let in, and what is under way goes on.
  await assertRejects(() => connect(addressOf(server), { retries: 0 }), FerryError);
  rest.resolve();
  await putting;
  await server.finished;
  assertEquals(storage.bytes("f").length, 2 * content.length);
  await server.close();
});

Deno.test("a signal that is aborted already, or while the server starts, keeps it from starting", async () => {
  let told = 0;
  const onListen = () => void told++;
  const reason = new Error("not today");
  const signal = AbortSignal.abort(reason);
  await assertRejects(() => start({ signal, onListen }), Error, "not today");
  const stop = new AbortController();
  const starting = start({ signal: stop.signal, onListen, udpEcho: "127.0.0.1:0" });
  stop.abort(reason);
  await assertRejects(() => starting, Error, "not today");
  assertEquals(told, 0);
});

Deno.test("Server.finished resolves when the server has ended, and not before", async () => {
  for (const end of ["close", "dispose", "signal"] as const) {
    const stop = new AbortController();
    const server = await start({ signal: stop.signal });
    let ended = false;
    const finished = server.finished.then(() => ended = true);
    const client = await connect(addressOf(server), { retries: 0 });
    await client.put(utf8.encode("x"), { as: "x" });
    assertEquals(ended, false);
    const { port } = server.addresses[0]!;
    if (end === "close") void server.close();
    if (end === "dispose") void server[Symbol.asyncDispose]();
    if (end === "signal") stop.abort();
    await finished;
    // Nothing listens there any more.
    const again = () => Deno.connect({ hostname: "127.0.0.1", port });
    await assertRejects(again, Deno.errors.ConnectionRefused);
    await client[Symbol.asyncDispose]();
  }
});
