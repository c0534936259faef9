import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { frame } from "../../../support/raw_peer.ts";
import { md5, utf8 } from "../../../support/bytes.ts";
import { UnharmedServer } from "../../../support/unharmed_server.ts";

Deno.test("session: put with the md5 in front, then get", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  const put = { op: "put", filename: "a/b.txt", md5: md5("hello\n"), total_size: 6 };
  await peer.send(put, "hello\n");
  const reply = await peer.receive();
  assertEquals(reply?.header, {
    status: "ok",
    filename: "a/b.txt",
    md5: md5("hello\n"),
    size: 6,
    unchanged: false,
  });
  await peer.send({ op: "get", filename: "a/b.txt" });
  const got = await peer.receive();
  assertEquals(got?.header.md5, md5("hello\n"));
  assertEquals(got?.body, utf8.encode("hello\n"));
});

Deno.test("session: put with a closing header", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  const closing = { end: true, filename: "a", md5: md5("hello\n"), size: 6 };
  assertEquals(
    await peer.ask(
      { op: "put", filename: "a", md5: null, total_size: 6 },
      "hello\n",
      frame(closing),
    ),
    "ok",
  );
  assertEquals(Deno.readTextFileSync(`${f.root}/a`), "hello\n");
});

Deno.test("session: put of a streamed body", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  await peer.send(
    { op: "put", filename: "s", md5: null, total_size: null },
    { total_size: 3 },
    "abc",
    { total_size: 4 },
    "defg",
    { end: true, filename: "s", md5: md5("abcdefg"), size: 7 },
  );
  assertEquals(await peer.code(), "ok");
  assertEquals(Deno.readTextFileSync(`${f.root}/s`), "abcdefg");
});

Deno.test("session: pipelined requests are answered in order", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  const requests: Uint8Array[] = [frame({ op: "hello", versions: [1] })];
  for (let n = 0; n < 600; n++) {
    const text = `content ${n}`;
    const put = { op: "put", filename: `many/${n}`, md5: md5(text), total_size: text.length };
    requests.push(frame(put), utf8.encode(text));
  }
  requests.push(frame({ op: "get", filename: "many/599" }), frame({ op: "nonsense" }));
  requests.push(frame({ op: "stat", filename: "many/0" }), frame({ op: "ping" }));
  const sending = peer.send(new Uint8Array(await new Blob(requests as BlobPart[]).arrayBuffer()));
  const { features } = (await peer.receive())!.header as { features: string[] };
  assertEquals(features.slice(0, 3), ["streamed", "pipelining", "offer"]);
  for (let n = 0; n < 600; n++) {
    const reply = await peer.receive();
    assertEquals([reply?.header.filename, reply?.header.status], [`many/${n}`, "ok"]);
  }
  assertEquals((await peer.receive())?.body, utf8.encode("content 599"));
  assertEquals(await peer.code(), "bad_header");
  assertEquals((await peer.receive())?.header.md5, md5("content 0"));
  assertEquals(await peer.code(), "ok");
  await sending;
});

Deno.test("session: names that are not allowed", async (t) => {
  await using f = await UnharmedServer.start();
  const names = [
    "",
    "../x",
    "/etc/passwd",
    "a/../../b",
    "a/../b",
    "./a",
    "a//b",
    "a/",
    "a\0b",
    ".ferry",
    ".ferry/x",
    ".Ferry/x",
    "x".repeat(256),
    "é".repeat(128),
    "a/".repeat(2000) + "a",
    "\ud800",
  ];
  for (const filename of names) {
    await t.step(JSON.stringify(filename.slice(0, 20)), async () => {
      using peer = await f.connect();
      assertEquals(
        await peer.ask({ op: "put", filename, md5: md5("x"), total_size: 1 }, "x"),
        "bad_name",
      );
      assertEquals(await peer.ask({ op: "get", filename }), "bad_name");
      assertEquals(await peer.ask({ op: "mkdir", filename }), "bad_name");
      assertEquals(await peer.ask({ op: "remove", filename }), "bad_name");
      assertEquals(await peer.ask({ op: "move", filename: "old.txt", to: filename }), "bad_name");
      if (filename !== "") {
        assertEquals(await peer.ask({ op: "stat", filename }), "bad_name");
        assertEquals(await peer.ask({ op: "list", filename }), "bad_name");
      }
    });
  }
  await f.assertUnharmed();
});

