import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { createRuntime } from "../../../lib/runtime/runtime.ts";
import { Authority } from "../../../server/auth/authority.ts";
import type { AccessRequest } from "../../../server/auth/authorization.ts";
import { TokenCaller } from "../../../server/auth/caller.ts";
import { grantEverywhere, parseGrants } from "../../../server/auth/grants.ts";
import { newToken, type TokenRecord, tokenTable } from "../../../server/auth/token_table.ts";
import { Records } from "../../../server/files/records.ts";
import { isLinkEnded, type ShareRequest } from "../../../server/shares/share.ts";
import { Shares, type Visit } from "../../../server/shares/shares.ts";
import { MemoryStorage } from "../../../server/storage/memory/memory_storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { MovableClock } from "../../support/movable_clock.ts";

const HOUR = 60 * 60 * 1000;
const DAY = 24 * HOUR;

/** Any number of servers over the same files. */
class Fixture {
  readonly clock = new MovableClock();
  readonly storage = new MemoryStorage({ files: { "docs/a": "a", "docs/b": "b", "secret": "s" } });
  readonly #runtime = createRuntime({ clock: this.clock });

  /** The links of one server, and its tokens. */
  server(tokens?: readonly TokenRecord[]) {
    const authority = new Authority({
      anonymous: grantEverywhere(tokens ? [] : ["read", "write"]),
      tokens: tokens && tokenTable(tokens),
      clock: this.clock,
    });
    const records = new Records(() => this.storage.internal(), this.#runtime);
    const shares = new Shares({ records, storage: this.storage, authority });
    return { authority, records, shares };
  }
}

type Server = ReturnType<Fixture["server"]>;

async function permitOf(
  { authority }: Server,
  access: AccessRequest,
  token?: TokenRecord,
) {
  const caller = token
    ? await TokenCaller.withToken(authority, token)
    : TokenCaller.anonymous(authority);
  return caller.permit(access);
}

async function create(server: Server, request: ShareRequest, token?: TokenRecord) {
  const permit = await permitOf(server, { op: "share", ...request }, token);
  return await server.shares.create(permit, request);
}

/** What a URL has behind `/.ferry/s/`, up to the next slash. */
function linkIn(path: string): string {
  return path.split("/")[3]!;
}

async function visit({ shares }: Server, path: string, source = "client"): Promise<Visit> {
  const visited = await shares.visit(linkIn(path), source);
  assert(visited, "there is no such link");
  return visited;
}

async function assertEnded(run: () => unknown): Promise<void> {
  const error = await assertCode("denied", run);
  assert(isLinkEnded(error), error.message);
}

async function madeToken(scopes: string, expires: number | null = null): Promise<TokenRecord> {
  const { record } = await newToken({ name: scopes, grants: parseGrants([scopes], []), expires });
  return record;
}

Deno.test("a link ends at its time, also for what runs then", async () => {
  const f = new Fixture();
  const server = f.server();
  const { path, expires } = await create(server, { filename: "docs", lifetime: HOUR });
  const { caller } = await visit(server, path);
  const permit = caller.permit({ op: "get", filename: "docs/a" });
  const ended = Promise.withResolvers<FerryError>();
  using _watch = permit.onEnd(ended.resolve);
  f.clock.advance(HOUR - 10_000);
  permit.assert();
  f.clock.advance(expires! - f.clock.now());
  assert(isLinkEnded(await ended.promise));
  await assertEnded(() => permit.assert());
  await assertEnded(() => visit(server, path));
});

Deno.test("the id of a link is never taken for an option", async () => {
  const server = new Fixture().server();
  const making = Array.from({ length: 200 }, () => create(server, { filename: "docs" }));
  const ids = (await Promise.all(making)).map(({ id }) => id);
  assertEquals([new Set(ids).size, ids.filter((id) => id.startsWith("-"))], [200, []]);
});

Deno.test("a link without an end goes on", async () => {
  const f = new Fixture();
  const server = f.server();
  const { path } = await create(server, { filename: "docs", lifetime: null });
  f.clock.advance(1000 * DAY);
  assertEquals((await visit(server, path)).share.filename, "docs");
});

Deno.test("a link allows what it is for, below its directory", async () => {
  const f = new Fixture();
  const server = f.server();
  const read = await visit(server, (await create(server, { filename: "docs" })).path);
  const file = await visit(server, (await create(server, { filename: "docs/a" })).path);
  const box = await visit(server, (await create(server, { filename: "docs", upload: true })).path);
  const requests: [access: AccessRequest, read: boolean, file: boolean, box: boolean][] = [
    [{ op: "get", filename: "docs/a" }, true, true, false],
    [{ op: "get", filename: "docs/b" }, true, false, false],
    [{ op: "get", filename: "secret" }, false, false, false],
    [{ op: "list", filename: "docs" }, true, true, false],
    [{ op: "list", filename: "docs/deep" }, true, false, false],
    [{ op: "list", filename: "" }, false, false, false],
    [{ op: "stat", filename: "docs/b" }, true, false, false],
    [{ op: "put", filename: "docs/new" }, false, false, true],
    [{ op: "mkdir", filename: "docs/new" }, false, false, true],
    [{ op: "put", filename: "new" }, false, false, false],
    [{ op: "remove", filename: "docs/a" }, false, false, false],
    [{ op: "move", filename: "docs/a", to: "docs/c" }, false, false, false],
    [{ op: "share", filename: "docs/a" }, true, true, false],
    [{ op: "exec" }, false, false, false],
  ];
  for (const [access, ...allowed] of requests) {
    const may = [read, file, box].map(({ caller }) => {
      try {
        caller.permit(access);
        return true;
      } catch (error) {
        assertEquals((error as FerryError).code, "denied");
        assert(!/docs/.test((error as FerryError).message), "it tells where the link leads");
        return false;
      }
    });
    assertEquals([access, may], [access, allowed]);
  }
  assertEquals([read, file, box].map(({ caller }) => caller.scopes), [["read"], ["read"], [
    "write",
  ]]);
});

Deno.test("a link ends with the token that it was made with", async () => {
  const f = new Fixture();
  const [one, other] = [await madeToken("read,write"), await madeToken("read")];
  const server = f.server([one, other]);
  const { authority } = server;
  const { path } = await create(server, { filename: "docs" }, one);
  const permit = (await visit(server, path)).caller.permit({ op: "get", filename: "docs/a" });
  const ended = Promise.withResolvers<FerryError>();
  using _watch = permit.onEnd(ended.resolve);
  authority.replace(tokenTable([one]));
  permit.assert();
  authority.replace(tokenTable([other]));
  assert(isLinkEnded(await ended.promise));
  await assertEnded(() => visit(server, path));
  // Another token that has got its id is another one.
  authority.replace(tokenTable([{ ...await madeToken("read"), id: one.id }]));
  await assertEnded(() => visit(server, path));
  await assertEnded(() => visit(f.server([other]), path));
  // It was taken back, and is there again.
  authority.replace(tokenTable([one, other]));
  await visit(server, path);
});

Deno.test("a link ends when its token expires or may no longer do what it is for", async () => {
  const f = new Fixture();
  const brief = await madeToken("read", f.clock.now() + HOUR);
  const writer = await madeToken("write");
  const server = f.server([brief, writer]);
  const read = await create(server, { filename: "docs" }, brief);
  const box = await create(server, { filename: "docs", upload: true }, writer);
  const permit = (await visit(server, read.path)).caller.permit({ op: "get", filename: "docs/a" });
  f.clock.advance(HOUR);
  await assertEnded(() => permit.assert());
  await assertEnded(() => visit(server, read.path));
  await visit(server, box.path);
  server.authority.replace(tokenTable([{ ...writer, grants: parseGrants(["read"], []) }]));
  await assertEnded(() => visit(server, box.path));
});

Deno.test("a link is made only by who may do what it is for, and where there are tokens by a token", async () => {
  const f = new Fixture();
  const [reader, writer] = [await madeToken("read"), await madeToken("write")];
  const server = f.server([reader, writer]);
  await assertCode("auth_required", () => create(server, { filename: "docs" }));
  await assertCode("denied", () => create(server, { filename: "docs", upload: true }, reader));
  await assertCode("denied", () => create(server, { filename: "docs" }, writer));
  await assertCode("not_found", () => create(server, { filename: "missing" }, reader));
  const open = new Authority({
    anonymous: grantEverywhere(["read"]),
    tokens: tokenTable([reader]),
    clock: f.clock,
  });
  const records = new Records(() => f.storage.internal(), createRuntime());
  const shares = new Shares({ records, storage: f.storage, authority: open });
  const anybody = { authority: open, records, shares };
  await assertCode("auth_required", () => create(anybody, { filename: "docs" }));
});

Deno.test("each token lists and takes back its own links, the newest first", async () => {
  const f = new Fixture();
  const [one, other] = [await madeToken("read"), await madeToken("read")];
  const server = f.server([one, other]);
  const first = await create(server, { filename: "docs", downloads: 3 }, one);
  f.clock.advance(1000);
  const second = await create(server, { filename: "docs/a" }, one);
  const foreign = await create(server, { filename: "docs/b" }, other);
  const own = await permitOf(server, { op: "shares" }, one);
  assertEquals(await server.shares.list(own), [second, first]);
  assertEquals(first.downloads, { most: 3, taken: 0 });
  await assertCode("not_found", () => server.shares.revoke(own, foreign.id));
  await assertCode("not_found", () => server.shares.revoke(own, "../keys"));
  await server.shares.revoke(own, first.id);
  await assertCode("not_found", () => server.shares.revoke(own, first.id));
  assertEquals(await server.shares.list(own), [second]);
  await visit(server, foreign.path);
  await assertEnded(() => visit(server, first.path));
});

Deno.test("a link is known to all servers of the files, and ends for all of them", async () => {
  const f = new Fixture();
  const [one, other] = [f.server(), f.server()];
  const { id, path } = await create(one, { filename: "docs" });
  const permit = (await visit(other, path)).caller.permit({ op: "get", filename: "docs/a" });
  const ended = Promise.withResolvers<FerryError>();
  using _watch = permit.onEnd(ended.resolve);
  await one.shares.revoke(await permitOf(one, { op: "unshare" }), id);
  await assertEnded(() => visit(one, path));
  // The other server looks for it now and then.
  f.clock.advance(5000);
  assert(isLinkEnded(await ended.promise));
  await assertEnded(() => visit(other, path));
});

Deno.test("a link that was taken back ends what runs at once", async () => {
  const f = new Fixture();
  const server = f.server();
  const { id, path } = await create(server, { filename: "docs" });
  const permit = (await visit(server, path)).caller.permit({ op: "get", filename: "docs/a" });
  let ended: FerryError | undefined;
  using _watch = permit.onEnd((error) => ended = error);
  await server.shares.revoke(await permitOf(server, { op: "unshare" }), id);
  assert(ended && isLinkEnded(ended));
});

Deno.test("downloads are counted together by all servers, however many begin at once", async () => {
  const f = new Fixture();
  const servers = [f.server(), f.server(), f.server()];
  const { path } = await create(servers[0]!, { filename: "docs/a", downloads: 5 });
  const outcomes = await Promise.allSettled(Array.from({ length: 12 }, async (_, at) => {
    const source = `client ${at}`;
    const visited = await visit(servers[at % 3]!, path, source);
    await visited.countDownload({ first: true, source });
  }));
  assertEquals(outcomes.filter(({ status }) => status === "fulfilled").length, 5);
  for (const server of servers) await assertEnded(() => visit(server, path, "somebody else"));
  const own = await permitOf(servers[0]!, { op: "shares" });
  const [share] = await servers[0]!.shares.list(own);
  assertEquals(share!.downloads, { most: 5, taken: 5 });
});

Deno.test("who has begun a download may go on with it for a day, and not begin it again", async () => {
  const f = new Fixture();
  const server = f.server();
  const { path } = await create(server, { filename: "docs/a", downloads: 1, lifetime: null });
  const mine = await visit(server, path, "me");
  await mine.countDownload({ first: true, source: "me" });
  await mine.countDownload({ first: false, source: "me" });
  const again = await visit(server, path, "me");
  await again.countDownload({ first: false, source: "me" });
  await assertEnded(() => again.countDownload({ first: true, source: "me" }));
  await assertEnded(() => visit(server, path, "you"));
  f.clock.advance(DAY);
  await assertEnded(() => visit(server, path, "me"));
});

Deno.test("what begins in the middle counts as a download of its own", async () => {
  const f = new Fixture();
  const server = f.server();
  const { path } = await create(server, { filename: "docs/a", downloads: 1 });
  const visited = await visit(server, path, "me");
  await visited.countDownload({ first: false, source: "me" });
  await assertEnded(() => visit(server, path, "you"));
});

Deno.test("the records of links that have ended are removed, with their downloads", async () => {
  const f = new Fixture();
  const server = f.server();
  const { id, path } = await create(server, { filename: "docs", lifetime: HOUR, downloads: 1 });
  await (await visit(server, path)).countDownload({ first: true, source: "me" });
  const kinds = ["shares", `downloads-${id}`];
  const kept = () => Promise.all(kinds.map((kind) => Array.fromAsync(server.records.list(kind))));
  assertEquals(await kept(), [[id], ["1"]]);
  f.clock.advance(HOUR);
  const next = await create(server, { filename: "docs", lifetime: null });
  assertEquals(await kept(), [[next.id], []]);
});

Deno.test("an upload by a link never replaces a file", async () => {
  const f = new Fixture();
  const server = f.server();
  const { path } = await create(server, { filename: "docs", upload: true });
  const { caller } = await visit(server, path);
  const permit = caller.permit({ op: "put", filename: "docs/a" });
  assertEquals([permit.link?.createsOnly, permit.owner.startsWith("share:")], [true, true]);
});
