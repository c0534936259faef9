import { stagedIn } from "../../support/programs.ts";
import { existsSync } from "node:fs";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Bounds,
  FerryError,
  newToken,
  parseGrants,
  type Storage,
  type TokenRecord,
} from "../../../mod.ts";
import { grantEverywhere } from "../../../server/auth/grants.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { Permit } from "../../../server/auth/permit.ts";
import { tokenTable } from "../../../server/auth/token_table.ts";
import { allEnded } from "../../support/processes.ts";
import type { RawMessage, RawPeer } from "../../support/raw_peer.ts";
import { md5Of } from "../../support/digests.ts";
import { show, token, TokenServer } from "../../support/token_server.ts";
import { utf8 } from "../../support/bytes.ts";

const READ = { op: "get", filename: "f" } as const;

/** A permit for a `get` by somebody with a token, and what else it is about. */
async function permitted({ expires = null, anonymous = [] }: {
  expires?: number | null;
  anonymous?: Parameters<typeof grantEverywhere>[0];
} = {}) {
  const { record } = await newToken({ name: "a", grants: parseGrants(["read"], []), expires });
  const tokens = tokenTable([record]);
  const authority = new Authority({ anonymous: grantEverywhere(anonymous), tokens });
  const claimant = { principal: authority.principalOf(record), token: record, owner: "" };
  return { record, authority, permit: new Permit(authority, claimant, READ) };
}

function codeOf(attempt: () => void): string {
  return assertThrows(attempt, FerryError).code;
}

/** What becomes of a token that somebody is using. */
async function changes(): Promise<Record<string, (record: TokenRecord) => TokenRecord[]>> {
  const { record: other } = await token("read");
  return {
    "was taken back": () => [],
    "has other rights": (record) => [{ ...record, grants: parseGrants(["read:inbox/"], []) }],
    "has another end": (record) => [{ ...record, expires: Date.now() + 60_000 }],
    "has another secret": (record) => [{ ...record, verifier: other.verifier }],
  };
}

Deno.test("Permit.assert() fails once the token is not what it was, and whoever waits is told at once", async (t) => {
  for (const [name, change] of Object.entries(await changes())) {
    await t.step(`a token that ${name}`, async () => {
      const { record, authority, permit } = await permitted();
      const told: string[] = [];
      using _watch = permit.onEnd(({ code }) => told.push(code));
      const waiting = permit.wait(new Promise<FerryError>(() => {})).catch((error) => error);
      authority.replace(tokenTable(change(record)));
      assertEquals(told, ["auth_required"]);
      assertEquals((await waiting).code, "auth_required");
      assertEquals(codeOf(() => permit.assert()), "auth_required");
      // Also where it is too late to be told of it.
      using _late = permit.onEnd(({ code }) => told.push(code));
      assertEquals(told.length, 2);
      // What was refused is not allowed again.
      authority.replace(tokenTable([record]));
      assertEquals(codeOf(() => permit.assert()), "auth_required");
    });
  }
});

Deno.test("Permit.assert() lets pass what goes on with the same token, and what anybody may do", async () => {
  const { record, authority, permit } = await permitted();
  using _watch = permit.onEnd(() => assert(false, "it was said to have ended"));
  authority.replace(tokenTable([structuredClone(record)]));
  permit.assert();
  assertEquals(codeOf(() => permit.assert({ op: "remove", filename: "f" })), "denied");
  const open = await permitted({ anonymous: ["read"] });
  using _open = open.permit.onEnd(() => assert(false, "it was said to have ended"));
  open.authority.replace(tokenTable([]));
  open.permit.assert();
  assertEquals(codeOf(() => open.permit.assert({ op: "remove", filename: "f" })), "auth_required");
  assertEquals(await open.permit.wait(Promise.resolve(1)), 1);
});

Deno.test("Permit.confine() lets nothing be reached any more once the token is not what it was", async () => {
  const { record } = await newToken({
    name: "a",
    grants: parseGrants(["read"], ["inbox"]),
    expires: null,
  });
  const authority = new Authority({ anonymous: {}, tokens: tokenTable([record]) });
  const claimant = { principal: authority.principalOf(record), token: record, owner: "" };
  const permit = new Permit(authority, claimant, { op: "get", filename: "inbox/a" });
  let bounds: Bounds | undefined;
  const within = (given: Bounds) => {
    bounds = given;
    return storage;
  };
  const storage = { within } as Storage;
  permit.confine(storage);
  assertEquals([bounds!.reaches("inbox/a"), bounds!.reaches("secret")], [true, false]);
  authority.replace(tokenTable([]));
  for (const path of ["inbox/a", "secret"]) {
    assertEquals(codeOf(() => bounds!.reaches(path)), "auth_required");
    assertEquals(codeOf(() => bounds!.takes(path, "inbox/a")), "auth_required");
  }
});

