import { assert, assertEquals } from "@std/assert";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { MIB } from "../../../../support/bytes.ts";
import { namesIn } from "../../../../support/directories.ts";
import { HttpServer, type HttpServerOptions } from "../../../../support/http_server.ts";
import { Mount, testWithMount } from "../../../../support/mount.ts";
import { Ferryd, stagedIn } from "../../../../support/programs.ts";
import { conversation, responsesIn } from "../../../../support/raw_http.ts";
import { RawPeer } from "../../../../support/raw_peer.ts";
import { token } from "../../../../support/token_server.ts";
import { FsStorage } from "../../../../../mod.ts";

/** The header of a PUT whose client waits until it is told to send the body. */
function putHeader(target: string, ...fields: string[]): string {
  const all = ["Host: 127.0.0.1", "Expect: 100-continue", ...fields];
  return `PUT ${target} HTTP/1.1\r\n${all.join("\r\n")}\r\n\r\n`;
}

Deno.test("a PUT that cannot succeed is refused before its body is sent", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("dir"));
  Deno.symlinkSync("missing", server.path("dangling"));
  server.write("file", "old");
  const size = `Content-Length: ${3 * MIB}`;
  const cases: [target: string, fields: string[], status: number][] = [
    ["/dir", [size], 409],
    ["/file/below", [size], 409],
    ["/dir/", [size], 409],
    ["/dangling/new", [size], 409],
    ["/file", [size, "If-None-Match: *"], 412],
    ["/file", [size, 'If-Match: "other"'], 412],
    ["/new", [size, "If-Match: *"], 412],
    ["/new", [size, "Content-Range: bytes 0-1/2"], 400],
    ["/new", [size, "Content-MD5: x"], 400],
    ["/new", [size, "Content-Encoding: gzip"], 415],
    ["/%ff", [size], 400],
    ["/new", [`Content-Length: ${2 ** 53}`], 413],
  ];
  for (const [target, fields, status] of cases) {
    const responses = await conversation(server.port, putHeader(target, ...fields));
    assertEquals(responses.map((each) => each.status), [status], `${target} ${fields}`);
  }
  assertEquals(server.read("file"), "old");
  assertEquals(stagedIn(server.path("")), []);
});

Deno.test("a PUT that is larger than what may be stored is refused before its body is sent", async () => {
  const cases: [options: Parameters<typeof FsStorage.open>[1], status: number, code: string][] = [
    [{ maxFileSize: MIB }, 413, "too_large"],
    [{ quota: MIB }, 507, "quota"],
  ];
  for (const [limits, status, code] of cases) {
    const root = Deno.makeTempDirSync();
    await using storage = FsStorage.open(root, { durability: "none", ...limits });
    await using server = await HttpServer.start({ wrap: () => storage });
    const header = putHeader("/large", `Content-Length: ${2 * MIB}`);
    const [refused, ...others] = await conversation(server.port, header);
    assertEquals([refused!.status, others], [status, []]);
    assertEquals(JSON.parse(refused!.text).code, code);
    // The size of a body in chunks shows only while it comes.
    const body = Array.from({ length: 32 }, () => "x".repeat(64 * 1024));
    const cut = await server.request("PUT", "/large", { body }).catch(() => undefined);
    assert(cut === undefined || cut.status === status, `${cut?.status}`);
    const small = await server.request("PUT", "/small", { body: "x" });
    assertEquals([small.status, namesIn(root)], [201, [".ferry", "small"]]);
    await Deno.remove(root, { recursive: true });
  }
});

/** A PUT whose header was sent, and that was told to go on. */
async function begun(server: HttpServer, ...fields: string[]): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  await peer.send(putHeader("/file", ...fields));
  await peer.read("HTTP/1.1 100 Continue\r\n\r\n".length);
  return peer;
}

/** Waits until a server has let go of everything that it received of uploads that were cut. */
async function untilLeft(root: string): Promise<void> {
  const watcher = Deno.watchFs(`${root}/.ferry/staging`);
  try {
    if (stagedIn(root).length === 0) return;
    for await (const _ of watcher) if (stagedIn(root).length === 0) return;
  } finally {
    watcher.close();
  }
}

