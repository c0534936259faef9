import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { MemoryStorage } from "../../../../../mod.ts";
import { md5, patterned } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { withFiles } from "../../../../support/in_process.ts";

const CONTENT = "0123456789abcdef";
const ETAG = `"${md5(CONTENT)}"`;
const TIME = "Thu, 29 Feb 2024 12:00:00 GMT";
const BEFORE = "Thu, 29 Feb 2024 11:59:59 GMT";
const AFTER = "Thu, 29 Feb 2024 12:00:01 GMT";

/** A server with the file `/f`, whose modification time has a part of a second that header fields leave out. */
async function serverWithFile(): Promise<HttpServer> {
  const server = await HttpServer.start();
  server.write("f", CONTENT);
  const time = Date.parse(TIME) + 500;
  Deno.utimeSync(server.path("f"), new Date(time), new Date(time));
  return server;
}

/** Header fields of a request, and the status, and the body or the value of Content-Range of the response. */
type Case = readonly [fields: Record<string, string | string[]>, status: number, sent?: string];

async function assertCases(cases: readonly Case[], target = "/f"): Promise<void> {
  await using server = await serverWithFile();
  for (const [headers, status, sent] of cases) {
    const got = await server.request("GET", target, { headers });
    const label = JSON.stringify(headers);
    assertEquals(got.status, status, label);
    if (sent !== undefined) assertEquals(got.text, sent, label);
  }
}

Deno.test("a GET is answered by its conditions, in the order that they have", async () => {
  await assertCases([
    [{ "if-none-match": ETAG }, 304, ""],
    [{ "if-none-match": `W/${ETAG}` }, 304, ""],
    [{ "if-none-match": `"other", ${ETAG}` }, 304, ""],
    [{ "if-none-match": "*" }, 304, ""],
    [{ "if-none-match": '"other"' }, 200, CONTENT],
    [{ "if-none-match": md5(CONTENT) }, 400],
    [{ "if-none-match": ['"other"', ETAG] }, 304, ""],
    [{ "if-match": ['"other"', ETAG] }, 200, CONTENT],
    [{ "if-modified-since": TIME }, 304, ""],
    [{ "if-modified-since": AFTER }, 304, ""],
    [{ "if-modified-since": BEFORE }, 200, CONTENT],
    [{ "if-modified-since": "yesterday" }, 200, CONTENT],
    [{ "if-modified-since": "2024-02-29" }, 200, CONTENT],
    // Old forms of dates.
    [{ "if-modified-since": "Thursday, 29-Feb-24 12:00:00 GMT" }, 304, ""],
    [{ "if-modified-since": "Thu Feb 29 12:00:00 2024" }, 304, ""],
    [{ "if-modified-since": "Thu Feb 29 11:59:59 2024" }, 200, CONTENT],
    // The tag has precedence.
    [{ "if-none-match": '"other"', "if-modified-since": AFTER }, 200, CONTENT],
    [{ "if-none-match": ETAG, "if-modified-since": BEFORE }, 304, ""],
    [{ "if-match": ETAG }, 200, CONTENT],
    [{ "if-match": `"other" , ${ETAG}` }, 200, CONTENT],
    [{ "if-match": "*" }, 200, CONTENT],
    [{ "if-match": '"other"' }, 412],
    // Weak tags are never the same for If-Match.
    [{ "if-match": `W/${ETAG}` }, 412],
    [{ "if-unmodified-since": TIME }, 200, CONTENT],
    [{ "if-unmodified-since": BEFORE }, 412],
    [{ "if-unmodified-since": "never" }, 200, CONTENT],
    [{ "if-match": ETAG, "if-unmodified-since": BEFORE }, 200, CONTENT],
    [{ "if-match": '"other"', "if-none-match": ETAG }, 412],
    [{ "if-match": ETAG, "if-none-match": ETAG }, 304, ""],
    [{ "if-match": '"other"', range: "bytes=0-0" }, 412],
    [{ "if-none-match": ETAG, range: "bytes=0-0" }, 304, ""],
    [{ "if-none-match": ETAG, range: "bytes=99-" }, 304, ""],
  ]);
});

