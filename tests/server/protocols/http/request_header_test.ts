import { assertEquals } from "@std/assert";
import { HttpServer } from "../../../support/http_server.ts";
import { conversation } from "../../../support/raw_http.ts";

const HOST = "Host: 127.0.0.1\r\n";

/** A GET of a file that exists. */
const GET = `GET /kept HTTP/1.1\r\n${HOST}\r\n`;

/** The start of a PUT. */
const PUT = `PUT /new HTTP/1.1\r\n${HOST}`;

const CHUNKED = `${PUT}Transfer-Encoding: chunked\r\n`;

/** A request for a target. */
const target = (text: string) => `GET ${text} HTTP/1.1\r\n${HOST}\r\n`;

/** What is sent, and the status and the code of the only response. */
type Refused = readonly [what: string, sent: string, status: number, code: string];

const AMBIGUOUS: readonly Refused[] = [
  ["a length and chunks", `${CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n${GET}`, 400, "bad_header"],
  [
    "chunks and a length",
    `${PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GET}`,
    400,
    "bad_header",
  ],
  ["two lengths", `${PUT}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345`, 400, "bad_header"],
  ["a list of lengths", `${PUT}Content-Length: 5, 5\r\n\r\n12345`, 400, "bad_header"],
  ["a length with a sign", `${PUT}Content-Length: +5\r\n\r\n12345`, 400, "bad_header"],
  ["a negative length", `${PUT}Content-Length: -5\r\n\r\n12345`, 400, "bad_header"],
  ["a length in base 16", `${PUT}Content-Length: 0x5\r\n\r\n12345`, 400, "bad_header"],
  ["no length", `${PUT}Content-Length:\r\n\r\n12345`, 400, "bad_header"],
  ["a length beyond 64 bits", `${PUT}Content-Length: ${"9".repeat(30)}\r\n\r\n`, 400, "bad_header"],
  ["a length beyond 53 bits", `${PUT}Content-Length: ${2n ** 60n}\r\n\r\n12345`, 413, "too_large"],
  ["another coding", `${PUT}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501, "bad_header"],
  ["no coding", `${PUT}Transfer-Encoding: identity\r\n\r\n12345`, 501, "bad_header"],
  [
    "a coding like chunked",
    `${PUT}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    501,
    "bad_header",
  ],
  ["two codings", `${CHUNKED}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400, "bad_header"],
  ["a space after a name", `${PUT}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, 400, "bad_header"],
  [
    "chunks in HTTP/1.0",
    `PUT /new HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    "bad_header",
  ],
  ["a chunk without a size", `${CHUNKED}\r\nzz\r\nhello\r\n0\r\n\r\n`, 400, "bad_header"],
  ["a size in another base", `${CHUNKED}\r\n0x5\r\nhello\r\n0\r\n\r\n`, 400, "bad_header"],
  ["a size beyond 64 bits", `${CHUNKED}\r\n${"f".repeat(17)}\r\nhello\r\n`, 400, "bad_header"],
  ["chunks with bare line feeds", `${CHUNKED}\r\n5\nhello\n0\n\n`, 400, "bad_header"],
  ["a chunk with more bytes", `${CHUNKED}\r\n5\r\nhello!!\r\n0\r\n\r\n`, 400, "bad_header"],
  ["bare line feeds", GET.replaceAll("\r", ""), 400, "bad_header"],
  ["a bare carriage return", GET.replace("Host: ", "X: a\rb\r\nHost: "), 400, "bad_header"],
  ["a folded field", GET.replace("Host: ", "X: a\r\n b\r\nHost: "), 400, "bad_header"],
  ["a NUL", GET.replace("Host: ", "X: a\0\r\nHost: "), 400, "bad_header"],
  ["a space in a name", GET.replace("Host: ", "X Y: a\r\nHost: "), 400, "bad_header"],
  ["a field without a colon", GET.replace("Host: ", "XY\r\nHost: "), 400, "bad_header"],
  ["two hosts", GET.replace(HOST, HOST + HOST), 400, "bad_header"],
  ["no host", GET.replace(HOST, ""), 400, "bad_header"],
];

const OTHER: readonly Refused[] = [
  ["a long header", GET.replace(HOST, `${HOST}X: ${"a".repeat(40_000)}\r\n`), 431, "too_large"],
  ["many fields", GET.replace(HOST, HOST + "X: a\r\n".repeat(60_000)), 431, "too_large"],
  ["a long target", target(`/${"a".repeat(40_000)}`), 431, "too_large"],
  ["another protocol", "\x16\x03\x01\x02\x00\x01", 400, "bad_header"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_header"],
  ["another version", GET.replace("1.1", "9.9"), 400, "bad_header"],
  ["an unknown method", GET.replace("GET", "GRAB"), 400, "bad_header"],
  ["a method that nothing has", GET.replace("GET", "PATCH"), 405, "usage"],
  ["a tunnel", `CONNECT 127.0.0.1:80 HTTP/1.1\r\n${HOST}\r\n`, 501, "usage"],
];

const TARGETS: readonly Refused[] = [
  ...[
    ...["/../kept", "/..", "/a/../kept", "/./kept", "/a/.", "/%2e%2e/kept", "/%2E%2E/kept"],
    ...["/.%2e/kept", "/%2e/kept", "/a/%2e%2e/kept", "/%2e%2e%2fkept", "/a%2fkept", "/kept%00"],
    ...["//kept", "/a//kept", "/%ff", "/%c0%ae%c0%ae/kept", "/%", "/%2", "/%zz", "/%ed%a0%80"],
  ].map((text) => [text, target(text), 400, "bad_name"] as const),
  ...["*", "http://127.0.0.1:1/kept", "https://example.com/kept", "http:///kept"].map((text) =>
    [text, target(text), 400, "bad_header"] as const
  ),
  ...["kept", "ftp://127.0.0.1/kept", "/a b", "/ä"].map((text) =>
    [text, target(text), 400, "bad_header"] as const
  ),
  // These are names like others.
  ...["/..%5ckept", "/%252e%252e/kept", "/..;/kept", "/...", "/kept%20", "/kept%0d%0aX:%20y"].map(
    (text) => [text, target(text), 404, "not_found"] as const,
  ),
  // Under these names nothing can be reached but what has a route.
  ...["/.ferry", "/.ferry/", "/.ferry/lock", "/.ferry/x/y", "/%2eferry/session", "/%2etus/x"].map(
    (text) => [text, target(text), 404, "not_found"] as const,
  ),
  [
    "a file of a reserved name",
    `PUT /.tus/x/y HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\n1`,
    405,
    "usage",
  ],
];

Deno.test("a request that cannot be understood in one way only is refused by a problem", async (t) => {
  await using server = await HttpServer.start();
  server.write("kept", "kept");
  for (const [what, sent, status, code] of [...AMBIGUOUS, ...OTHER, ...TARGETS]) {
    await t.step(what, async () => {
      const [response, ...further] = await conversation(server.port, sent);
      assertEquals([response!.status, JSON.parse(response!.text).code], [status, code]);
      assertEquals(response!.headers["content-type"], "application/problem+json");
      assertEquals(JSON.parse(response!.text).status, status);
      assertEquals(further, []);
    });
  }
  const names = [...Deno.readDirSync(server.path("."))].map(({ name }) => name);
  assertEquals(names.filter((name) => name !== ".ferry"), ["kept"]);
});

Deno.test("fields are seen behind one that is called as a property of every object", async () => {
  await using server = await HttpServer.start();
  server.write("kept", "kept");
  const fields = "Constructor: x\r\nRange: bytes=1-2\r\n";
  const [response] = await conversation(server.port, GET.replace(HOST, fields + HOST));
  assertEquals([response!.status, response!.text], [206, "ep"]);
});

Deno.test("unusual requests that have one meaning are answered", async (t) => {
  await using server = await HttpServer.start();
  server.write("kept", "kept");
  const table: readonly (readonly [what: string, sent: string, status: number])[] = [
    ["HTTP/1.0 without a host", "GET /kept HTTP/1.0\r\n\r\n", 200],
    ["an absolute target", target("http://127.0.0.1/kept"), 200],
    ["an absolute target in capitals", target("HTTP://127.0.0.1/kept"), 200],
    ["an absolute target without a path", target("http://127.0.0.1"), 200],
    ["a body of a GET", GET.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello"), 200],
    ["a wish for another protocol", GET.replace(HOST, `${HOST}Upgrade: h2c\r\n`), 200],
    ...["constructor", "__proto__", "hasownproperty"].map((name) =>
      [`a field called ${name}`, GET.replace(HOST, `${name}: x\r\n${HOST}`), 200] as const
    ),
    ["OPTIONS of everything", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 204],
    ["OPTIONS of a file", `OPTIONS /kept HTTP/1.1\r\n${HOST}\r\n`, 204],
    ["many fields", GET.replace(HOST, HOST + "X: a\r\n".repeat(4000)), 200],
    ["chunks with an extension", `${CHUNKED}\r\n5;a=b\r\nhello\r\n0\r\n\r\n`, 201],
    ["chunks with a trailer", `${CHUNKED}\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n`, 200],
    ["the name of a coding in capitals", CHUNKED.toUpperCase() + "\r\n0\r\n\r\n", 201],
  ];
  for (const [what, sent, status] of table) {
    await t.step(what, async () => {
      const responses = await conversation(server.port, sent);
      assertEquals(responses.map(({ status }) => status), [status], responses[0]?.text);
    });
  }
});
