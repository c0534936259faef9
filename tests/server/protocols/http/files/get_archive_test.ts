import { assert, assertEquals } from "@std/assert";
import { MIB, patterned, text, utf8 } from "../../../../support/bytes.ts";
import { withFiles } from "../../../../support/in_process.ts";
import { HttpServer } from "../../../../support/http_server.ts";
import { TempDir } from "../../../../support/programs.ts";
import { makeLink } from "../../../../support/share_links.ts";

/** What both formats have to keep: files of all kinds of sizes and names, and directories. */
const LONG = `${"l".repeat(120)}/${"ö".repeat(100)}`;
const FILES: Readonly<Record<string, Uint8Array>> = {
  "plain.txt": utf8.encode("hello"),
  "empty": new Uint8Array(),
  "block.bin": patterned(512),
  "large.bin": patterned(300_000),
  "größe 🎉 .txt": utf8.encode("名前"),
  [`${LONG}/deep`]: utf8.encode("deep"),
};

function fill(server: HttpServer): void {
  Deno.mkdirSync(server.path(`a/b/nothing here`), { recursive: true });
  Deno.mkdirSync(server.path(`a/b/${LONG}`), { recursive: true });
  for (const [name, content] of Object.entries(FILES)) server.write(`a/b/${name}`, content);
  Deno.chmodSync(server.path("a/b/plain.txt"), 0o640);
  const time = new Date("2024-02-29T12:00:00.250Z");
  Deno.utimeSync(server.path("a/b/plain.txt"), time, time);
}

async function run(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert(success, text(stderr) + text(stdout));
  return text(stdout);
}

function assertUnpacked(dir: TempDir, folder: string): void {
  for (const [name, content] of Object.entries(FILES)) {
    assertEquals(Deno.readFileSync(dir.join(`${folder}/${name}`)), content, name);
  }
  assert(Deno.statSync(dir.join(`${folder}/nothing here`)).isDirectory);
  assertEquals(Deno.statSync(dir.join(`${folder}/plain.txt`)).mode! & 0o777, 0o640);
}

Deno.test("a directory as a tar is what tar unpacks", async () => {
  await using server = await HttpServer.start();
  fill(server);
  const { status, headers, bytes } = await server.request("GET", "/a/b/?archive=tar");
  assertEquals([status, headers["content-type"]], [200, "application/x-tar"]);
  assertEquals(headers["content-disposition"], "attachment; filename=b.tar");
  await using dir = new TempDir();
  await run("tar", "-xf", dir.write("b.tar", bytes), "-C", dir.path);
  assertUnpacked(dir, "b");
  const { mtime } = Deno.statSync(dir.join("b/plain.txt"));
  assertEquals(mtime, new Date("2024-02-29T12:00:00.250Z"));
});

Deno.test("a directory as a zip is what unzip and Python unpack", async () => {
  await using server = await HttpServer.start();
  fill(server);
  const { status, headers, bytes } = await server.request("GET", "/a/b/?archive=zip");
  assertEquals([status, headers["content-type"]], [200, "application/zip"]);
  assertEquals(headers["content-disposition"], "attachment; filename=b.zip");
  await using dir = new TempDir();
  const archive = dir.write("b.zip", bytes);
  await run("unzip", "-q", archive, "-d", dir.join("one"));
  assertUnpacked(dir, "one/b");
  assertEquals(await run("python3", "-m", "zipfile", "-t", archive), "Done testing\n");
});

Deno.test("an archive of the root has a name, and one of some entries only these", async () => {
  await using server = await HttpServer.start();
  fill(server);
  server.write("other", "x");
  server.write("more", "y");
  const names = async (target: string) => {
    const { status, headers, bytes } = await server.request("GET", target);
    assertEquals(status, 200);
    await using dir = new TempDir();
    const listed = await run("tar", "-tf", dir.write("archive", bytes));
    return [headers["content-disposition"], ...listed.trim().split("\n").sort()];
  };
  assertEquals(await names("/?archive=tar&name=other&name=more&name=other"), [
    "attachment; filename=files.tar",
    "files/more",
    "files/other",
  ]);
  const [, ...some] = await names("/a/?archive=tar&name=b");
  assertEquals(some.includes("a/b/plain.txt"), true);
  const absent = await server.request("GET", "/?archive=zip&name=absent");
  assertEquals([absent.status, absent.json.code], [404, "not_found"]);
  const outside = await server.request("GET", "/a/?archive=zip&name=b%2Fplain.txt");
  assertEquals([outside.status, outside.json.code], [400, "bad_name"]);
});

