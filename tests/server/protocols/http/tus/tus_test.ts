import { assert, assertEquals } from "@std/assert";
import { type HttpRequest, HttpServer } from "../../../../support/http_server.ts";
import { BYTES, createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

Deno.test("OPTIONS tells what the server can do, to clients of any version", async () => {
  await using server = await HttpServer.start();
  for (const path of ["/.tus/", "/.tus", "/.tus/some-id", "/.tus/photos/"]) {
    const { status, headers } = await server.request("OPTIONS", path);
    assertEquals([status, headers["tus-version"]], [204, "1.0.0"], path);
    assertEquals(headers["tus-resumable"], undefined);
    assertEquals((headers["tus-extension"] as string).split(",").sort(), [
      "checksum",
      "concatenation",
      "creation",
      "creation-defer-length",
      "creation-with-upload",
      "expiration",
      "termination",
    ]);
    const algorithms = (headers["tus-checksum-algorithm"] as string).split(",");
    assert(algorithms.includes("sha1") && algorithms.includes("md5"));
  }
});

Deno.test("every response has the version, and a request of another one is refused", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "f", 10);
  const requests: [string, string][] = [["POST", "/.tus/"], ["PATCH", path], ["HEAD", path], [
    "DELETE",
    path,
  ]];
  for (const [method, target] of requests) {
    for (const version of ["0.2.2", "1.0", "1.0.1", ""]) {
      const headers = { ...BYTES, "upload-offset": "0", "tus-resumable": version };
      const refused = await server.request(method, target, { headers });
      assertEquals([refused.status, refused.headers["tus-version"]], [412, "1.0.0"]);
      assertEquals(refused.headers["tus-resumable"], "1.0.0");
      if (method !== "HEAD") assertEquals(refused.json.code, "bad_version");
    }
  }
  const missing = await server.request("HEAD", "/.tus/no-such-upload", { headers: TUS });
  assertEquals([missing.status, missing.headers["tus-resumable"]], [404, "1.0.0"]);
  assertEquals((await lookAt(server, path)).headers["upload-offset"], "0");
});

Deno.test("X-HTTP-Method-Override takes the place of the method", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "f", 10);
  const instead = (method: string) => ({ "x-http-method-override": method });
  const patched = await server.request("POST", path, {
    headers: { ...BYTES, ...instead("PATCH"), "upload-offset": "0" },
    body: "12345",
  });
  assertEquals([patched.status, patched.headers["upload-offset"]], [204, "5"]);
  const shown = await server.request("POST", path, { headers: { ...TUS, ...instead("HEAD") } });
  assertEquals([shown.status, shown.headers["upload-offset"]], [200, "5"]);
  const gone = await server.request("POST", path, { headers: { ...TUS, ...instead("DELETE") } });
  assertEquals(gone.status, 204);
  assertEquals((await lookAt(server, path)).status, 404);
  // A link that somebody follows never becomes anything else.
  const got = await server.request("GET", path, { headers: { ...TUS, ...instead("DELETE") } });
  assertEquals(got.status, 405);
});

Deno.test("what is not for an upload, or not for where they are created, is refused", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "f", 10);
  const refused = async (method: string, target: string) => {
    const { status, headers } = await server.request(method, target, { headers: TUS });
    return [status, headers.allow];
  };
  assertEquals(await refused("GET", path), [405, "DELETE, HEAD, OPTIONS, PATCH"]);
  assertEquals(await refused("POST", path), [405, "DELETE, HEAD, OPTIONS, PATCH"]);
  assertEquals(await refused("PATCH", "/.tus/"), [405, "OPTIONS, POST"]);
  assertEquals(await refused("HEAD", "/.tus/a/b/"), [405, "OPTIONS, POST"]);
  assertEquals((await refused("PATCH", "/.tus/a/b"))[0], 405);
  assertEquals((await refused("PUT", path))[0], 405);
});

/** Requests that are refused, and with what. */
const REFUSED: {
  what: string;
  method?: string;
  headers?: HttpRequest["headers"];
  body?: string;
  status: number;
  code: string;
}[] = [
  { what: "no size", headers: { "upload-length": [] }, status: 400, code: "bad_header" },
  { what: "a negative size", headers: { "upload-length": "-1" }, status: 400, code: "bad_header" },
  { what: "a size in hex", headers: { "upload-length": "0x10" }, status: 400, code: "bad_header" },
  {
    what: "a size of 2^53",
    headers: { "upload-length": "9007199254740992" },
    status: 413,
    code: "too_large",
  },
  {
    what: "two sizes",
    headers: { "upload-length": ["1", "1"] },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a size now and later",
    headers: { "upload-defer-length": "1" },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a size later, said wrongly",
    headers: { "upload-length": [], "upload-defer-length": "yes" },
    status: 400,
    code: "bad_header",
  },
  { what: "no name", headers: { "upload-metadata": [] }, status: 400, code: "bad_name" },
  {
    what: "a name that is no base64",
    headers: { "upload-metadata": "filename §§§" },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a name that is no UTF-8",
    headers: { "upload-metadata": "filename /w==" },
    status: 400,
    code: "bad_header",
  },
  {
    what: "two names",
    headers: { "upload-metadata": "filename YQ==,filename Yg==" },
    status: 400,
    code: "bad_header",
  },
  ...["../f", "a/../../f", "/f", "a//b", ".", "a\0b", ".ferry/x", "a/", ""].map((filename) => ({
    what: `the name ${JSON.stringify(filename)}`,
    headers: { "upload-metadata": metadata({ filename }) },
    status: 400,
    code: "bad_name",
  })),
  {
    what: "another policy",
    headers: { "upload-metadata": metadata({ filename: "f", overwrite: "maybe" }) },
    status: 400,
    code: "bad_header",
  },
  {
    what: "an MD5 that is none",
    headers: { "upload-metadata": metadata({ filename: "f", md5: "abc" }) },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a time that is none",
    headers: { "upload-metadata": metadata({ filename: "f", mtime: "today" }) },
    status: 400,
    code: "bad_header",
  },
  { what: "bytes of another type", body: "12345", status: 415, code: "usage" },
  {
    what: "more bytes than announced",
    headers: { "content-type": BYTES["content-type"] },
    body: "12345678901",
    status: 413,
    code: "too_large",
  },
  {
    what: "parts of no kind",
    headers: { "upload-concat": "some" },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a sum of nothing",
    headers: { "upload-concat": "final;", "upload-length": [] },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a sum of something else",
    headers: { "upload-concat": "final;/etc/passwd", "upload-length": [] },
    status: 400,
    code: "bad_header",
  },
  {
    what: "a sum of what is not there",
    headers: { "upload-concat": "final;/.tus/nothing", "upload-length": [] },
    status: 404,
    code: "not_found",
  },
  {
    what: "a digest that is none",
    headers: { "repr-digest": "md5=abc" },
    status: 400,
    code: "bad_header",
  },
];

