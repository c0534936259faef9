import { assertEquals } from "@std/assert";
import { md5 } from "../../../../support/bytes.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { BYTES, createUpload, lookAt, metadata, sendBytes, TUS } from "../../../../support/tus.ts";

Deno.test("an upload gets its name from its metadata and from where it is created", async () => {
  await using server = await HttpServer.start();
  const cases: [at: string, values: Record<string, string>, name: string][] = [
    ["/.tus/", { filename: "plain" }, "plain"],
    ["/.tus", { filename: "without a slash" }, "without a slash"],
    ["/.tus/", { name: "by uppy" }, "by uppy"],
    ["/.tus/", { filename: "a", name: "b" }, "a"],
    ["/.tus/", { filename: "d/ä 漢.txt" }, "d/ä 漢.txt"],
    ["/.tus/photos/2026/", { filename: "in a directory" }, "photos/2026/in a directory"],
    ["/.tus/%C3%A4%20b/", { filename: "x/y" }, "ä b/x/y"],
    ["/.tus/", { name: "n", relativePath: "null" }, "n"],
    ["/.tus/", { name: "n", relativePath: "folder/sub/n" }, "folder/sub/n"],
    ["/.tus/", { name: "n", relativePath: "/folder/n" }, "folder/n"],
    ["/.tus/", { name: "n2", relativePath: "other/n" }, "n2"],
    ["/.tus/", { name: "n3", type: "text/plain", filetype: "" }, "n3"],
  ];
  for (const [at, values, name] of cases) {
    const created = await server.request("POST", at, {
      headers: { ...BYTES, "upload-length": "5", "upload-metadata": metadata(values) },
      body: "hello",
    });
    assertEquals([created.status, created.headers["upload-offset"]], [201, "5"], created.text);
    const link = `/${name.split("/").map(encodeURIComponent).join("/")}`;
    assertEquals(created.headers["content-location"], link);
    assertEquals(server.read(name), "hello");
  }
});

Deno.test("the bytes of a creation may be the first ones only", async () => {
  await using server = await HttpServer.start();
  const created = await server.request("POST", "/.tus/", {
    headers: { ...BYTES, "upload-length": "11", "upload-metadata": metadata({ filename: "f" }) },
    body: ["hel", "lo"],
  });
  assertEquals([created.status, created.headers["upload-offset"]], [201, "5"]);
  await sendBytes(server, created.headers.location as string, 5, " world");
  assertEquals(server.read("f"), "hello world");
});

Deno.test("an empty file is there as soon as it is created", async () => {
  await using server = await HttpServer.start();
  const path = await createUpload(server, "d/empty", 0);
  assertEquals(server.read("d/empty"), "");
  const { headers } = await lookAt(server, path);
  assertEquals([headers["upload-offset"], headers["upload-length"]], ["0", "0"]);
  assertEquals(headers["content-location"], "/d/empty");
});

Deno.test("the size may be told later, with the last bytes or before", async () => {
  await using server = await HttpServer.start();
  for (const name of ["with the last bytes", "before"]) {
    const deferred = { "upload-length": [], "upload-defer-length": "1" };
    const path = await createUpload(server, name, 0, { headers: deferred });
    await sendBytes(server, path, 0, "hello");
    const { headers } = await lookAt(server, path);
    assertEquals([headers["upload-defer-length"], headers["upload-length"]], ["1", undefined]);
    assertEquals(headers["upload-offset"], "5");
    const size = { "upload-length": "11" };
    if (name === "before") {
      assertEquals((await sendBytes(server, path, 5, "", size)).headers["upload-offset"], "5");
      assertEquals((await lookAt(server, path)).headers["upload-length"], "11");
      const again = await sendBytes(server, path, 5, " ", { "upload-length": "12" });
      assertEquals(again.status, 400);
    }
    const last = await sendBytes(server, path, 5, " world", name === "before" ? {} : size);
    assertEquals([last.status, last.headers["upload-offset"]], [204, "11"], last.text);
    assertEquals(server.read(name), "hello world");
  }
});

