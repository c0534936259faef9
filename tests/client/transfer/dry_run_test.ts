import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect, FsStorage, serve } from "../../../mod.ts";
import { outcome, spawnFerry, TempDir } from "../../support/programs.ts";
import { Pair } from "../../support/pair.ts";

/** Every path below a directory, with content and modification time of the files. */
function snapshot(root: string): Record<string, string> {
  const seen: Record<string, string> = {};
  const look = (path: string) => {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(path)) {
      const at = `${path}/${name}`;
      // The server's own index may remember checksums, and its lease says all the time that it lives.
      // Its socket is no file.
      if (name.startsWith("index.db") || name === "leases" || name === "sockets") continue;
      if (isSymlink) seen[at] = Deno.readLinkSync(at);
      else if (isDirectory) seen[`${at}/`] = "", look(at);
      else seen[at] = `${Deno.statSync(at).mtime?.getTime()} ${Deno.readTextFileSync(at)}`;
    }
  };
  look(root);
  return seen;
}

Deno.test("ferry --dry-run changes nothing on either side, for any argument, and says what would be", async (t) => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.cwd}/d/sub`, { recursive: true });
  Deno.mkdirSync(`${p.cwd}/got`);
  Deno.mkdirSync(`${p.root}/d/sub`, { recursive: true });
  Deno.mkdirSync(`${p.root}/far`);
  for (const [name, content] of [["f", "here"], ["same", "same"], ["d/1", "1"], ["d/sub/2", "2"]]) {
    p.write(name!, content!);
  }
  for (const [name, content] of [["f", "there"], ["same", "same"], ["d/3", "3"], ["far/4", "4"]]) {
    Deno.writeTextFileSync(`${p.root}/${name}`, content!);
  }
  // Not the same way on Windows, where links take a privilege.
  const links = Deno.build.os !== "windows";
  if (links) {
    Deno.mkdirSync(`${p.cwd}/linked`);
    for (const name of ["link", "linked/4"]) Deno.symlinkSync("nowhere", `${p.cwd}/${name}`);
  }
  p.write(`.ferry-${"0".repeat(32)}.part`, "left by an earlier try");
  p.write(`got/.ferry-${"0".repeat(32)}.part`, "left by an earlier try");
  const cases: [args: string[], code: number, stdout: string][] = [
    [["put", "f", "--as", "new/f"], 0, "would put new/f\n"],
    [["put", "f", "--overwrite", "always"], 0, "would put f\n"],
    [["put", "f", "--overwrite", "different"], 0, "would put f\n"],
    [["put", "f"], 5, ""],
    [["put", "same"], 0, "would leave same as it is\n"],
    [["put", "same", "--checksum", "sha256"], 0, "would leave same as it is\n"],
    [
      ["put", "f", "d", "--to", "to"],
      0,
      "would put to/f\nwould put to/d/1\nwould put to/d/sub/2\n",
    ],
    [["put", "d", "--overwrite", "always"], 0, "would put d/1\nwould put d/sub/2\n"],
    [["put", "nope"], 4, ""],
    [["put", "f", "--as", "d"], 5, ""],
    [["get", "f", "--overwrite", "always"], 0, "would get f\n"],
    [["get", "f", "--overwrite", "different"], 0, "would get f\n"],
    [["get", "f"], 5, ""],
    [["get", "same"], 0, "would leave same as it is\n"],
    [["get", "f", "same", "--out", "new/"], 0, "would get new/f\nwould get new/same\n"],
    [["get", "f", "--out", "-"], 0, "would get -\n"],
    [["get", "f", "--out", "/dev/null"], 0, "would get /dev/null\n"],
    [["get", "d"], 0, "would get d/3\n"],
    [["get", "far", "--out", "a/b"], 0, "would get a/b/4\n"],
    [["get", "far", "--out", "got"], 0, "would get got/4\n"],
    [["get", "*", "--out", "all/"], 0, ""],
    [["get", "nope"], 4, ""],
    ...(links
      ? [
        [["get", "f", "--out", "link"], 5, ""],
        [["get", "f", "--out", "link", "--overwrite", "always"], 0, "would get link\n"],
        [["get", "far", "--out", "linked"], 5, ""],
        [["get", "far", "--out", "linked", "--overwrite", "newer"], 0, "would get linked/4\n"],
      ] as [string[], number, string][]
      : []),
  ];
  const before = snapshot(p.dir.path);
  for (const [args, code, stdout] of cases) {
    await t.step(args.join(" "), async () => {
      const result = await p.run(...args, "--dry-run");
      assertEquals([result.code, snapshot(p.dir.path)], [code, before], result.stderr);
      if (stdout) assertEquals(result.stdout, stdout);
    });
  }
  await t.step("standard input", async () => {
    for (const [as, code, said] of [["new", 0, "would put new\n"], ["f", 5, ""]] as const) {
      const child = spawnFerry(["put", "-", "--as", as, "-n"], {
        cwd: p.cwd,
        server: p.server.address,
        stdin: "piped",
      });
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("piped"));
      await writer.close();
      const { code: status, stdout } = await outcome(child);
      assertEquals([status, stdout, snapshot(p.dir.path)], [code, said, before]);
    }
  });
  await t.step("--json", async () => {
    const { stdout } = await p.run("get", "f", "same", "--overwrite", "always", "-n", "--json");
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(events, [
      { event: "planned", op: "get", filename: "f", path: "f", total_size: 5, skipped: false },
      {
        event: "planned",
        op: "get",
        filename: "same",
        path: "same",
        total_size: 4,
        skipped: false,
      },
    ]);
    const tree = await p.run("put", "d", "-n", "--json");
    assertStringIncludes(tree.stdout, '"event":"summary","files":2,"skipped":0,"failed":0');
    assertStringIncludes(tree.stdout, '"dry_run":true');
    assertEquals(snapshot(p.dir.path), before);
  });
});

Deno.test("Client.put() with dryRun leaves a part to whoever is sending it", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  await using storage = FsStorage.open(dir.join("root"));
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const path = dir.write("large", new Uint8Array(20_000_000).fill(3));
  await using other = await connect(address, { retries: 0 });
  await using client = await connect(address, { retries: 0 });
  let foreseen: Promise<unknown> | undefined;
  const put = await client.put(path, {
    as: "large",
    // The upload goes on while the other one asks.
    onProgress: () => void (foreseen ??= other.put(path, { as: "large", dryRun: true })),
  });
  assertEquals(put.transferred, 20_000_000);
  assertEquals(await foreseen, {
    filename: "large",
    checksum: null,
    size: 20_000_000,
    skipped: false,
    transferred: 0,
    resumedFrom: 0,
  });
});