Deno.test("a creation that cannot succeed is refused, and says why", async (t) => {
  await using server = await HttpServer.start();
  const usual = { ...TUS, "upload-length": "10", "upload-metadata": metadata({ filename: "f" }) };
  for (const { what, headers, body, status, code } of REFUSED) {
    await t.step(what, async () => {
      const options = { headers: { ...usual, ...headers }, ...body === undefined ? {} : { body } };
      const refused = await server.request("POST", "/.tus/", options);
      assertEquals([refused.status, refused.json.code], [status, code], refused.text);
      assertEquals(refused.headers["content-type"], "application/problem+json");
      assertEquals(refused.headers["tus-resumable"], "1.0.0");
    });
  }
  assertEquals([...Deno.readDirSync(server.path(""))].map(({ name }) => name), [".ferry"]);
});

Deno.test("bytes that cannot be appended are refused, and change nothing", async (t) => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "f", 10);
  await sendBytes(server, path, 0, "12345");
  const cases: { what: string; headers: HttpRequest["headers"]; status: number; body?: string }[] =
    [
      { what: "an offset before", headers: { "upload-offset": "4" }, status: 409 },
      { what: "an offset behind", headers: { "upload-offset": "6" }, status: 409 },
      { what: "no offset", headers: { "upload-offset": [] }, status: 400 },
      { what: "an offset that is none", headers: { "upload-offset": "5.0" }, status: 400 },
      { what: "another type", headers: { "content-type": "text/plain" }, status: 415 },
      { what: "no type", headers: { "content-type": [] }, status: 415 },
      { what: "too many bytes", headers: {}, body: "123456", status: 413 },
      { what: "another size", headers: { "upload-length": "11" }, status: 400 },
      { what: "an unknown checksum", headers: { "upload-checksum": "crc32 AAAA" }, status: 400 },
      { what: "half a checksum", headers: { "upload-checksum": "md5 AAAA" }, status: 400 },
      { what: "no base64", headers: { "upload-checksum": "md5 §" }, status: 400 },
      {
        what: "a wrong checksum",
        headers: { "upload-checksum": "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
        status: 460,
      },
    ];
  for (const { what, headers, status, body = "67890" } of cases) {
    await t.step(what, async () => {
      const refused = await sendBytes(server, path, 5, body, headers);
      assertEquals(refused.status, status, refused.text);
      if (status === 409) assertEquals(refused.headers["upload-offset"], "5");
      const { headers: seen } = await lookAt(server, path);
      assertEquals([seen["upload-offset"], seen["upload-length"]], ["5", "10"]);
    });
  }
  assertEquals((await sendBytes(server, path, 5, "67890")).status, 204);
  assertEquals(server.read("f"), "1234567890");
});

Deno.test("scripts of an allowed origin may upload, and see how far they have come", async () => {
  const origin = "https://app.example.org";
  await using server = await HttpServer.start({ httpOrigins: [origin] });
  const path = await createUpload(server, "f", 5, { headers: { origin } });
  const fields = ["tus-resumable", "upload-offset", "content-type"].join(",");
  const preflight = await server.request("OPTIONS", path, {
    headers: {
      origin,
      "access-control-request-method": "PATCH",
      "access-control-request-headers": fields,
    },
  });
  assertEquals(preflight.status, 204);
  const listOf = (header: unknown) => (header as string).toLowerCase().split(/, */);
  assert(listOf(preflight.headers["access-control-allow-methods"]).includes("patch"));
  for (const field of fields.split(",")) {
    assert(listOf(preflight.headers["access-control-allow-headers"]).includes(field), field);
  }
  const last = await sendBytes(server, path, 0, "hello", { origin });
  assertEquals([last.status, last.headers["access-control-allow-origin"]], [204, origin]);
  const exposed = listOf(last.headers["access-control-expose-headers"]);
  const seen = await lookAt(server, path, { origin });
  const always = ["connection", "date", "keep-alive", "vary", "cache-control", "content-length"];
  for (const response of [last, seen]) {
    const own = Object.keys(response.headers)
      .filter((name) => !always.includes(name) && !name.startsWith("access-control-"));
    assertEquals(own.filter((name) => !exposed.includes(name)), []);
  }
  // The server tells what it can do to whoever asks, also from a page.
  const told = await server.request("OPTIONS", "/.tus/", { headers: { origin } });
  assertEquals([told.status, told.headers["tus-version"]], [204, "1.0.0"]);
  const foreign = await sendBytes(server, path, 5, "", { origin: "https://evil.example" });
  assertEquals(foreign.status, 403);
});