Deno.test("a range of a file is sent if it applies", async () => {
  await assertCases([
    [{ range: "bytes=0-0" }, 206, "0"],
    [{ range: "bytes=0-" }, 206, CONTENT],
    [{ range: "bytes=10-" }, 206, "abcdef"],
    [{ range: "bytes=10-99" }, 206, "abcdef"],
    [{ range: "bytes=10-99999999999999999999" }, 206, "abcdef"],
    [{ range: "bytes=-4" }, 206, "cdef"],
    [{ range: "bytes=-99" }, 206, CONTENT],
    [{ range: "BYTES=2-3" }, 206, "23"],
    [{ range: "bytes=, 2-3 ,," }, 206, "23"],
    // Out of bounds.
    [{ range: "bytes=16-" }, 416],
    [{ range: "bytes=99-100" }, 416],
    [{ range: "bytes=-0" }, 416],
    [{ range: "bytes=99999999999999999999-" }, 416],
    // What is malformed is as if it were not there.
    [{ range: "bytes=5-2" }, 200, CONTENT],
    [{ range: "bytes=a-b" }, 200, CONTENT],
    [{ range: "bytes=-" }, 200, CONTENT],
    [{ range: "bytes=" }, 200, CONTENT],
    [{ range: "bytes" }, 200, CONTENT],
    [{ range: "bytes=0-0,x" }, 200, CONTENT],
    [{ range: "lines=0-0" }, 200, CONTENT],
    [{ range: "bytes=0x1-2" }, 200, CONTENT],
    // Parts that overlap or adjoin are one.
    [{ range: "bytes=0-3,2-5" }, 206, "012345"],
    [{ range: "bytes=4-5,0-3" }, 206, "012345"],
    // Of several, those that are in the file.
    [{ range: "bytes=2-3,99-" }, 206, "23"],
    [{ range: `bytes=${Array(51).fill("0-0").join(",")}` }, 416],
    [{ range: "bytes=2-3", "if-range": ETAG }, 206, "23"],
    [{ range: "bytes=2-3", "if-range": '"other"' }, 200, CONTENT],
    [{ range: "bytes=2-3", "if-range": `W/${ETAG}` }, 200, CONTENT],
    [{ range: "bytes=2-3", "if-range": TIME }, 206, "23"],
    [{ range: "bytes=2-3", "if-range": AFTER }, 200, CONTENT],
    [{ range: "bytes=2-3", "if-range": BEFORE }, 200, CONTENT],
    [{ range: "bytes=2-3", "if-range": "nonsense" }, 200, CONTENT],
    [{ range: "bytes=99-", "if-range": '"other"' }, 200, CONTENT],
  ]);
});

Deno.test("a response with a part says which, and describes the whole file", async () => {
  await using server = await serverWithFile();
  const { headers } = await server.request("GET", "/f", { headers: { range: "bytes=2-4" } });
  assertEquals(headers["content-range"], "bytes 2-4/16");
  assertEquals([headers["content-length"], headers.etag], ["3", ETAG]);
  assertEquals(headers["repr-digest"], (await server.request("HEAD", "/f")).headers["repr-digest"]);
  const refused = await server.request("GET", "/f", { headers: { range: "bytes=99-" } });
  assertEquals(refused.headers["content-range"], "bytes */16");
  assertEquals(refused.json.code, "usage");
});

Deno.test("a HEAD has no range, and a condition of it is judged", async () => {
  await using server = await serverWithFile();
  const ranged = await server.request("HEAD", "/f", { headers: { range: "bytes=2-4" } });
  assertEquals([ranged.status, ranged.headers["content-length"]], [200, "16"]);
  const same = await server.request("HEAD", "/f", { headers: { "if-none-match": ETAG } });
  assertEquals([same.status, same.headers.etag], [304, ETAG]);
});

Deno.test("several ranges are the parts of one body", async () => {
  await using server = await serverWithFile();
  const fields = { range: "bytes=12-13,0-1,-1,99-" };
  const { status, headers, text: body } = await server.request("GET", "/f", { headers: fields });
  assertEquals([status, headers["content-length"]], [206, `${body.length}`]);
  const type = String(headers["content-type"]);
  assertMatch(type, /^multipart\/byteranges; boundary=[\w-]+$/);
  const boundary = type.slice(type.indexOf("=") + 1);
  assertEquals(body.split(`--${boundary}`), [
    "\r\n",
    part("bytes 12-13/16", "cd"),
    part("bytes 0-1/16", "01"),
    part("bytes 15-15/16", "f"),
    "--\r\n",
  ]);
  function part(range: string, content: string): string {
    const type = "application/octet-stream";
    return `\r\ncontent-type: ${type}\r\ncontent-range: ${range}\r\n\r\n${content}\r\n`;
  }
});

Deno.test("ranges of an empty file are not in it", async () => {
  await using server = await HttpServer.start();
  server.write("empty", "");
  for (const [range, status] of [["bytes=0-", 416], ["bytes=-1", 200]] as const) {
    const got = await server.request("GET", "/empty", { headers: { range } });
    assertEquals(got.status, status, range);
  }
});