Deno.test("session: a body that is not what was announced", async (t) => {
  await using f = await UnharmedServer.start();
  const cases: {
    name: string;
    send: (Uint8Array | Record<string, unknown> | string)[];
    code: string;
  }[] = [
    {
      name: "a wrong md5 in front",
      send: [{ op: "put", filename: "x", md5: md5("other"), total_size: 5 }, "hello"],
      code: "checksum_mismatch",
    },
    {
      name: "a wrong md5 in front of an empty body",
      send: [{ op: "put", filename: "x", md5: md5("other"), total_size: 0 }],
      code: "checksum_mismatch",
    },
    {
      name: "a wrong md5 behind",
      send: [{ op: "put", filename: "x", md5: null, total_size: 5 }, "hello", {
        end: true,
        md5: md5("other"),
        size: 5,
      }],
      code: "checksum_mismatch",
    },
    {
      name: "a wrong size behind",
      send: [{ op: "put", filename: "x", md5: null, total_size: 5 }, "hello", {
        end: true,
        md5: md5("hello"),
        size: 6,
      }],
      code: "checksum_mismatch",
    },
    {
      name: "a stream whose closing header counts wrong",
      send: [{ op: "put", filename: "x", total_size: null }, { total_size: 5 }, "hello", {
        end: true,
        md5: md5("hello"),
        size: 4,
      }],
      code: "checksum_mismatch",
    },
    {
      name: "an error instead of an end",
      send: [{ op: "put", filename: "x", md5: null, total_size: 5 }, "hello", {
        end: true,
        status: "error",
        code: "io",
        message: "it changed",
      }],
      code: "io",
    },
  ];
  for (const { name, send, code } of cases) {
    await t.step(name, async () => {
      using peer = await f.connect();
      await peer.send(...send);
      assertEquals(await peer.code(), code);
      // The framing is intact, so the connection goes on.
      assertEquals(await peer.ask({ op: "ping" }), "ok");
      await f.assertUnharmed();
    });
  }

  await t.step("a body that is longer than announced", async () => {
    using peer = await f.connect();
    await peer.send({ op: "put", filename: "x", md5: null, total_size: 5 }, "hello and more");
    assertEquals(await peer.code(), "bad_header");
    assertEquals(await peer.code(), "ended");
    await f.assertUnharmed();
  });

  await t.step("a body that is shorter than announced", async () => {
    using peer = await f.connect();
    await peer.send({ op: "put", filename: "x", md5: md5("hello"), total_size: 6 }, "hello");
    await peer.end();
    assertEquals(await peer.code(), "closed");
    assertEquals(await peer.code(), "ended");
    await f.assertUnharmed();
  });
});

Deno.test("session: requests that cannot be served", async (t) => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  const x = { md5: md5("x"), total_size: 1 };
  const cases: [string, Record<string, unknown>, string, string][] = [
    ["no op", { filename: "x" }, "", "bad_header"],
    ["an op that is not known", { op: "fly" }, "", "bad_header"],
    ["an op of the prototype", { op: "constructor" }, "", "bad_header"],
    ["no filename", { op: "get" }, "", "bad_header"],
    [
      "an overwrite that is not known",
      { op: "put", filename: "x", overwrite: "maybe" },
      "",
      "bad_header",
    ],
    ["an mtime that is no time", { op: "put", filename: "x", mtime: 1e300 }, "", "bad_header"],
    [
      "a mode beyond the permission bits",
      { op: "put", filename: "x", mode: 0o4755 },
      "",
      "bad_header",
    ],
    ["a version that is not spoken", { op: "hello", versions: [2, 3] }, "", "bad_version"],
    ["get of a missing file", { op: "get", filename: "nope" }, "", "not_found"],
    ["get of a directory", { op: "get", filename: "dir" }, "", "not_a_file"],
    ["get through a file", { op: "get", filename: "old.txt/x" }, "", "not_a_file"],
    ["stat of a missing file", { op: "stat", filename: "nope" }, "", "not_found"],
    ["list of a missing directory", { op: "list", filename: "nope" }, "", "not_found"],
    ["list of a file", { op: "list", filename: "old.txt" }, "", "not_a_file"],
    ["put onto a directory", { op: "put", filename: "dir", ...x }, "x", "not_a_file"],
    ["put below a file", { op: "put", filename: "old.txt/x", ...x }, "x", "not_a_file"],
    ["put onto another file", { op: "put", filename: "old.txt", ...x }, "x", "exists"],
    ["put of two sizes", { op: "put", filename: "x", size: 2, ...x }, "x", "bad_header"],
    ["put of 2^53 bytes", { op: "put", filename: "x", total_size: 2 ** 53 }, "", "too_large"],
    ["remove of a missing file", { op: "remove", filename: "nope" }, "", "not_found"],
    ["remove of a directory", { op: "remove", filename: "dir" }, "", "not_a_file"],
    ["move of a missing file", { op: "move", filename: "nope", to: "x" }, "", "not_found"],
    ["move onto a file", { op: "move", filename: "dir/f", to: "old.txt" }, "", "exists"],
    ["move into itself", { op: "move", filename: "dir", to: "dir/sub" }, "", "bad_name"],
    ["mkdir over a file", { op: "mkdir", filename: "old.txt" }, "", "exists"],
    ["mkdir below a file", { op: "mkdir", filename: "old.txt/x" }, "", "not_a_file"],
  ];
  assertEquals(await peer.ask({ op: "mkdir", filename: "dir" }), "ok");
  assertEquals(await peer.ask({ op: "put", filename: "dir/f", ...x }, "x"), "ok");
  for (const [name, request, body, code] of cases) {
    await t.step(name, async () => {
      // One that ends the connection must not take the others with it.
      using own = await f.connect();
      assertEquals(await own.ask(request, body), code);
    });
  }
  assertEquals(await peer.ask({ op: "remove", filename: "dir", recursive: true }), "ok");
  await f.assertUnharmed();
});

