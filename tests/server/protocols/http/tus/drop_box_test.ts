import { assert, assertEquals } from "@std/assert";
import { HttpServer } from "../../../../support/http_server.ts";
import { makeLink } from "../../../../support/share_links.ts";
import { createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

/** A server with a drop box, and the prefix of its link. */
async function start(): Promise<{ server: HttpServer; prefix: string; id: string }> {
  const server = await HttpServer.start();
  Deno.mkdirSync(server.path("inbox"));
  const { prefix, id } = await makeLink(server, { name: "inbox", upload: true });
  return { server, prefix, id };
}

Deno.test("uploads through a link go into its directory, and are seen through it alone", async () => {
  const { server, prefix } = await start();
  await using _server = server;
  const path = await createUpload(server, "sub/f", 11, { at: `${prefix}/.tus/` });
  assert(path.startsWith(`${prefix}/.tus/`), path);
  await sendBytes(server, path, 0, "hello");
  assertEquals((await lookAt(server, path)).headers["upload-offset"], "5");
  const id = path.slice(path.lastIndexOf("/"));
  assertEquals((await lookAt(server, `/.tus${id}`)).status, 404);
  const other = await makeLink(server, { name: "inbox", upload: true });
  assertEquals((await lookAt(server, `${other.prefix}/.tus${id}`)).status, 404);
  const last = await sendBytes(server, path, 5, " world");
  assertEquals(last.headers["content-location"], `${prefix}/sub/f`);
  assertEquals(server.read("inbox/sub/f"), "hello world");
  const outside = await server.request("POST", `${prefix}/.tus/`, {
    headers: { ...TUS, "upload-length": "1", "upload-metadata": metadata({ filename: "../f" }) },
  });
  assertEquals([outside.status, outside.json.code], [400, "bad_name"]);
});

Deno.test("uploads through a link replace nothing", async () => {
  const { server, prefix } = await start();
  await using _server = server;
  server.write("inbox/f", "old");
  const at = `${prefix}/.tus/`;
  const refused = await server.request("POST", at, {
    headers: {
      ...TUS,
      "upload-length": "5",
      "upload-metadata": metadata({ filename: "f", overwrite: "always" }),
    },
  });
  assertEquals([refused.status, refused.json.code], [412, "exists"]);
  // The name gets taken while the upload runs.
  const path = await createUpload(server, "g", 5, { at, values: { overwrite: "always" } });
  server.write("inbox/g", "other");
  const last = await sendBytes(server, path, 0, "hello");
  assertEquals([last.status, last.json.code], [412, "exists"]);
  assertEquals([server.read("inbox/f"), server.read("inbox/g")], ["old", "other"]);
});

Deno.test("parts that were uploaded through a link are put together through it", async () => {
  const { server, prefix } = await start();
  await using _server = server;
  const at = `${prefix}/.tus/`;
  const parts = await Promise.all(["hello ", "world"].map(async (piece) => {
    const headers = { "upload-concat": "partial", "upload-metadata": [] };
    const path = await createUpload(server, "", piece.length, { at, headers });
    await sendBytes(server, path, 0, piece);
    return path;
  }));
  const sum = (where: string) =>
    server.request("POST", where, {
      headers: {
        ...TUS,
        "upload-concat": `final;${parts.join(" ")}`,
        "upload-metadata": metadata({ filename: "f" }),
      },
    });
  assertEquals((await sum("/.tus/")).status, 400);
  const put = await sum(at);
  assertEquals([put.status, put.headers["content-location"]], [201, `${prefix}/f`]);
  assertEquals(server.read("inbox/f"), "hello world");
});

Deno.test("a link that is taken back ends its uploads", async () => {
  const { server, prefix, id } = await start();
  await using _server = server;
  const path = await createUpload(server, "f", 10, { at: `${prefix}/.tus/` });
  await sendBytes(server, path, 0, "12345");
  assertEquals((await server.request("DELETE", `/.ferry/shares/${id}`)).status, 204);
  assertEquals((await sendBytes(server, path, 5, "67890")).status, 410);
  assertEquals((await lookAt(server, path)).status, 410);
  assertEquals([...Deno.readDirSync(server.path("inbox"))], []);
});