Deno.test("Permit.onEnd() tells when a token expires, and not long before", async () => {
  const { permit } = await permitted({ expires: Date.now() + 100 });
  const { promise, resolve } = Promise.withResolvers<FerryError>();
  using _watch = permit.onEnd(resolve);
  assertEquals((await promise).code, "auth_required");
  assertEquals(codeOf(() => permit.assert()), "auth_required");
  // No timer of the system takes so many milliseconds: it would be up at once.
  const { permit: long } = await permitted({ expires: Date.now() + 2 ** 32 });
  using _long = long.onEnd(() => assert(false, "it was said to have ended"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  long.assert();
});

/** The messages of a streamed reply up to its closing header. */
async function restOf(peer: RawPeer): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  for (;;) {
    const message = (await peer.receive())!;
    messages.push(message);
    if (message.header.end) return messages;
  }
}

/** The code that a streamed reply ends with, or "ok". */
async function endOf(peer: RawPeer): Promise<string> {
  return String((await restOf(peer)).at(-1)!.header.code ?? "ok");
}

async function begun(f: TokenServer, shown: string, request: Record<string, unknown>) {
  const peer = await f.peer();
  await show(peer, shown);
  await peer.send(request);
  return peer;
}

const EXEC = { cwd: "/", shell: true, timeout: 600_000 };
const SLEEP = { op: "exec", command: "echo $$; exec sleep 1000" };

/** The number of the process of {@linkcode SLEEP}, which runs then. */
async function pidOf(peer: RawPeer): Promise<number> {
  assertEquals((await peer.receive())!.header.status, "ok");
  return Number(new TextDecoder().decode((await peer.receive())!.body));
}

function line(filename: string): Uint8Array {
  return utf8.encode(JSON.stringify({ filename, size: 1, mtime: 1 }) + "\n");
}

/** Puts other methods in the place of those of a storage. */
function withMethods(methods: (storage: Storage) => Partial<Storage>) {
  return (storage: Storage): Storage => {
    const others = methods(storage);
    return new Proxy(storage, {
      get(_, key) {
        const value: unknown = Reflect.get(others, key) ?? Reflect.get(storage, key);
        return typeof value === "function" ? value.bind(storage) : value;
      },
    });
  };
}

Deno.test("a compare ends with auth_required when its token is changed, though nothing is sent for it", async (t) => {
  for (const [name, change] of Object.entries(await changes())) {
    await t.step(`a token that ${name}`, async () => {
      const { token: shown, record } = await token("read,write");
      const looked = Promise.withResolvers<void>();
      const wrap = withMethods((storage) => ({
        findAll(names, algorithm) {
          looked.resolve();
          return storage.findAll(names, algorithm);
        },
      }));
      await using f = await TokenServer.start([record], { wrap });
      const request = { op: "compare", md5: null, total_size: null };
      using peer = await begun(f, shown, request);
      const known = line("known");
      await peer.send({ total_size: known.length }, known);
      await looked.promise;
      f.replace(...change(record));
      assertEquals((await peer.receive())!.header.status, "ok");
      assertEquals((await restOf(peer)).map(({ header }) => header.code), ["auth_required"]);
      // Whoever ends its body goes on with what it may do now.
      const all = md5Of(known);
      await peer.send({ end: true, md5: all, size: known.length });
      assertEquals(await peer.ask({ op: "ping" }), "ok");
    });
  }
});

Deno.test("a list ends with auth_required when its token is taken back, whatever is still to come", async () => {
  const { token: shown, record } = await token("read");
  const [reached, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const wrap = withMethods((storage) => ({
    async *list(name, options) {
      yield* storage.list(name, options);
      reached.resolve();
      await may.promise;
    },
  }));
  await using f = await TokenServer.start([record], { wrap });
  using peer = await begun(f, shown, { op: "list" });
  await reached.promise;
  f.replace();
  assertEquals((await peer.receive())!.header.status, "ok");
  assertEquals(await endOf(peer), "auth_required");
  may.resolve();
  assertEquals(await peer.ask({ op: "list" }), "auth_required");
});

Deno.test("a command is killed when its token is taken back, though it writes nothing", async () => {
  const { token: shown, record } = await token("exec");
  await using f = await TokenServer.start([record], { exec: EXEC });
  using peer = await begun(f, shown, SLEEP);
  const pid = await pidOf(peer);
  f.replace();
  assertEquals(await endOf(peer), "auth_required");
  await allEnded([pid]);
  assertEquals(await peer.ask(SLEEP), "auth_required");
});

Deno.test("a token that expires ends what goes on, without being told to", async () => {
  const grants = parseGrants(["exec,write"], []);
  const expires = Date.now() + 2000;
  const { token: shown, record } = await newToken({ name: "a", grants, expires });
  await using f = await TokenServer.start([record], { exec: EXEC });
  using running = await begun(f, shown, SLEEP);
  const pid = await pidOf(running);
  const put = { op: "put", filename: "new", md5: null, total_size: 3 };
  using sending = await begun(f, shown, put);
  await sending.send("abc");
  assertEquals(await endOf(running), "auth_required");
  await allEnded([pid]);
  assertEquals(await sending.code(), "auth_required");
  assert(!existsSync(`${f.path}/new`));
});

Deno.test("a get to a client that does not read ends with the connection when its token is taken back", async () => {
  const { token: shown, record } = await token("read");
  await using f = await TokenServer.start([record]);
  const size = 256 * 1024 * 1024;
  Deno.truncateSync(`${f.path}/secret`, size);
  using peer = await begun(f, shown, { op: "get", filename: "secret" });
  const length = new DataView((await peer.read(4))!.buffer).getInt32(0, true);
  await peer.read(length);
  f.replace();
  assert((await peer.readAll()).length < size);
});

Deno.test("a put is refused at once when its token is taken back, and leaves nothing behind", async () => {
  const { token: shown, record } = await token("write");
  await using f = await TokenServer.start([record]);
  const size = 9 * 1024 * 1024;
  const put = { op: "put", filename: "inbox/new", md5: null, size, total_size: size };
  using slow = await begun(f, shown, put);
  using quick = await begun(f, shown, { ...put, filename: "inbox/other" });
  for (const peer of [slow, quick]) await peer.send(new Uint8Array(5 * 1024 * 1024));
  f.replace();
  for (const peer of [slow, quick]) assertEquals(await peer.code(), "auth_required");
  // One goes on sending, the other one leaves: neither gets its file, nor a part of it.
  await quick.send(new Uint8Array(4 * 1024 * 1024), { end: true, md5: null, size }).catch(() => {});
  assertEquals(await slow.receive(), null);
  while (stagedIn(f.path).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals([...Deno.readDirSync(`${f.path}/inbox`)].length, 2);
});

Deno.test("a put whose bytes have come is refused where its token is taken back before it has its name", async () => {
  const { token: shown, record } = await token("write");
  const [reached, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const wrap = withMethods((storage) => ({
    async create(name, options) {
      const pending = await storage.create(name, options);
      return {
        ...pending,
        write: (bytes) => pending.write(bytes),
        async commit(options) {
          reached.resolve();
          await may.promise;
          return await pending.commit(options);
        },
        [Symbol.asyncDispose]: () => pending[Symbol.asyncDispose](),
      };
    },
  }));
  await using f = await TokenServer.start([record], { wrap });
  const put = { op: "put", filename: "new", md5: md5Of(utf8.encode("abc")), total_size: 3 };
  using peer = await begun(f, shown, put);
  await peer.send("abc");
  await reached.promise;
  f.replace();
  may.resolve();
  assertEquals(await peer.code(), "auth_required");
  assert(!existsSync(`${f.path}/new`));
});

Deno.test("a remove ends with auth_required when its token is taken back, and leaves the rest", async (t) => {
  for (
    const [recursive, filename, paths] of [[true, "other", []], [false, "secret", []], [
      true,
      "inbox/deep",
      ["inbox"],
    ]] as const
  ) {
    await t.step(`${filename} with a token for ${paths[0] ?? "all"}`, async () => {
      const { token: shown, record } = await token("delete", ...paths);
      const wrap = withMethods((storage) => ({
        within(bounds) {
          return wrap(storage.within(bounds));
        },
        async remove(name, options) {
          f.replace();
          await storage.remove(name, options);
        },
      }));
      await using f = await TokenServer.start([record], { wrap });
      using peer = await begun(f, shown, { op: "remove", filename, recursive });
      assertEquals(await peer.code(), "auth_required");
      assert(existsSync(`${f.path}/${filename}`));
    });
  }
});

Deno.test("an offer or a stat that waits for a checksum ends with auth_required when its token is taken back", async () => {
  const { token: shown, record } = await token("read,write");
  for (
    const request of [
      { op: "stat", filename: "secret" },
      { op: "put", filename: "secret", offer: true, size: 6, md5: md5Of(utf8.encode("secret")) },
    ]
  ) {
    const reached = Promise.withResolvers<void>();
    const wrap = withMethods(() => ({
      checksum() {
        reached.resolve();
        return new Promise(() => {});
      },
    }));
    await using f = await TokenServer.start([record], { wrap });
    using peer = await begun(f, shown, request);
    await reached.promise;
    f.replace();
    assertEquals(await peer.code(), "auth_required", request.op);
  }
});