Deno.test("the modification time of the metadata is kept", async () => {
  await using server = await HttpServer.start();
  const mtime = Date.UTC(2020, 1, 2, 3, 4, 5);
  const path = await createUpload(server, "f", 5, { values: { mtime: String(mtime) } });
  await sendBytes(server, path, 0, "hello");
  assertEquals(Deno.statSync(server.path("f")).mtime?.getTime(), mtime);
});

Deno.test("another file stays unless the metadata say otherwise, and bytes are not sent in vain", async (t) => {
  await using server = await HttpServer.start();
  const post = (values: Record<string, string>, size: number, headers = {}) =>
    server.request("POST", "/.tus/", {
      headers: {
        ...TUS,
        "upload-length": String(size),
        "upload-metadata": metadata({ filename: "f", ...values }),
        ...headers,
      },
    });
  const replaced = async (values: Record<string, string>, headers = {}) => {
    server.write("f", "old");
    Deno.utimeSync(server.path("f"), 1000, 1000);
    const created = await post(values, 5, headers);
    if (created.status !== 201) return [created.status, created.json.code, server.read("f")];
    const path = created.headers.location as string;
    const last = await sendBytes(server, path, Number(created.headers["upload-offset"]), "hello");
    return [last.status, last.status === 204 ? undefined : last.json.code, server.read("f")];
  };
  await t.step("never", async () => {
    assertEquals(await replaced({}), [412, "exists", "old"]);
    assertEquals(await replaced({ overwrite: "never" }), [412, "exists", "old"]);
    const absent = { "if-none-match": "*" };
    assertEquals(await replaced({ overwrite: "always" }, absent), [412, "exists", "old"]);
  });
  await t.step("always and different", async () => {
    assertEquals(await replaced({ overwrite: "always" }), [204, undefined, "hello"]);
    assertEquals(await replaced({ overwrite: "different" }), [204, undefined, "hello"]);
  });
  await t.step("newer", async () => {
    const newer = { overwrite: "newer", mtime: "2000000" };
    assertEquals(await replaced(newer), [204, undefined, "hello"]);
    server.write("f", "old");
    const kept = await post({ overwrite: "newer", mtime: "1000" }, 5);
    assertEquals([kept.status, kept.headers["upload-offset"]], [201, "5"]);
    assertEquals(server.read("f"), "old");
  });
  await t.step("the same file", async () => {
    server.write("f", "hello");
    const same = await post({ md5: md5("hello") }, 5);
    assertEquals([same.status, same.headers["upload-offset"]], [201, "5"]);
    assertEquals(same.headers.etag, `"${md5("hello")}"`);
    const { headers } = await lookAt(server, same.headers.location as string);
    assertEquals([headers["upload-offset"], headers["content-location"]], ["5", "/f"]);
    const other = await post({ md5: md5("world") }, 5);
    assertEquals([other.status, other.json.code], [412, "exists"]);
  });
  await t.step("the same file, whose MD5 the client does not know", async () => {
    server.write("f", "hello");
    const path = (await post({}, 5)).headers.location as string;
    assertEquals((await sendBytes(server, path, 0, "hello")).status, 204);
  });
});

Deno.test("a name that cannot become a file is refused before bytes are sent", async () => {
  await using server = await HttpServer.start();
  server.write("file", "x");
  Deno.mkdirSync(server.path("directory"));
  for (const filename of ["directory", "file/below"]) {
    const refused = await server.request("POST", "/.tus/", {
      headers: { ...TUS, "upload-length": "5", "upload-metadata": metadata({ filename }) },
    });
    assertEquals([refused.status, refused.json.code], [409, "not_a_file"], filename);
  }
  // Nothing could reach a file there.
  for (const filename of [".tus/new", ".ferry/new"]) {
    const refused = await server.request("POST", "/.tus/", {
      headers: { ...TUS, "upload-length": "5", "upload-metadata": metadata({ filename }) },
    });
    assertEquals([refused.status, refused.json.code], [400, "bad_name"], filename);
  }
});
