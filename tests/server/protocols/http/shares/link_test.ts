import { assertEquals, assertMatch } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";
import { askForLink, makeLink } from "../../../../support/share_links.ts";

/** A server with some files and directories. */
async function started(): Promise<HttpServer> {
  const server = await HttpServer.start();
  Deno.mkdirSync(server.path("docs/deep"), { recursive: true });
  server.write("docs/report.pdf", "report");
  server.write("docs/other", "other");
  server.write("docs/deep/file", "deep");
  server.write("secret", "secret");
  return server;
}

Deno.test("a link is described when it is made, and in the list, and leads nowhere once taken back", async () => {
  await using server = await started();
  const before = Date.now();
  const { status, json, headers } = await askForLink(server, { name: "docs/report.pdf" });
  assertEquals(status, 201);
  const { id, url, created, expires, ...rest } = json;
  assertEquals(rest, { name: "docs/report.pdf", type: "file", upload: false, downloads: null });
  assertMatch(id, /^[\w-]{11}$/);
  assertEquals(headers["location"], `/.ferry/shares/${id}`);
  assertMatch(url, new RegExp(`^${server.url}/\\.ferry/s/${id}[\\w-]{43}/report\\.pdf$`));
  assertEquals([created >= before, expires - created], [true, 7 * 24 * 60 * 60 * 1000]);

  const path = new URL(url).pathname;
  assertEquals((await server.request("GET", path)).text, "report");
  const listed = await server.request("GET", "/.ferry/shares");
  assertEquals([listed.status, listed.json], [200, { shares: [json] }]);

  assertEquals((await server.request("DELETE", `/.ferry/shares/${id}`)).status, 204);
  assertEquals((await server.request("GET", path)).status, 410);
  assertEquals((await server.request("GET", "/.ferry/shares")).json, { shares: [] });
  assertEquals((await server.request("DELETE", `/.ferry/shares/${id}`)).status, 404);
});

Deno.test("a link to a file leads to that file alone", async () => {
  await using server = await started();
  const { path, prefix } = await makeLink(server, { name: "docs/report.pdf" });
  const table: [method: string, target: string, status: number, body: string | undefined][] = [
    ["GET", path, 200, "report"],
    ["GET", prefix, 200, "report"],
    ["HEAD", path, 200, ""],
    ["GET", `${prefix}/other`, 403, undefined],
    ["GET", `${prefix}/missing`, 403, undefined],
    ["GET", `${prefix}/deep/`, 403, undefined],
    ["GET", `${prefix}/../secret`, 400, undefined],
    ["GET", `${prefix}/%2e%2e/secret`, 400, undefined],
    ["PUT", path, 403, undefined],
    ["DELETE", path, 403, undefined],
    ["POST", `${prefix}/new/`, 403, undefined],
    ["POST", `${prefix}/.ferry/api/move`, 404, undefined],
    ["GET", `${prefix}/.ferry/session`, 404, undefined],
    ["GET", `${prefix}/.ferry/shares`, 404, undefined],
    ["GET", `${prefix}/.ferry/s/`, 404, undefined],
    ["GET", "/.ferry/share", 404, undefined],
  ];
  for (const [method, target, status, body] of table) {
    const response = await server.request(method, target, { body: method === "PUT" ? "x" : [] });
    assertEquals([target, response.status], [target, status]);
    if (body !== undefined) assertEquals(response.text, body);
    else assertEquals(response.text.includes("docs"), false, response.text);
  }
  const list = await server.request("GET", `${prefix}/`);
  assertEquals(list.json.directory, "");
  assertEquals(list.json.entries.map(({ name }: { name: string }) => name), ["report.pdf"]);
  const archive = await server.request("GET", `${prefix}/?archive=tar`);
  assertEquals([archive.status, archive.headers["content-disposition"]], [
    200,
    "attachment; filename=files.tar",
  ]);
  assertEquals([archive.text.includes("report"), archive.text.includes("other")], [true, false]);
  assertEquals(server.read("docs/report.pdf"), "report");
});

Deno.test("a link to a file shows no other by way of its directory", async () => {
  await using server = await started();
  for (const name of ["docs/report.pdf", "secret"]) {
    const { path, prefix } = await makeLink(server, { name });
    const file = name.slice(name.lastIndexOf("/") + 1);
    for (const archive of ["tar", "zip"]) {
      const own = await server.request("GET", `${prefix}/?archive=${archive}&name=${file}`);
      assertEquals([own.status, own.text.includes(file)], [200, true]);
      for (const other of ["other", "deep", "docs", "missing"]) {
        const target = `${prefix}/?archive=${archive}&name=${other}`;
        const { status, json } = await server.request("GET", target);
        assertEquals([target, status, json.code], [target, 403, "denied"]);
      }
      assertEquals((await server.request("GET", `${path}/?archive=${archive}`)).status, 404);
    }
    assertEquals((await server.request("GET", `${path}/`)).status, 404);
  }
});

