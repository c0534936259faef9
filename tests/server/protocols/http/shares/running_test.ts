import { assert, assertEquals } from "@std/assert";
import { request } from "node:http";
import { createRuntime } from "../../../../../mod.ts";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { MovableClock } from "../../../../support/movable_clock.ts";
import { makeLink } from "../../../../support/share_links.ts";
import { token } from "../../../../support/token_server.ts";

const HOUR = 60 * 60 * 1000;
/** More than the buffers of both ends of a connection have room for. */
const LARGE = 64 * 1024 * 1024;

/** A download of which nothing is read after its first bytes, until `rest` reads the rest. */
async function beginDownload(server: HttpServer, path: string) {
  const started = Promise.withResolvers<{ status: number; rest(): Promise<number> }>();
  const sent = request({ host: "127.0.0.1", port: server.port, path, agent: false });
  sent.on("error", started.reject);
  sent.on("response", (response) => {
    response.pause();
    const rest = async () => {
      let size = 0;
      try {
        for await (const chunk of response) size += chunk.length;
      } catch {
        // It was cut.
      }
      return size;
    };
    started.resolve({ status: response.statusCode ?? 0, rest });
  });
  sent.end();
  return await started.promise;
}

/** An upload whose first byte was sent; `rest` sends the rest. */
async function beginUpload(server: HttpServer, path: string) {
  const answered = Promise.withResolvers<number>();
  const sent = request({
    host: "127.0.0.1",
    port: server.port,
    path,
    method: "PUT",
    agent: false,
    headers: { "content-length": 2, expect: "100-continue" },
  });
  sent.on("error", answered.reject);
  sent.on("response", (response) => {
    response.resume();
    answered.resolve(response.statusCode ?? 0);
  });
  const going = new Promise<void>((resolve) => sent.on("continue", resolve));
  sent.flushHeaders();
  await going;
  sent.write("x");
  const rest = () => {
    sent.end("x");
    return answered.promise;
  };
  return { status: answered.promise, rest };
}

/** A server with a large file, whose clock can be moved forward. */
async function started(options: Parameters<typeof HttpServer.start>[0] = {}) {
  const clock = new MovableClock();
  const runtime = createRuntime({ clock });
  const server = await HttpServer.start({ runtime, ...options });
  server.write("large", new Uint8Array(LARGE));
  return { server, clock };
}

Deno.test("a link that expires ends downloads and uploads, of which nothing is published", async () => {
  const { server, clock } = await started();
  await using _server = server;
  const { path, prefix } = await makeLink(server, { name: "large", expires_in: HOUR });
  const box = await makeLink(server, { name: "", upload: true, expires_in: HOUR });
  const download = await beginDownload(server, path);
  const upload = await beginUpload(server, `${box.prefix}/new`);
  assertEquals(download.status, 200);
  clock.advance(HOUR);
  assert(await download.rest() < LARGE, "all of it arrived");
  assertEquals(await upload.status, 410);
  assertEquals([...Deno.readDirSync(server.path("."))].map(({ name }) => name).sort(), [
    ".ferry",
    "large",
  ]);
  for (const target of [path, `${prefix}/`, `${box.prefix}/.ferry/share`]) {
    const { status, json } = await server.request("GET", target);
    assertEquals([status, json.status, json.code], [410, 410, "denied"]);
  }
});

Deno.test("a link that is taken back ends what uses it, and nothing else", async () => {
  const { server } = await started();
  await using _server = server;
  const [one, other] = [
    await makeLink(server, { name: "large" }),
    await makeLink(server, { name: "large" }),
  ];
  const [ended, goesOn] = [
    await beginDownload(server, one.path),
    await beginDownload(server, other.path),
  ];
  assertEquals((await server.request("DELETE", `/.ferry/shares/${one.id}`)).status, 204);
  assert(await ended.rest() < LARGE, "all of it arrived");
  assertEquals(await goesOn.rest(), LARGE);
});

Deno.test("a link ends with the token that it was made with, also in the middle", async () => {
  const [mine, other] = [await token("read,write"), await token("read")];
  const { server } = await started({ tokens: tokenTable([mine.record, other.record]) });
  await using _server = server;
  const headers = { authorization: `Bearer ${mine.token}` };
  const { path } = await makeLink(server, { name: "large" }, headers);
  const download = await beginDownload(server, path);
  assertEquals(download.status, 200);
  const foreign = { authorization: `Bearer ${other.token}` };
  const list = await server.request("GET", "/.ferry/shares", { headers: foreign });
  assertEquals(list.json, { shares: [] });
  server.server.reload({ tokens: tokenTable([other.record]) });
  assert(await download.rest() < LARGE, "all of it arrived");
  assertEquals((await server.request("GET", path)).status, 410);
});

Deno.test("downloads are counted when content is sent, and those that go on are not", async () => {
  const { server } = await started();
  await using _server = server;
  server.write("f", "0123456789");
  const { path, prefix } = await makeLink(server, { name: "f", downloads: 2 });
  const taken = async () => {
    const { json } = await server.request("GET", "/.ferry/shares");
    return json.shares[0].downloads.taken;
  };
  const get = async (headers: Record<string, string> = {}, method = "GET") => {
    const response = await server.request(method, path, { headers });
    return [response.status, await taken(), response] as const;
  };
  assertEquals((await get({}, "HEAD")).slice(0, 2), [200, 0]);
  const [status, count, { headers: { etag } }] = await get();
  assertEquals([status, count], [200, 1]);
  const table: [headers: Record<string, string>, status: number, taken: number][] = [
    [{ "if-none-match": etag as string }, 304, 1],
    [{ "if-match": '"other"' }, 412, 1],
    [{ range: "bytes=10-" }, 416, 1],
    [{ range: "bytes=5-" }, 206, 1],
    [{ range: "bytes=-1" }, 206, 1],
    [{ range: "bytes=0-4" }, 206, 2],
    [{ range: "bytes=5-" }, 206, 2],
    [{ range: "bytes=3-4,0-1" }, 410, 2],
    [{}, 410, 2],
  ];
  for (const [headers, status, taken] of table) {
    assertEquals([headers, ...(await get(headers)).slice(0, 2)], [headers, status, taken]);
  }
  // Whoever has begun a download may look at what the link is about.
  assertEquals((await server.request("GET", `${prefix}/.ferry/share`)).status, 200);
});

Deno.test("an archive of what is not there is refused, and not counted", async () => {
  const { server } = await started();
  await using _server = server;
  Deno.mkdirSync(server.path("dir"));
  server.write("dir/f", "0123456789");
  const { prefix } = await makeLink(server, { name: "dir", downloads: 1 });
  const archive = (method: string, query: string) =>
    server.request(method, `${prefix}/?archive=zip&${query}`);
  const table: [query: string, status: number][] = [
    ["name=absent", 404],
    ["name=f&name=absent", 404],
    ["name=", 400],
    ["name=..%2Fdir", 400],
    ["name=..", 400],
  ];
  for (const [query, status] of table) {
    for (const method of ["HEAD", "GET"]) {
      assertEquals((await archive(method, query)).status, status, `${method} ${query}`);
    }
  }
  assertEquals((await archive("GET", "name=f")).status, 200);
  assertEquals((await archive("GET", "name=f")).status, 410);
});
