import { assertEquals } from "@std/assert";
import { createRuntime } from "../../../../../mod.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { MovableClock } from "../../../../support/movable_clock.ts";
import { makeLink } from "../../../../support/share_links.ts";

const HOUR = 60 * 60 * 1000;
const TUS = { "tus-resumable": "1.0.0" };
const OFFSET = { ...TUS, "content-type": "application/offset+octet-stream" };

/** Begins an upload of that size; gives the status of the response and the path of the upload. */
async function begin(server: HttpServer, prefix: string, filename: string, size: number) {
  const { status, headers } = await server.request("POST", `${prefix}/.tus/`, {
    headers: {
      ...TUS,
      "upload-length": `${size}`,
      "upload-metadata": `filename ${btoa(filename)}`,
    },
  });
  return { status, path: headers["location"] as string };
}

function patch(server: HttpServer, path: string, offset: number, body: string) {
  const headers = { ...OFFSET, "upload-offset": `${offset}` };
  return server.request("PATCH", path, { headers, body });
}

Deno.test("clients of tus upload by a link, and go on behind it alone", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("inbox"));
  server.write("inbox/there", "there");
  const { prefix } = await makeLink(server, { name: "inbox", upload: true });
  const { status, path } = await begin(server, prefix, "deep/new", 6);
  assertEquals([status, path.startsWith(`${prefix}/.tus/`)], [201, true]);
  assertEquals((await patch(server, path, 0, "abc")).status, 204);
  const head = await server.request("HEAD", path, { headers: TUS });
  assertEquals([head.status, head.headers["upload-offset"]], [200, "3"]);
  // It belongs to the visitors of this link.
  const other = await makeLink(server, { name: "inbox", upload: true });
  for (const elsewhere of [path.slice(prefix.length), path.replace(prefix, other.prefix)]) {
    const { status } = await server.request("HEAD", elsewhere, { headers: TUS });
    assertEquals([elsewhere, status], [elsewhere, 404]);
  }
  const last = await patch(server, path, 3, "def");
  assertEquals([last.status, server.read("inbox/deep/new")], [204, "abcdef"]);
  assertEquals(last.headers["content-location"], `${prefix}/deep/new`);
  assertEquals((await begin(server, prefix, "there", 7)).status, 412);
  assertEquals((await begin(server, prefix, "../outside", 7)).status, 400);
});

Deno.test("a link to download takes no upload by tus", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("docs"));
  const { prefix } = await makeLink(server, { name: "docs" });
  assertEquals((await begin(server, prefix, "new", 3)).status, 403);
});

Deno.test("an upload by tus ends with its link, and nothing of it is published", async () => {
  const clock = new MovableClock();
  await using server = await HttpServer.start({ runtime: createRuntime({ clock }) });
  Deno.mkdirSync(server.path("inbox"));
  const { prefix } = await makeLink(server, { name: "inbox", upload: true, expires_in: HOUR });
  const { path } = await begin(server, prefix, "new", 6);
  assertEquals((await patch(server, path, 0, "abc")).status, 204);
  clock.advance(HOUR);
  assertEquals((await patch(server, path, 3, "def")).status, 410);
  assertEquals([...Deno.readDirSync(server.path("inbox"))], []);
});
