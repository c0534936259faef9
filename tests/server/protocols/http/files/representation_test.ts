import { assertEquals } from "@std/assert";
import { typeOf } from "../../../../../server/protocols/http/files/representation.ts";
import { HttpServer } from "../../../../support/http_server.ts";

Deno.test("the type of a file follows from its name", () => {
  const types = {
    "a.txt": "text/plain; charset=utf-8",
    "a.HTML": "text/html; charset=utf-8",
    "a.json": "application/json",
    "a.pdf": "application/pdf",
    "a.tar.gz": "application/gzip",
    "a.docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "a.svg": "image/svg+xml",
    "a.mp4": "video/mp4",
    "a.unheard": "application/octet-stream",
    "README": "application/octet-stream",
    ".bashrc": "application/octet-stream",
    "txt": "application/octet-stream",
    "__proto__": "application/octet-stream",
    "a.constructor": "application/octet-stream",
  };
  for (const [name, type] of Object.entries(types)) assertEquals(typeOf(name), type, name);
});

Deno.test("a name of any characters is offered as it is", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("d"));
  const names = {
    "plain.txt": "inline; filename=plain.txt",
    "two words.txt": 'inline; filename="two words.txt"',
    'a"b\\c.txt': 'inline; filename="a\\"b\\\\c.txt"',
    "größe.txt": "inline; filename=gr__e.txt; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt",
    "名前 🎉": "inline; filename=\"__ _\"; filename*=UTF-8''%E5%90%8D%E5%89%8D%20%F0%9F%8E%89",
    "100%41.txt": "inline; filename=100_41.txt; filename*=UTF-8''100%2541.txt",
    "a;b=c.txt": 'inline; filename="a;b=c.txt"',
    "line\nbreak": "inline; filename=line_break; filename*=UTF-8''line%0Abreak",
  };
  for (const [name, disposition] of Object.entries(names)) {
    server.write(`d/${name}`, "x");
    const path = `/d/${encodeURIComponent(name)}`;
    const { status, headers } = await server.request("GET", path);
    assertEquals([status, headers["content-disposition"]], [200, disposition], name);
    const { headers: saved } = await server.request("GET", `${path}?download`);
    assertEquals(saved["content-disposition"], disposition.replace("inline", "attachment"));
  }
});

Deno.test("a time in the future is not told as one", async () => {
  await using server = await HttpServer.start();
  server.write("f", "x");
  const time = new Date(Date.now() + 1_000_000);
  Deno.utimeSync(server.path("f"), time, time);
  const { headers } = await server.request("GET", "/f");
  const { "last-modified": modified, date } = headers;
  assertEquals(Date.parse(String(modified)) <= Date.parse(String(date)), true);
});
