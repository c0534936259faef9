import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { connect, type ConnectOptions, FerryError } from "../../mod.ts";
import { tokenTable } from "../../server/auth/token_table.ts";
import type { RawPeer } from "../support/raw_peer.ts";
import { show, token, TokenServer } from "../support/token_server.ts";

const EMPTY = "d41d8cd98f00b204e9800998ecf8427e";
/** The md5 of 9 MiB of zeros. */
const ZEROS = "b82b4ab87e44976024abc14a1670dac0";
const text = (bytes: string) => new TextEncoder().encode(bytes);

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => attempt, FerryError)).code;
}

Deno.test("serve() with tokens lets nobody do anything without one", async () => {
  const { token: shown, record } = await token("read,write");
  await using f = await TokenServer.start([record]);
  assertEquals(await codeOf(f.connect()), "auth_required");
  using peer = await f.peer();
  const requests = [
    { op: "get", filename: "secret" },
    { op: "get", filename: "nothing" },
    { op: "list" },
    { op: "list", recursive: true },
    { op: "list", parts: true },
    { op: "stat", filename: "secret" },
    { op: "put", filename: "new", md5: EMPTY },
    { op: "put", filename: "secret", offer: true, size: 6 },
    { op: "mkdir", filename: "new" },
    { op: "remove", filename: "secret" },
    { op: "move", filename: "secret", to: "new" },
    { op: "compare", md5: EMPTY },
  ];
  for (const request of requests) {
    assertEquals(await peer.ask(request), "auth_required", request.op);
  }
  assertEquals(await peer.ask({ op: "ping" }), "ok");
  await using client = await f.connect({ token: shown });
  assertEquals(client.hello.scopes, ["read", "write"]);
  assertEquals((await client.stat("secret")).size, 6);
});

Deno.test("serve() with tokens lets anybody do what `anonymous` says", async () => {
  const { token: shown, record } = await token("write");
  await using f = await TokenServer.start([record], { anonymous: ["read"] });
  await using anybody = await f.connect();
  assertEquals(anybody.hello.scopes, ["read"]);
  assertEquals((await anybody.stat("secret")).size, 6);
  assertEquals(await codeOf(anybody.mkdir("new")), "auth_required");
  // A token takes no permissions away from the client.
  await using client = await f.connect({ token: shown });
  assertEquals(client.hello.scopes, ["read", "write"]);
  assertEquals((await client.stat("secret")).size, 6);
  await client.mkdir("new");
  assertEquals(await codeOf(client.remove("new")), "denied");
  // Without the token, the client has only the permissions that everybody has.
  f.replace();
  assertEquals((await client.stat("secret")).size, 6);
  assertEquals(await codeOf(client.mkdir("more")), "auth_required");
});

Deno.test("connect() refuses a token that is none, or that the server does not know", async () => {
  const [{ record }, other] = [await token("read"), await token("read")];
  await using f = await TokenServer.start([record]);
  const attempt = assertRejects(() => f.connect({ token: other.token }), FerryError);
  const { code, message } = await attempt;
  assertEquals(code, "denied");
  assertMatch(message, /: cannot take the token: it is not valid \(on the server\)$/);
  assertEquals(await codeOf(f.connect({ token: "pencil" })), "usage");
});

Deno.test("connect() with a token refuses a server that cannot prove that it knows it", async () => {
  const { token: shown, record } = await token("read");
  // An impostor that does not ask for a token.
  await using open = await TokenServer.start([], { tokens: undefined });
  const { code, message } = await assertRejects(() => open.connect({ token: shown }), FerryError);
  assertEquals(code, "denied");
  assertStringIncludes(message, "does not prove");
  // An impostor that accepts everybody: it knows the id and the salt, but has no key.
  const serverKey = new Uint8Array(32);
  const forged = { ...record, verifier: { ...record.verifier, serverKey } };
  await using impostor = await TokenServer.start([forged]);
  const refused = await assertRejects(() => impostor.connect({ token: shown }), FerryError);
  assertEquals(refused.code, "denied");
  assertStringIncludes(refused.message, "did not prove");
});