Deno.test("of a PUT whose body is cut nothing stays, however large it is", async () => {
  await using server = await HttpServer.start();
  server.write("file", "old");
  const cases: [fields: string, sent: string][] = [
    ["Content-Length: 10", "hello"],
    [`Content-Length: ${8 * MIB}`, "x".repeat(5 * MIB)],
    ["Transfer-Encoding: chunked", "5\r\nhello\r\n"],
    ["Transfer-Encoding: chunked", "5\r\nhel"],
  ];
  for (const [fields, sent] of cases) {
    using peer = await begun(server, fields);
    await peer.send(sent);
    await peer.end();
    const [response] = responsesIn(await peer.readAll());
    assertEquals([response?.status, server.read("file")], [400, "old"], fields);
    await untilLeft(server.path(""));
  }
  const { status } = await server.request("PUT", "/file", { body: "new" });
  assertEquals([status, server.read("file")], [200, "new"]);
});

Deno.test("what comes after the announced length belongs to the next request", async () => {
  await using server = await HttpServer.start();
  const sent = "PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello, world";
  const responses = await conversation(server.port, sent);
  assertEquals([responses[0]!.status, server.read("file")], [201, "hello"]);
  assert(responses.slice(1).every(({ status }) => status === 400));
});

/** A server that two tokens may write to. */
async function serveTokens(options: HttpServerOptions = {}) {
  const [writer, reader] = [await token("write"), await token("read")];
  const tokens = tokenTable([writer.record, reader.record]);
  const server = await HttpServer.start({ tokens, ...options });
  return { server, writer, reader };
}

Deno.test("a PUT that its client may not make is refused before its body is sent", async () => {
  const { server, reader } = await serveTokens();
  await using _server = server;
  const size = "Content-Length: 5";
  const cases: [fields: string[], status: number][] = [
    [[size], 401],
    [[size, `Authorization: Bearer ${reader.token}`], 403],
  ];
  for (const [fields, status] of cases) {
    const responses = await conversation(server.port, putHeader("/file", ...fields));
    assertEquals(responses.map((each) => each.status), [status]);
  }
});

Deno.test("a PUT ends when the token that allowed it is taken back", async () => {
  const { server, writer, reader } = await serveTokens();
  await using _server = server;
  const authorization = `Authorization: Bearer ${writer.token}`;
  using peer = await begun(server, `Content-Length: ${2 * MIB}`, authorization);
  await peer.send("x".repeat(MIB));
  server.server.reload({ tokens: tokenTable([reader.record]) });
  const [response] = responsesIn(await peer.readAll());
  assertEquals(response!.status, 401);
  await untilLeft(server.path(""));
  assertEquals(namesIn(server.path("")), [".ferry"]);
});

testWithMount("a PUT that fills the disk leaves nothing, and the file that was there", async () => {
  await using mount = new Mount("size=8m");
  Deno.writeTextFileSync(`${mount.path}/file`, "old");
  await using server = await Ferryd.start(mount.path, ["--http", "127.0.0.1:0"]);
  const port = server.portOf("http");
  const header = (fields: string) =>
    `PUT /file HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${fields}\r\n\r\n`;
  const size = 12 * MIB;
  for (
    const sent of [
      header(`Content-Length: ${size}\r\nExpect: 100-continue`),
      `${header("Transfer-Encoding: chunked")}${size.toString(16)}\r\n${"x".repeat(size)}`,
    ]
  ) {
    using peer = await RawPeer.connect(port);
    // It goes on sending until the server has answered and closes.
    await peer.send(sent).then(() => peer.end()).catch(() => {});
    const [response] = responsesIn(await peer.readAll());
    assertEquals([response!.status, JSON.parse(response!.text).code], [507, "no_space"]);
  }
  assertEquals(Deno.readTextFileSync(`${mount.path}/file`), "old");
  assertEquals(stagedIn(mount.path), []);
});
