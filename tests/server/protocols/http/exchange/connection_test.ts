import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { HttpServer } from "../../../../support/http_server.ts";
import { conversation, responsesIn } from "../../../../support/raw_http.ts";
import { RecordedLog } from "../../../../support/recorded_log.ts";
import { RawPeer } from "../../../../support/raw_peer.ts";

const HOST = "Host: 127.0.0.1\r\n";
const GET = `GET /a HTTP/1.1\r\n${HOST}\r\n`;

/** The status and the code of each response. */
async function outcome(port: number, sent: string): Promise<[number, string | undefined][]> {
  const responses = await conversation(port, sent, { end: false });
  return responses.map((
    { status, text },
  ) => [status, status < 400 ? undefined : JSON.parse(text).code]);
}

Deno.test("a client that is slow with its first header is told so, and a silent one is left", async (t) => {
  await using server = await HttpServer.start({ handshakeTimeout: 150, idleTimeout: 60_000 });
  server.write("a", "a");
  const table: [sent: string, outcome: [number, string | undefined][]][] = [
    ["", []],
    ["GET /a HTTP/1.1\r\nHo", [[408, "timeout"]]],
    [GET.slice(0, -2), [[408, "timeout"]]],
  ];
  for (const [sent, expected] of table) {
    await t.step(JSON.stringify(sent), async () => {
      assertEquals(await outcome(server.port, sent), expected);
    });
  }
});

Deno.test("between two requests a client may be silent for the idle timeout", async (t) => {
  await using server = await HttpServer.start({ handshakeTimeout: 60_000, idleTimeout: 150 });
  server.write("a", "a");
  await t.step("then it is disconnected", async () => {
    assertEquals(await outcome(server.port, GET), [[200, undefined]]);
  });
  await t.step("also if it has begun a header", async () => {
    using peer = await RawPeer.connect(server.port);
    await peer.send(GET);
    const begun = await peer.read(4);
    await peer.send(GET.slice(0, -2));
    const responses = responsesIn(new Uint8Array([...begun!, ...await peer.readAll()]));
    assertEquals(responses.map(({ status }) => status), [200, 408]);
  });
});

Deno.test("a body that stops is given up after the idle timeout, and is no file", async () => {
  await using server = await HttpServer.start({ handshakeTimeout: 100, idleTimeout: 200 });
  const sent = `PUT /a HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\nhello`;
  assertEquals(await outcome(server.port, sent), [[408, "timeout"]]);
  assertEquals((await server.request("GET", "/a")).status, 404);
});

Deno.test("a body that trickles is given up, and one that is slow enough is not", async (t) => {
  const options = { handshakeTimeout: 100, idleTimeout: 300 };
  const send = async (server: HttpServer, bytes: number) => {
    using peer = await RawPeer.connect(server.port);
    await peer.send(`PUT /a HTTP/1.1\r\n${HOST}Content-Length: ${bytes}\r\n\r\n`);
    let responded = false;
    const response = peer.readAll().finally(() => responded = true);
    // It is awaited after everything was sent.
    response.catch(() => {});
    for (let sent = 0; sent < bytes && !responded; sent++) {
      await peer.send("x").catch(() => {});
      await delay(20);
    }
    return responsesIn(await response).map(({ status }) => status);
  };
  await t.step("too slow", async () => {
    await using server = await HttpServer.start({ ...options, minRate: 1000 });
    assertEquals(await send(server, 1_000_000), [408]);
  });
  await t.step("fast enough", async () => {
    await using server = await HttpServer.start({ ...options, idleTimeout: 3000, minRate: 1 });
    assertEquals(await send(server, 40), [201]);
  });
});

Deno.test("a client that takes nothing of a response is disconnected", async () => {
  await using log = await RecordedLog.start();
  await using server = await HttpServer.start({ idleTimeout: 200 });
  server.write("a", new Uint8Array(64 * 1024 * 1024));
  using peer = await RawPeer.connect(server.port);
  await peer.send(GET);
  await log.until("disconnected from HTTP");
  // What the systems of both sides had taken is all that there is.
  const read = async () => responsesIn(await peer.readAll());
  const { message } = await assertRejects(read, Error);
  assert(/cut|reset/.test(message), message);
});

Deno.test("a client that takes nothing of many small responses is disconnected", async () => {
  await using log = await RecordedLog.start();
  await using server = await HttpServer.start({ idleTimeout: 200 });
  server.write("a", new Uint8Array(1024 * 1024));
  using peer = await RawPeer.connect(server.port);
  await peer.send(GET.repeat(60));
  await log.until("disconnected from HTTP");
});