Deno.test("a token with a path is refused by every operation where a link leads out of it", async () => {
  const { token: shown, record } = await token("read,write,delete", "inbox/");
  await using f = await TokenServer.start([record]);
  Deno.symlinkSync("..", `${f.path}/inbox/deep/up`);
  await using client = await f.connect({ token: shown });
  // The file is still where it was in inbox/.
  assertEquals((await client.stat("inbox/deep/up/mine")).size, "inbox/mine".length);
  await client.move("inbox/deep/up", "inbox/up");
  using peer = await f.peer();
  await show(peer, shown);
  for (const below of ["secret", "nothing", "other/secret"]) {
    const filename = `inbox/up/${below}`;
    const requests: Record<string, unknown>[] = [
      { op: "get", filename },
      { op: "stat", filename },
      { op: "list", filename },
      { op: "put", filename, md5: EMPTY },
      { op: "put", filename, md5: EMPTY, overwrite: "always" },
      { op: "put", filename, md5: EMPTY, overwrite: "different" },
      { op: "put", filename, offer: true, size: 6 },
      { op: "mkdir", filename: `${filename}/new` },
      { op: "remove", filename, recursive: true },
      { op: "move", filename, to: "inbox/stolen" },
      { op: "move", filename: "inbox/mine", to: filename, overwrite: "always" },
    ];
    for (const request of requests) {
      assertEquals(await peer.ask(request), "denied", JSON.stringify(request));
    }
  }
  const names = ["inbox/new", "inbox/up/secret", "inbox/up/nothing"];
  const answers = await compare(peer, names);
  assertEquals(answers.map(([, answer]) => answer), ["send", "denied", "denied"]);
  assertEquals(f.read("secret"), "secret");
});

Deno.test("a token with a path sees and touches only what is below it", async () => {
  const { token: shown, record } = await token("read,write,delete", "inbox/");
  await using f = await TokenServer.start([record]);
  await using client = await f.connect({ token: shown });
  const names = (await Array.fromAsync(client.list("inbox", { recursive: true })))
    .map(({ filename }) => filename);
  assertEquals(names, ["inbox/deep", "inbox/deep/er", "inbox/mine"]);
  await client.put(text("new"), { as: "inbox/new" });
  await client.move("inbox/new", "inbox/deep/moved");
  await client.remove("inbox/deep", { recursive: true });
  for (
    const attempt of [
      () => Array.fromAsync(client.list("")),
      () => Array.fromAsync(client.list("other")),
      () => client.stat("secret"),
      () => client.stat(""),
      () => client.put(text("x"), { as: "secret", overwrite: "always" }),
      () => client.put(text("x"), { as: "other/new" }),
      () => client.move("inbox/mine", "mine"),
      () => client.move("secret", "inbox/secret"),
      () => client.remove("inbox", { recursive: true }),
      () => client.remove("other", { recursive: true }),
      () => client.mkdir("new"),
      () => client.get("secret", { out: "/dev/null" }),
    ]
  ) assertEquals(await codeOf(attempt()), "denied", attempt.toString());
  assertEquals(await codeOf(client.stat("inbox/../secret")), "bad_name");
  assertEquals([f.read("secret"), f.read("other/secret"), f.read("inbox/mine")], [
    "secret",
    "other/secret",
    "inbox/mine",
  ]);
});