Deno.test("session: offers", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  const old = md5("old content\n");
  const offer = async (keys: Record<string, unknown>) => {
    await peer.send({ op: "put", md5: null, offer: true, ...keys });
    const { decision, code, md5 } = (await peer.receive())!.header;
    return decision ? [decision, md5] : code;
  };
  assertEquals(await offer({ filename: "new", size: 5 }), ["send", undefined]);
  assertEquals(await offer({ filename: "old.txt", size: 5 }), "exists");
  assertEquals(await offer({ filename: "old.txt", size: 12 }), ["hash", undefined]);
  assertEquals(await offer({ filename: "old.txt", size: 12, md5: old }), ["have", old]);
  assertEquals(await offer({ filename: "old.txt", size: 12, md5: md5("x") }), "exists");
  const different = { filename: "old.txt", size: 12, overwrite: "different" };
  assertEquals(await offer(different), ["hash", undefined]);
  assertEquals(await offer({ ...different, md5: old }), ["have", old]);
  assertEquals(await offer({ ...different, md5: md5("x") }), ["send", undefined]);
  assertEquals(await offer({ ...different, size: 1 }), ["send", undefined]);
  const newer = { filename: "old.txt", size: 12, overwrite: "newer" };
  assertEquals(await offer({ ...newer, mtime: 1000 }), ["have", old]);
  assertEquals(await offer({ ...newer, mtime: 4e12 }), ["send", undefined]);
  assertEquals(await offer({ filename: "old.txt", size: 12, overwrite: "always" }), [
    "send",
    undefined,
  ]);
  await f.assertUnharmed();
});

Deno.test("session: a file that shrinks while it is sent", async () => {
  await using f = await UnharmedServer.start();
  const path = `${f.root}/shrinking`;
  Deno.writeFileSync(path, new Uint8Array(1));
  Deno.truncateSync(path, 256 * 1024 * 1024);
  {
    using peer = await f.connect();
    await peer.send({ op: "get", filename: "shrinking" });
    // The rest does not fit into the sockets' buffers: the server is still in the middle of the file.
    let count = (await peer.read(1024 * 1024))!.length;
    Deno.truncateSync(path, 1024);
    while (await peer.read(4096).catch(() => null)) count += 4096;
    assert(count < 256 * 1024 * 1024);
  }
  Deno.removeSync(path);
  await f.assertUnharmed();
  const { stderr } = await f.server.stop();
  assertStringIncludes(stderr, "it shrank while it was sent");
});

Deno.test("session: a file that grows while it is sent ends with an error instead of an md5", async () => {
  await using f = await UnharmedServer.start();
  const path = `${f.root}/growing`;
  Deno.writeFileSync(path, new Uint8Array(1));
  const size = 64 * 1024 * 1024;
  Deno.truncateSync(path, size);
  using peer = await f.connect();
  await peer.send({ op: "get", filename: "growing" });
  const length = (await peer.read(4))!;
  await peer.read(new DataView(length.buffer).getInt32(0, true));
  await peer.read(1024);
  Deno.writeFileSync(path, new Uint8Array(1000), { append: true });
  for (let left = size - 1024; left > 0;) {
    left -= (await peer.read(Math.min(left, 1024 * 1024)))!.length;
  }
  assertEquals((await peer.receive())?.header.code, "io");
  assertEquals(await peer.ask({ op: "ping" }), "ok");
  Deno.removeSync(path);
  await f.assertUnharmed();
});

Deno.test("session: only a put may have a large body", async () => {
  await using f = await UnharmedServer.start();
  using peer = await f.connect();
  assertEquals(await peer.ask({ op: "ping", md5: md5("abc"), total_size: 3 }, "abc"), "ok");
  assertEquals(await peer.ask({ op: "ping", total_size: 1024 * 1024 + 1 }), "too_large");
  assertEquals(await peer.code(), "ended");
});

Deno.test("session: scopes that are not granted are denied", async () => {
  await using f = await UnharmedServer.start(["--anonymous", "read"]);
  using peer = await f.connect();
  assertEquals(await peer.ask({ op: "stat", filename: "old.txt" }), "ok");
  const put = { op: "put", filename: "x", md5: md5("x"), total_size: 1 };
  assertEquals(await peer.ask(put, "x"), "denied");
  assertEquals(await peer.ask({ op: "remove", filename: "old.txt" }), "denied");
  assertEquals(await peer.ask({ op: "move", filename: "old.txt", to: "x" }), "denied");
  assertEquals(await peer.ask({ op: "mkdir", filename: "x" }), "denied");
  await f.assertUnharmed();
});
