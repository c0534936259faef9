/**
 * `ferryd doctor`: what it finds, and that it leaves nothing behind and disturbs nobody.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { bucketRootArgs } from "../support/bucket_root.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../support/engines/engine.ts";
import {
  DENO,
  ferry,
  Ferryd,
  ferryd,
  type Outcome,
  outcome,
  programArgs,
  TempDir,
} from "../support/programs.ts";
import { Mount, testWithMount } from "../support/mount.ts";
import { RawBucket } from "../support/raw_bucket.ts";

/** What was found of a part. */
interface Found {
  event: string;
  part: string;
  state: string;
  detail: string;
}

/** The findings, by their parts; of several about one part the last. */
function findings({ stdout }: Outcome): Map<string, Found> {
  const found: Found[] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert(found.every(({ event }) => event === "finding"));
  return new Map(found.map((each) => [each.part, each]));
}

function problemsIn(found: Map<string, Found>): string[] {
  return [...found.values()].filter(({ state }) => state === "problem").map(({ part }) => part);
}

Deno.test("ferryd doctor says what a directory can promise, and leaves nothing in it", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  const args = ["doctor", "--root", dir.join("root"), "--listen", "127.0.0.1:0"];
  const lines = await ferryd(args);
  assertEquals([lines.code, lines.stderr], [0, ""], lines.stdout);
  assertMatch(lines.stdout, /^configuration {2}ok {7}it is good\nroot {11}ok {7}"/);
  const found = findings(await ferryd([...args, "--json"]));
  assertEquals(problemsIn(found), []);
  for (const part of ["file system", "space", "fsync", "times", "modes", "names", "locks"]) {
    assert(found.has(part), part);
  }
  assertEquals(found.get("served")!.detail, "no ferryd serves it now");
  assertEquals(found.get("port")!.detail, "tcp 127.0.0.1:0 is free");
  assertEquals([...Deno.readDirSync(dir.join("root"))], []);
});

Deno.test("ferryd doctor does not disturb a ferryd over the same directory", async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path);
  const before = [...Deno.readDirSync(dir.join(".ferry"))].map(({ name }) => name).sort();
  const args = ["doctor", "--json", "--root", dir.path, "--listen", server.address];
  const beside = await ferryd(args);
  assertEquals(beside.code, 0, beside.stdout);
  const found = findings(beside);
  assertEquals(found.get("served")!.detail, "a ferryd serves it now");
  assertMatch(found.get("port")!.detail, /in use, probably by the ferryd that runs$/);
  const after = [...Deno.readDirSync(dir.join(".ferry"))].map(({ name }) => name).sort();
  assertEquals(after, before);
  const ping = await ferry(["ping"], { server: server.address });
  assertEquals([ping.code, ping.stderr], [0, ""]);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("ferryd doctor names what keeps ferryd from serving", async () => {
  await using dir = new TempDir();
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listen = `127.0.0.1:${busy.addr.port}`;
  const taken = await ferryd(["doctor", "--json", "--root", dir.path, "--listen", listen]);
  assertEquals([taken.code, taken.stderr], [1, "ferryd: one problem was found\n"]);
  assertEquals(problemsIn(findings(taken)), ["port"]);
  assertMatch(findings(taken).get("port")!.detail, /in use by another program/);
  const alone = ["doctor", "--json", "--root", dir.path, "--listen", "0", "--metrics", listen];
  const metrics = await ferryd(alone);
  assertEquals([metrics.code, problemsIn(findings(metrics))], [1, ["port"]], metrics.stdout);
  dir.write(".ferry", "");
  const blocked = await ferryd(["doctor", "--json", "--root", dir.path, "--listen", "0"]);
  assertEquals([blocked.code, problemsIn(findings(blocked))], [1, ["writing"]]);
  const args = ["doctor", "--json", "--root", dir.join("missing"), "--listen", "0.0.0.0:0"];
  const wrong = await ferryd(args);
  assertEquals([wrong.code, wrong.stderr], [2, "ferryd: 2 problems were found\n"]);
  assertEquals(problemsIn(findings(wrong)), ["configuration"]);
});

testWithMount("ferryd doctor says of a directory without inodes that it needs room", async () => {
  await using mount = new Mount("size=1m,nr_inodes=8,mode=755");
  for (let n = 0; n < 7; n++) Deno.writeTextFileSync(`${mount.path}/${n}`, "");
  const full = await ferryd(["doctor", "--json", "--root", mount.path, "--listen", "0"]);
  assertEquals([full.code, problemsIn(findings(full))], [1, ["writing"]], full.stdout);
  assertMatch(findings(full).get("writing")!.detail, /no space left on the device; make room$/);
});

testWithEngine(CEPH, "ferryd doctor tries a bucket, and leaves nothing in it", async () => {
  const engine = await Engine.shared(CEPH);
  const bucket = await engine.bucket();
  const examine = async (secret: string) => {
    const { root, args, env } = bucketRootArgs(engine, bucket);
    const command = new Deno.Command(DENO, {
      args: [...programArgs("ferryd"), "doctor", "--json", "--root", root, ...args],
      env: { ...env, AWS_SECRET_ACCESS_KEY: secret, FERRYD_LISTEN: "0" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return await outcome(command.spawn());
  };
  const good = await examine(engine.secretAccessKey);
  assertEquals(good.code, 0, good.stdout + good.stderr);
  for (const part of ["bucket", "clock"]) assertEquals(findings(good).get(part)!.state, "ok");
  const wrong = await examine("wrong");
  assertEquals([wrong.code, problemsIn(findings(wrong))], [1, ["bucket"]]);
  assertMatch(findings(wrong).get("bucket")!.detail, /AWS_SECRET_ACCESS_KEY/);
  assertEquals(await new RawBucket(engine, bucket).keys(), []);
});