/** The lines of a streamed reply. */
async function lines(peer: RawPeer): Promise<Record<string, unknown>[]> {
  assertEquals((await peer.receive())?.header.status, "ok");
  let body = "";
  for (;;) {
    const { header, body: piece } = (await peer.receive())!;
    if (header.end) break;
    body += new TextDecoder().decode(piece);
  }
  return body.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** The answers of a compare for each name. */
async function compare(peer: RawPeer, names: readonly string[]): Promise<unknown[][]> {
  const body = text(
    names.map((filename) => {
      return JSON.stringify({ filename, size: 6, mtime: 0 }) + "\n";
    }).join(""),
  );
  await peer.send({ op: "compare", md5: null, total_size: body.length }, body);
  const { md5Of } = await import("../support/digests.ts");
  await peer.send({ end: true, md5: md5Of(body), size: body.length });
  const answers = await lines(peer);
  return answers.map(({ filename, decision, code }) => [filename, code ?? decision]);
}

Deno.test("a compare answers for each line whether it is this token's", async () => {
  const { token: shown, record } = await token("read,write", "inbox");
  await using f = await TokenServer.start([record]);
  using peer = await f.peer();
  await show(peer, shown);
  const names = ["inbox/new", "secret", "nothing", "inbox/../secret", "inbox/mine"];
  assertEquals(await compare(peer, names), [
    ["inbox/new", "send"],
    ["secret", "denied"],
    ["nothing", "denied"],
    ["inbox/../secret", "bad_name"],
    ["inbox/mine", "exists"],
  ]);
});

/** A file that is large enough for its partial upload to be kept. */
const LARGE = 9 * 1024 * 1024;
const PART = 5 * 1024 * 1024;

/** Begins to upload a file of zeros, authenticated by a token if there is one. */
async function beginPut(f: TokenServer, filename: string, shown?: string): Promise<RawPeer> {
  const sender = await f.peer();
  if (shown !== undefined) await show(sender, shown);
  await sender.send({ op: "put", filename, md5: null, size: LARGE, total_size: LARGE });
  await sender.send(new Uint8Array(PART));
  return sender;
}

/** Leaves a partial upload. */
async function leavePart(f: TokenServer, filename: string, shown?: string): Promise<void> {
  using sender = await beginPut(f, filename, shown);
  await sender.end();
  assertEquals(await sender.code(), "closed");
}

/** The offset from which a client is to send a file that it offers. */
async function offered(peer: RawPeer, filename: string): Promise<number> {
  await peer.send({ op: "put", filename, md5: null, offer: true, size: LARGE });
  const { header } = (await peer.receive())!;
  assertEquals(header.decision, "send");
  if (header.offset === 0) assert(!("prefix_md5" in header) && !("prefix_xxh128" in header));
  return Number(header.offset);
}

Deno.test("a list of parts shows each token its own, where it may read", async () => {
  const [mine, all] = [await token("read,write:inbox/"), await token("read,write")];
  const blind = await token("read:other/,write");
  await using f = await TokenServer.start([mine.record, all.record, blind.record]);
  await leavePart(f, "inbox/part", all.token);
  await leavePart(f, "other/part", all.token);
  await leavePart(f, "inbox/part", mine.token);
  await leavePart(f, "inbox/part", blind.token);
  for (
    const [{ token }, expected] of [
      [all, ["inbox/part", "other/part"]],
      [mine, ["inbox/part"]],
      [blind, []],
    ] as const
  ) {
    await using client = await f.connect({ token });
    const parts = await Array.fromAsync(client.listParts());
    assertEquals(parts.map(({ filename }) => filename).sort(), [...expected]);
  }
});

Deno.test("nobody but its owner learns of a part or takes it over", async () => {
  const [own, other] = [await token("read,write"), await token("read,write")];
  const records = [own.record, other.record];
  await using f = await TokenServer.start(records, { anonymous: ["write"] });
  using writer = await beginPut(f, "inbox/part", own.token);
  await leavePart(f, "inbox/kept", own.token);
  {
    await using client = await f.connect({ token: own.token });
    while ((await Array.fromAsync(client.listParts())).length < 2);
  }
  for (const shown of [other.token, undefined]) {
    using peer = await f.peer();
    if (shown !== undefined) await show(peer, shown);
    assertEquals(await offered(peer, "inbox/part"), 0);
    assertEquals(await offered(peer, "inbox/kept"), 0);
    assertEquals(await peer.ask({ op: "discard", filename: "inbox/kept" }), "not_found");
  }
  using again = await f.peer();
  await show(again, own.token);
  assert(await offered(again, "inbox/kept") > 0);
  // An upload of the same name with another token does not affect the running one.
  await using client = await f.connect({ token: other.token });
  await client.put(new Uint8Array(LARGE), { as: "inbox/part" });
  await writer.send(new Uint8Array(LARGE - PART), { end: true, md5: ZEROS, size: LARGE });
  assertEquals(await writer.code(), "ok");
});

Deno.test("a part is removed by who may send the file, and by no other token", async () => {
  const [own, narrow] = [await token("write:inbox/"), await token("read,delete")];
  await using f = await TokenServer.start([own.record, narrow.record]);
  await leavePart(f, "inbox/part", own.token);
  using stranger = await f.peer();
  const discard = { op: "discard", filename: "inbox/part" };
  assertEquals(await stranger.ask(discard), "auth_required");
  await show(stranger, narrow.token);
  assertEquals(await stranger.ask(discard), "denied");
  using peer = await f.peer();
  await show(peer, own.token);
  assertEquals(await peer.ask({ ...discard, filename: "other/part" }), "denied");
  assertEquals(await peer.ask(discard), "ok");
  assertEquals(await offered(peer, "inbox/part"), 0);
});

Deno.test("another secret under the same id, or a token that is shown no more, owns no part of it", async () => {
  const { token: shown, record } = await token("write");
  const other = await token("write");
  await using f = await TokenServer.start([record], { anonymous: ["write"] });
  await leavePart(f, "inbox/part", shown);
  using before = await f.peer();
  await show(before, shown);
  using peer = await f.peer();
  await show(peer, shown);
  const offset = await offered(peer, "inbox/part");
  assert(offset > 0);
  f.server.reload({ tokens: tokenTable([{ ...other.record, id: record.id }]) });
  const bytes = new Uint8Array(LARGE - offset);
  const rest = { op: "put", filename: "inbox/part", md5: ZEROS, size: LARGE, offset };
  assertEquals(await peer.ask({ ...rest, total_size: bytes.length }, bytes), "busy");
  assertEquals(await offered(before, "inbox/part"), 0);
  using again = await f.peer();
  await show(again, other.token.replace(/_[^_]*_/, `_${record.id}_`));
  assertEquals(await offered(again, "inbox/part"), 0);
});

Deno.test("Server.reload() takes a token back from who is connected already", async () => {
  const { token: shown, record } = await token("read,write");
  await using f = await TokenServer.start([record]);
  await using client = await f.connect({ token: shown });
  await client.stat("secret");
  f.server.reload({ tokens: tokenTable([]) });
  assertEquals(await codeOf(client.stat("secret")), "auth_required");
  assertEquals(await codeOf(f.connect({ token: shown })), "denied");
  f.server.reload({ tokens: tokenTable([record]) });
  await client.stat("secret");
});

Deno.test("auth is refused where nobody is asked who it is, and out of turn", async () => {
  await using open = await TokenServer.start([], { tokens: undefined });
  using stranger = await open.peer();
  assertEquals(await stranger.ask({ op: "auth", scram: "n,,n=user,r=abc" }), "bad_header");
  assertEquals(await stranger.ask({ op: "stat", filename: "secret" }), "ok");
  const { record } = await token("read");
  await using f = await TokenServer.start([record]);
  using peer = await f.peer();
  assertEquals(await peer.ask({ op: "auth" }), "bad_header");
  assertEquals(await peer.ask({ op: "auth", scram: "c=biws,r=abc,p=AAAA" }), "bad_header");
  assertEquals(await peer.ask({ op: "auth", scram: "x".repeat(5000) }), "bad_header");
  assertEquals(await peer.ask({ op: "hello", versions: [1], scram: "junk" }), "bad_header");
  assertEquals(await peer.ask({ op: "stat", filename: "secret" }), "auth_required");
});

Deno.test("a source that guesses is slowed down, and nobody else on another connection is blocked", async () => {
  const [{ token: shown, record }, wrong] = [await token("read"), await token("read")];
  await using f = await TokenServer.start([record]);
  await using before = await f.connect({ token: shown });
  assertEquals(await codeOf(f.connect({ token: wrong.token })), "denied");
  const began = performance.now();
  const guess = codeOf(f.connect({ token: wrong.token }));
  // Clients that are already connected go on meanwhile.
  await before.stat("secret");
  assertEquals(await guess, "denied");
  assert(performance.now() - began >= 200, "the second guess did not wait");
});

Deno.test("a guesser that has to wait does not hold up the end of the server", async () => {
  const [{ record }, wrong] = [await token("read"), await token("read")];
  await using f = await TokenServer.start([record]);
  const guesses = Array.from({ length: 12 }, () => codeOf(f.connect({ token: wrong.token })));
  await Promise.race(guesses);
  const more = Array.from({ length: 3 }, () => codeOf(f.connect({ token: wrong.token })));
  await f.server.close({ drainTimeout: 100 });
  for (const code of await Promise.all([...guesses, ...more])) {
    assert(["denied", "closed", "unreachable", "busy"].includes(code), code);
  }
});

Deno.test("a token costs one round trip", async () => {
  const { token: shown, record } = await token("read");
  await using f = await TokenServer.start([record], { anonymous: ["read"] });
  /** Connects through a proxy and counts how often the client waited for the server. */
  const turns = async (options: ConnectOptions): Promise<number> => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let count = 0;
    let last = "";
    const relay = (async () => {
      using client = await listener.accept();
      const [hostname, port] = f.address.split(":") as [string, string];
      using server = await Deno.connect({ hostname, port: Number(port) });
      const pump = async (from: Deno.Conn, to: Deno.Conn, name: string) => {
        const buffer = new Uint8Array(65536);
        for (;;) {
          const read = await from.read(buffer).catch(() => null);
          if (read === null) return await to.closeWrite().catch(() => {});
          if (last !== name && name === "server") count++;
          last = name;
          await to.write(buffer.subarray(0, read));
        }
      };
      await Promise.all([pump(client, server, "client"), pump(server, client, "server")]);
    })();
    const address = `127.0.0.1:${listener.addr.port}`;
    const client = await connect(address, { retries: 0, ...options });
    await client.stat("secret");
    await client[Symbol.asyncDispose]();
    await relay;
    return count;
  };
  assertEquals(await turns({}), 2);
  assertEquals(await turns({ token: shown }), 3);
});
