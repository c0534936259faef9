import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";

const BROWSER =
  "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

function shell(server: HttpServer, path = "/") {
  return server.request("GET", path, { headers: { accept: BROWSER } });
}

/** The path of the part of a document with an extension. */
function partIn(document: string, extension: string): string {
  const [, path] = new RegExp(`"(/\\.ferry/page/[^"]+\\.${extension})"`).exec(document) ?? [];
  assert(path !== undefined, `the document names no .${extension}`);
  return path;
}

Deno.test("a browser gets the page of a directory, and programs get JSON", async () => {
  await using server = await HttpServer.start();
  const cases: [accept: string | undefined, isPage: boolean][] = [
    [BROWSER, true],
    ["text/html", true],
    [undefined, false],
    ["*/*", false],
    ["application/json", false],
    ["application/json, text/html", false],
    ["text/html;q=0.5, application/json", false],
  ];
  for (const [accept, isPage] of cases) {
    const headers = accept === undefined ? {} : { accept };
    const response = await server.request("GET", "/", { headers });
    assertEquals(response.status, 200);
    const type = String(response.headers["content-type"]);
    assertEquals(type.startsWith("text/html"), isPage, accept);
    assertMatch(String(response.headers.vary), /accept/i);
  }
});

Deno.test("the page needs no permission, since it holds no data", async () => {
  await using server = await HttpServer.start({ anonymous: [] });
  assertEquals((await server.request("GET", "/")).status, 403);
  const { status, text } = await shell(server);
  assertEquals(status, 200);
  assert(text.startsWith("<!DOCTYPE html>"));
});

Deno.test("the page runs its own script only, is not embedded, and loads nothing from elsewhere", async () => {
  await using server = await HttpServer.start();
  const first = await shell(server);
  const { headers, text } = first;
  const policy = String(headers["content-security-policy"]);
  const [, nonce] = /script-src 'nonce-([^']+)'/.exec(policy) ?? [];
  assert(nonce !== undefined && nonce.length >= 22);
  for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    assertStringIncludes(policy, rule);
  }
  assert(!/unsafe|https?:|\*/.test(policy), policy);
  for (const [tag] of text.matchAll(/<(script|link rel="stylesheet")[^>]*>/g)) {
    assertStringIncludes(tag, `nonce="${nonce}"`);
  }
  assert(!/<script[^>]*>[^<]|style=|https?:\/\//.test(text), "inline code or another host");
  assertEquals(headers["x-content-type-options"], "nosniff");
  assertEquals(headers["cache-control"], "no-store");
  assert(
    policy !== (await shell(server)).headers["content-security-policy"],
    "a nonce is used once",
  );
});

Deno.test("the parts are kept by browsers for ever, compressed for those that take it", async () => {
  await using server = await HttpServer.start({ anonymous: [] });
  const { text } = await shell(server);
  const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
  for (const [extension, type] of Object.entries(types)) {
    const path = partIn(text, extension);
    const plain = await server.request("GET", path);
    assertEquals([plain.status, plain.headers["content-encoding"]], [200, undefined]);
    assert(String(plain.headers["content-type"]).startsWith(type));
    assertMatch(String(plain.headers["cache-control"]), /immutable/);
    assertEquals(plain.headers.vary, "accept-encoding");
    const packed = await server.request("GET", path, {
      headers: { "accept-encoding": "br, gzip" },
    });
    assertEquals(packed.headers["content-encoding"], "gzip");
    const unpacked = new Blob([packed.bytes as BlobPart]).stream()
      .pipeThrough(new DecompressionStream("gzip"));
    assertEquals(await new Response(unpacked).text(), plain.text);
    const head = await server.request("HEAD", path);
    assertEquals([head.headers["content-length"], head.bytes.length], [`${plain.bytes.length}`, 0]);
  }
});

Deno.test("the worker for digests may compile WebAssembly, and reach nothing", async () => {
  await using server = await HttpServer.start();
  const script = await server.request("GET", partIn((await shell(server)).text, "js"));
  const [name] = /md5-[0-9a-f]{12}\.js/.exec(script.text) ?? [];
  const worker = await server.request("GET", `/.ferry/page/${name}`);
  assertEquals(worker.status, 200);
  assertEquals(
    worker.headers["content-security-policy"],
    "default-src 'none'; script-src 'wasm-unsafe-eval'",
  );
});

Deno.test("parts that are not there are not found", async () => {
  await using server = await HttpServer.start();
  for (const name of ["shell", "main.js", "md5-000000000000.js", "__proto__", "toString", ".."]) {
    const { status } = await server.request("GET", `/.ferry/page/${name}`);
    assert(status === 404 || status === 400, `${name}: ${status}`);
  }
});

Deno.test("a browser that is refused a document gets the page, and a program the problem", async () => {
  await using server = await HttpServer.start({ anonymous: [] });
  const cases: [path: string, status: number][] = [
    ["/file", 403],
    ["/.ferry/unknown", 404],
    ["/.ferry/s/unknown/", 404],
    ["/a%2fb", 400],
  ];
  for (const [path, status] of cases) {
    const page = await shell(server, path);
    assertEquals(page.status, status, path);
    assert(page.text.startsWith("<!DOCTYPE html>"), path);
    const problem = await server.request("GET", path);
    assertEquals([problem.status, problem.json.status], [status, status], path);
  }
  const changed = await server.request("PUT", "/file", { headers: { accept: BROWSER }, body: "x" });
  assertEquals(changed.headers["content-type"], "application/problem+json");
});