Deno.test("a link to a directory leads to what is below it, and no further", async () => {
  await using server = await started();
  const { path, prefix } = await makeLink(server, { name: "docs" });
  assertEquals(path, `${prefix}/`);
  const list = await server.request("GET", path);
  const names = list.json.entries.map(({ name }: { name: string }) => name);
  assertEquals(names, ["deep", "other", "report.pdf"]);
  assertEquals((await server.request("GET", `${prefix}/deep/file`)).text, "deep");
  assertEquals((await server.request("GET", `${prefix}/missing`)).status, 404);
  const { status, headers } = await server.request("GET", prefix);
  assertEquals([status, headers["location"]], [307, path]);
  const deep = await server.request("GET", `${prefix}/deep`);
  assertEquals([deep.status, deep.headers["location"]], [307, `${prefix}/deep/`]);
  for (const target of [`${prefix}/docs/report.pdf`, `${prefix}/secret`]) {
    assertEquals((await server.request("GET", target)).status, 404);
  }
  assertEquals((await server.request("PUT", `${prefix}/new`, { body: "x" })).status, 403);
});

Deno.test("a link may lead to the root, and a name may need encoding", async () => {
  await using server = await started();
  server.write("发票 #1?.pdf", "content");
  const root = await makeLink(server, { name: "" });
  assertEquals((await server.request("GET", `${root.prefix}/secret`)).text, "secret");
  const { path } = await makeLink(server, { name: "发票 #1?.pdf" });
  assertEquals((await server.request("GET", path)).text, "content");
});

Deno.test("a link for uploads takes files, replaces none, and shows nothing", async () => {
  await using server = await started();
  const { prefix, path } = await makeLink(server, { name: "docs", upload: true });
  const about = await server.request("GET", `${prefix}/.ferry/share`);
  const { expires: _, ...rest } = about.json;
  assertEquals(rest, { name: "docs", type: "directory", upload: true, downloads: null });
  assertEquals((await server.request("GET", path)).status, 403);
  assertEquals((await server.request("GET", `${prefix}/other`)).status, 403);
  assertEquals((await server.request("HEAD", `${prefix}/other`)).status, 403);
  assertEquals((await server.request("DELETE", `${prefix}/other`)).status, 403);
  const put = await server.request("PUT", `${prefix}/in/new`, { body: "new" });
  assertEquals([put.status, server.read("docs/in/new")], [201, "new"]);
  const replaced = await server.request("PUT", `${prefix}/other`, { body: "replaced" });
  assertEquals([replaced.status, replaced.json.code], [412, "exists"]);
  assertEquals(server.read("docs/other"), "other");
  assertEquals((await server.request("POST", `${prefix}/empty/`)).status, 201);
  assertEquals(Deno.statSync(server.path("docs/empty")).isDirectory, true);
});

Deno.test("a link is not found, if its signature is not right", async () => {
  await using server = await started();
  const { prefix, path } = await makeLink(server, { name: "docs" });
  const last = prefix.at(-1) === "A" ? "E" : "A";
  const wrong = ["/.ferry/s/", "/.ferry/s/x/", `${prefix.slice(0, -1)}${last}/`, `${prefix}A/`];
  for (const target of wrong) {
    assertEquals([target, (await server.request("GET", target)).status], [target, 404]);
  }
  assertEquals((await server.request("GET", path)).status, 200);
});

Deno.test("a link is refused that cannot be", async () => {
  await using server = await started();
  const table: [request: unknown, status: number, code: string][] = [
    [{ name: "missing" }, 404, "not_found"],
    [{ name: "../docs" }, 400, "bad_name"],
    [{ name: ".ferry" }, 400, "bad_name"],
    [{ name: "docs/other", upload: true }, 409, "not_a_file"],
    [{ name: "docs", upload: true, downloads: 1 }, 400, "bad_header"],
    [{ name: "docs", expires_in: 0 }, 400, "bad_header"],
    [{ name: "docs", expires_in: "7d" }, 400, "bad_header"],
    [{ name: "docs", downloads: 1.5 }, 400, "bad_header"],
    [{ name: "docs", downloads: 10_001 }, 400, "bad_header"],
    [{ name: "docs", other: 1 }, 400, "bad_header"],
    [{}, 400, "bad_header"],
  ];
  for (const [request, status, code] of table) {
    const response = await askForLink(server, request);
    assertEquals([request, response.status, response.json.code], [request, status, code]);
  }
  assertEquals((await server.request("GET", "/.ferry/shares")).json, { shares: [] });
});

Deno.test("a person gets the page first, which neither shows nor counts the file", async () => {
  await using server = await started();
  const { path, prefix } = await makeLink(server, { name: "docs/report.pdf", downloads: 1 });
  const headers = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
  const first = await server.request("GET", path, { headers });
  assertEquals([first.status, first.headers["location"]], [307, `${prefix}/`]);
  const page = await server.request("GET", `${prefix}/`, { headers });
  assertMatch(page.headers["content-type"] as string, /^text\/html/);
  assertEquals(page.headers["x-robots-tag"], "noindex");
  const about = await server.request("GET", `${prefix}/.ferry/share`);
  assertEquals(about.json.downloads, { most: 1, taken: 0 });
  const file = await server.request("GET", `${path}?download`, { headers });
  assertEquals([file.text, file.headers["referrer-policy"]], ["report", "no-referrer"]);
  assertEquals((await server.request("GET", `${path}?download`, { headers })).status, 410);
});