Deno.test("what an archive cannot hold is told in it", async () => {
  await using server = await HttpServer.start();
  server.write("kept", "x");
  server.write("NOT IN THIS ARCHIVE.txt", "a file of that name");
  Deno.symlinkSync("nowhere", server.path("dangling"));
  const { bytes } = await server.request("GET", "/?archive=tar");
  await using dir = new TempDir();
  await run("tar", "-xf", dir.write("archive", bytes), "-C", dir.path);
  assertEquals(
    Deno.readTextFileSync(dir.join("files/NOT IN THIS ARCHIVE (2).txt")),
    "Not in this archive:\ndangling: it is a link\n",
  );
  assertEquals(Deno.readTextFileSync(dir.join("files/kept")), "x");
});

Deno.test("a HEAD of an archive says what a GET would, and other formats and names are refused", async () => {
  await using server = await HttpServer.start();
  server.write("file", "x");
  const head = await server.request("HEAD", "/?archive=zip");
  assertEquals([head.status, head.headers["content-type"]], [200, "application/zip"]);
  const cases = [
    ["GET", "/?archive=rar", 400, "usage"],
    ["GET", "/absent/?archive=zip", 404, "not_found"],
    ["GET", "/file/?archive=tar", 404, "not_a_file"],
  ] as const;
  for (const [method, target, status, code] of cases) {
    const refused = await server.request(method, target);
    assertEquals([refused.status, refused.json.code], [status, code], target);
  }
  assertEquals((await server.request("HEAD", "/absent/?archive=zip")).status, 404);
});

Deno.test("an archive of a file that changes while it is read is cut, not wrong", async () => {
  for (const kind of ["tar", "zip"]) {
    const changes = withFiles((file) => ({
      read: async (into) => {
        const count = await file.read(into);
        const path = server.path("file");
        if (count !== null) Deno.writeTextFileSync(path, "longer than before", { append: true });
        return count;
      },
    }));
    await using server: HttpServer = await HttpServer.start({ wrap: changes });
    server.write("file", "0123456789");
    const response = server.request("GET", `/?archive=${kind}`);
    const failure = await response.then(({ status }) => status, (error) => error);
    assert(failure instanceof Error || failure >= 500, `${kind}: ${failure}`);
  }
});

Deno.test("a client that goes away in the middle of an archive leaves no file open", async () => {
  for (const kind of ["tar", "zip"]) {
    const closed = Promise.withResolvers<void>();
    const watched = withFiles((file) => ({
      [Symbol.asyncDispose]: async () => {
        await file[Symbol.asyncDispose]();
        closed.resolve();
      },
    }));
    await using server = await HttpServer.start({ wrap: watched });
    Deno.truncateSync((server.write("large", ""), server.path("large")), 64 * MIB);
    const { body } = await fetch(`${server.url}/?archive=${kind}`);
    const reader = body!.getReader();
    await reader.read();
    await reader.cancel();
    await closed.promise;
  }
});

Deno.test("an archive by a share link is counted as a download", async () => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("d"));
  server.write("d/f", "x");
  const { prefix } = await makeLink(server, { name: "d", downloads: 1 });
  const status = async (method: string, target: string) =>
    (await server.request(method, `${prefix}${target}`)).status;
  assertEquals(await status("HEAD", "/?archive=tar"), 200);
  assertEquals(await status("GET", "/?archive=rar"), 400);
  assertEquals(await status("GET", "/?archive=tar"), 200);
  assertEquals(await status("GET", "/?archive=tar"), 410);
});
