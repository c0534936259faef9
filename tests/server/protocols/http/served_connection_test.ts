import { assert, assertEquals } from "@std/assert";
import { HttpServer } from "../../../support/http_server.ts";
import { conversation, responsesIn } from "../../../support/raw_http.ts";
import { RawPeer } from "../../../support/raw_peer.ts";
import { untilStalled } from "../../../support/stalls.ts";

const HOST = "Host: 127.0.0.1\r\n";
const get = (name: string) => `GET /${name} HTTP/1.1\r\n${HOST}\r\n`;
const put = (name: string, body: string, fields = "") =>
  `PUT /${name} HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n${fields}\r\n${body}`;

/** The statuses of responses. */
const statuses = (responses: readonly { status: number }[]) => responses.map((r) => r.status);

Deno.test("requests of one connection are answered in their order, each when the one before has been", async () => {
  await using server = await HttpServer.start();
  const requests = Array.from({ length: 20 }, (_, i) => put("a", `${i}`) + get("a"));
  const responses = await conversation(server.port, requests.join(""));
  const gets = responses.filter((_, i) => i % 2 === 1);
  assertEquals(gets.map(({ text }) => text), requests.map((_, i) => `${i}`));
});

Deno.test("a client may send 100 requests without waiting, and is disconnected for more", async () => {
  await using server = await HttpServer.start();
  server.write("a", "a");
  const responses = await conversation(server.port, get("a").repeat(101));
  assertEquals(statuses(responses), Array(101).fill(200));
  using peer = await RawPeer.connect(server.port);
  await peer.send(get("a").repeat(500)).catch(() => {});
  assertEquals((await peer.readAll().catch(() => [])).length, 0);
});

Deno.test("requests are read no further while responses are not taken", async () => {
  await using server = await HttpServer.start();
  server.write("large", new Uint8Array(32 * 1024 * 1024));
  using peer = await RawPeer.connect(server.port);
  await peer.send(get("large").repeat(2));
  await peer.read(1);
  const piece = get("large").repeat(50);
  const count = Math.ceil(64 * 1024 * 1024 / piece.length);
  const { taken, finished } = await untilStalled(() => peer.send(piece), count);
  assert(taken < count / 4, `${taken} of ${count} pieces were taken`);
  peer[Symbol.dispose]();
  await finished.catch(() => {});
});

Deno.test("what cannot be understood is refused after the responses to the requests before it", async () => {
  await using server = await HttpServer.start();
  server.write("a", "a");
  const sent = `${get("a")}${get("a")}nonsense\r\n\r\n`;
  const responses = await conversation(server.port, sent, { end: false });
  assertEquals(statuses(responses), [200, 200, 400]);
  assertEquals(responses.at(-1)!.headers.connection, "close");
});

Deno.test("a client that is refused while it waits for 100 Continue sends no body", async () => {
  await using server = await HttpServer.start();
  const body = "x".repeat(100);
  const header = put("a/", body, "Expect: 100-continue\r\n").slice(0, -body.length);
  // Whatever follows would be taken for the body, so the connection has to end.
  const responses = await conversation(server.port, header + get("a"));
  assertEquals(statuses(responses), [409]);
  assertEquals(responses[0]!.headers.connection, "close");
});

Deno.test("a client is told to continue when its body is wanted, and once", async () => {
  await using server = await HttpServer.start();
  const responses = await conversation(
    server.port,
    put("a", "hello", "Expect: 100-continue\r\n") + get("a"),
  );
  assertEquals(statuses(responses), [100, 201, 200]);
  assertEquals(server.read("a"), "hello");
});

Deno.test("a small body that nobody wants is passed over, and the connection goes on", async () => {
  await using server = await HttpServer.start();
  server.write("a", "a");
  const responses = await conversation(server.port, put("a/", "x".repeat(60_000)) + get("a"));
  assertEquals(statuses(responses), [409, 200]);
});

Deno.test("a client that sends a large body that nobody wants gets the response all the same", async () => {
  await using server = await HttpServer.start();
  using peer = await RawPeer.connect(server.port);
  await peer.send(`PUT /a/ HTTP/1.1\r\n${HOST}Content-Length: ${2 ** 40}\r\n\r\n`);
  const sending = async () => {
    const piece = new Uint8Array(64 * 1024);
    for (;;) await peer.send(piece);
  };
  // It goes on sending until the server closes, and then reads.
  const sent = sending().catch(() => {});
  const [response] = responsesIn(await peer.readAll());
  assertEquals(response!.status, 409);
  assertEquals(response!.headers.connection, "close");
  peer[Symbol.dispose]();
  await sent;
});

Deno.test("a body that is cut is an error at once, and nothing of it becomes visible", async () => {
  await using server = await HttpServer.start();
  const cut = put("a", "hello").replace("Content-Length: 5", "Content-Length: 50");
  const [response] = await conversation(server.port, cut);
  assertEquals([response!.status, JSON.parse(response!.text).code], [400, "closed"]);
  const { status } = await server.request("GET", "/a");
  assertEquals(status, 404);
});

Deno.test("a HEAD has the header of the GET, and no body", async () => {
  await using server = await HttpServer.start();
  server.write("a", "hello");
  const sent = get("a") + get("a").replace("GET", "HEAD") + get("a").replace("GET", "HEAD");
  const methods = ["GET", "HEAD", "HEAD"];
  const [got, ...heads] = await conversation(server.port, sent, { methods });
  for (const head of heads) {
    const own = { date: "", "x-request-id": "" };
    assertEquals({ ...head.headers, ...own }, { ...got!.headers, ...own });
  }
  assertEquals(heads.length, 2);
});
