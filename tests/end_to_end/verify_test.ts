import { assertEquals, assertMatch } from "@std/assert";
import { md5 } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { ferry } from "../support/programs.ts";
import { frame } from "../support/raw_peer.ts";
import { rot } from "../support/rot.ts";

Deno.test("ferry verify finds what is damaged and what is missing, and prints md5sum's lines of the rest", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.cwd}/dir`);
  for (const name of ["a", "bad", "c d"]) p.write(`dir/${name}`, `content of ${name}`);
  assertEquals((await p.run("put", "dir")).code, 0);
  rot(`${p.root}/dir/bad`);
  Deno.writeTextFileSync(`${p.root}/dir/foreign`, "not uploaded");
  const { code, stdout, stderr } = await p.run("verify", "dir", "none", "dir/*");
  assertEquals(code, 7);
  assertEquals(
    stdout,
    [["a", "content of a"], ["c d", "content of c d"], ["foreign", "not uploaded"]]
      .map(([name, content]) => `${md5(content!)}  dir/${name}\n`).join(""),
  );
  const lines = stderr.trimEnd().split("\n");
  assertMatch(lines[0]!, /^ferry: Cannot verify "dir\/bad": it is damaged: .*\(on the server\)$/);
  assertMatch(lines[1]!, /^ferry: Cannot verify "none": no such file/);
  assertEquals(
    lines[2],
    "ferry: 2 intact, 1 of which no checksum was recorded yet, 1 damaged, 1 not verified",
  );
  const none = await p.run("verify", "none");
  assertEquals(none.code, 4);
  const { stderr: log } = await p.server.stop();
  assertMatch(log, /\[ERR\] \S+ dir\/bad is damaged: .* \(checksum_mismatch\)/);
});

Deno.test("ferry verify --json tells the verdict of each file", async () => {
  await using p = await Pair.shared();
  p.write("good", "content");
  p.write("bad", "content");
  assertEquals((await p.run("put", "good", "bad")).code, 0);
  rot(`${p.root}/bad`);
  const { code, stdout } = await p.run("verify", ".", "--json", "--checksum", "sha256");
  assertEquals(code, 7);
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(
    events.map(({ event, filename, verdict, code }) => [event, filename, verdict, code]),
    [
      ["error", "bad", "damaged", "checksum_mismatch"],
      ["done", "good", "intact", undefined],
      ["summary", undefined, undefined, undefined],
    ],
  );
  assertEquals([events[1].md5, events[1].sha256.length], [null, 64]);
  const { intact, damaged, unrecorded, failed } = events[2];
  assertEquals({ intact, damaged, unrecorded, failed }, {
    intact: 1,
    damaged: 1,
    unrecorded: 0,
    failed: 1,
  });
});

Deno.test("ferry verify of a server that cannot do it says so, and asks for nothing", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(
      frame({ status: "ok", version: 1, features: ["offer"], agent: "old/1", auth: "none" }),
    );
    const asked = new Uint8Array(1000);
    const count = await conn.read(asked) ?? 0;
    assertMatch(new TextDecoder().decode(asked.subarray(0, count)), /"op":"list"/);
    await conn.write(frame({ status: "error", code: "not_a_file", message: "it is a file" }));
    assertEquals(await conn.read(new Uint8Array(1000)), null, "something was asked");
  })();
  const server = `127.0.0.1:${listener.addr.port}`;
  const { code, stderr } = await ferry(["verify", "f"], { server });
  await serving;
  assertEquals(code, 8);
  assertMatch(stderr, /the server, old\/1, does not offer the verification of files/);
});