Deno.test("the digests that are wanted are told, and others that are known", async () => {
  await using server = await serverWithFile();
  const sha256 = createHash("sha256").update(CONTENT).digest("base64");
  const hash = createHash("md5").update(CONTENT).digest("base64");
  const [onlyMd5, both] = [
    { repr: `md5=:${hash}:`, legacy: `MD5=${hash}` },
    { repr: `sha-256=:${sha256}:, md5=:${hash}:`, legacy: `SHA-256=${sha256},MD5=${hash}` },
  ];
  const cases = [
    [{}, onlyMd5],
    [{ "want-repr-digest": "md5=5" }, onlyMd5],
    [{ "want-repr-digest": "sha-256=0, md5=1" }, onlyMd5],
    [{ "want-repr-digest": "sha-512=9, unixsum=3" }, onlyMd5],
    [{ "want-digest": "MD5;q=0.5, sha-256;q=0.1" }, onlyMd5],
    [{ "want-repr-digest": "sha-256=3, md5=1" }, both],
    [{ "want-digest": "SHA-256" }, both],
    [{ "want-digest": "MD5, SHA-256" }, both],
  ] as const;
  for (const [headers, { repr, legacy }] of cases) {
    const { headers: got } = await server.request("HEAD", "/f", { headers });
    assertEquals([got["repr-digest"], got.digest], [repr, legacy], JSON.stringify(headers));
    // What was computed for the file before is not known of this one.
    Deno.removeSync(server.path("f"));
    server.write("f", CONTENT);
  }
  const bad = await server.request("GET", "/f", { headers: { "want-repr-digest": "md5=:x" } });
  assertEquals([bad.status, bad.json.code], [400, "bad_header"]);
});

Deno.test("a digest that was wanted once is told from then on", async () => {
  await using server = await HttpServer.start({ wrap: () => new MemoryStorage() });
  await server.request("PUT", "/f", { body: CONTENT });
  const algorithms = async (headers = {}) => {
    const told = (await server.request("HEAD", "/f", { headers })).headers["repr-digest"];
    return String(told).split(", ").map((digest) => digest.split("=:")[0]);
  };
  assertEquals(await algorithms(), ["md5"]);
  assertEquals(await algorithms({ "want-repr-digest": "sha-256=1" }), ["sha-256", "md5"]);
  assertEquals(await algorithms(), ["sha-256", "md5"]);
});

Deno.test("a file without a known checksum that is too large to be read first is sent without", async () => {
  // There is less in it, so that only the header can be sent.
  const size = 64 * 1024 * 1024 + 1;
  const large = withFiles(({ entry }) => ({ entry: { ...entry, size, checksum: null } }));
  await using server = await HttpServer.start({ wrap: large });
  server.write("f", CONTENT);
  const { status, headers } = await server.request("HEAD", "/f");
  assertEquals([status, headers.etag, headers["repr-digest"]], [200, undefined, undefined]);
});

Deno.test("a file that is sent without a known checksum has one the next time", async () => {
  await using server = await HttpServer.start();
  const bytes = new Uint8Array(65 * 1024 * 1024);
  server.write("large", bytes);
  const past = new Date("2024-01-01");
  Deno.utimeSync(server.path("large"), past, past);
  const first = await server.request("GET", "/large");
  assertEquals([first.headers.etag, first.bytes.length], [undefined, bytes.length]);
  assertEquals(md5(first.bytes), md5(bytes));
  const again = await server.request("GET", "/large", { headers: { range: "bytes=1-3" } });
  assertEquals([again.headers.etag, again.status], [`"${md5(bytes)}"`, 206]);
});

Deno.test("a file that changes while it is sent is cut", async () => {
  const content = patterned(1024 * 1024);
  const changing = withFiles((file) => ({
    entry: { ...file.entry, checksum: md5(content) },
    known: () => md5(content),
    find: () => Promise.resolve(md5(content)),
    assertUnchanged: (whole) => {
      Deno.writeTextFileSync(server.path("f"), "and more", { append: true });
      return file.assertUnchanged!(whole);
    },
  }));
  await using server: HttpServer = await HttpServer.start({ wrap: changing });
  for (const headers of [{}, { range: "bytes=1-" }, { range: "bytes=0-9,20-" }]) {
    server.write("f", content);
    await assertRejects(() => server.request("GET", "/f", { headers }), Error, "aborted");
  }
});
