/**
 * What `ferryd` says at its start where it cannot serve a bucket: one line that tells what is wrong and what to do.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type BucketRootArgs, bucketRootArgs } from "../support/bucket_root.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, type SharedEngine, testWithEngine } from "../support/engines/engine.ts";
import { freePorts } from "../support/free_ports.ts";
import { isThere } from "../support/mount.ts";
import { DENO, Ferryd, type Launch, programArgs, TempDir } from "../support/programs.ts";
import { RawBucket } from "../support/raw_bucket.ts";
import { Fixture as TlsFixture } from "../support/tls_servers.ts";

/** What a server says that does not start: one line, here without its name. */
async function refusal(
  { root, args, env }: BucketRootArgs,
  options: { launch?: Launch; clearEnv?: boolean } = {},
): Promise<string> {
  const starting = async () => {
    await using _server = await Ferryd.start(root, [...args], { env, ...options });
  };
  const { message } = await assertRejects(starting, Error, "ferryd did not start: ");
  const said = message.slice("ferryd did not start: ".length);
  assertMatch(said, /^ferryd: [^\n]*\n$/, said);
  return said.slice("ferryd: ".length, -1);
}

/** A store that is reached with something else than its own endpoint or keys. */
function but(engine: SharedEngine, changes: Partial<SharedEngine>): SharedEngine {
  const { endpoint, region, accessKeyId, secretAccessKey } = engine;
  return { endpoint, region, accessKeyId, secretAccessKey, ...changes } as SharedEngine;
}

/** Starts `ferryd` with a clock that is wrong; the loader of programs knows what `$LIB` is. */
function clockWrongBy(minutes: string): Launch {
  const library = "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1";
  const settings = [library, `FAKETIME=${minutes}`, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
  return (name, options) => ["env", ...settings, DENO, ...programArgs(name, options)];
}

testWithEngine(CEPH, "ferryd says in one line why it cannot serve a bucket", async () => {
  const engine = await Engine.shared(CEPH);
  const bucket = await engine.bucket();
  await using tls = await TlsFixture.start();
  await using web = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<html><body>It works!</body></html>"),
  );
  const at = (port: number, scheme = "http") => `${scheme}://127.0.0.1:${port}`;
  const port = Number(new URL(engine.endpoint).port);
  const cases: [what: string, changes: Partial<SharedEngine>, says: RegExp][] = [
    ["a wrong secret", { secretAccessKey: "wrong" }, /secret/i],
    ["an unknown key", { accessKeyId: "NOBODY" }, /NOBODY|access key/i],
    ["a web server", { endpoint: at(web.addr.port) }, /no S3|not S3|object store/i],
    ["https where http is spoken", { endpoint: at(port, "https") }, /http/],
    ["http where TLS is spoken", { endpoint: at(tls.port) }, /https|TLS|answer/],
    ["nobody listens", { endpoint: at(freePorts(1)) }, /connect|refused|reach/i],
    ["no such host", { endpoint: "http://no-such-host.invalid" }, /no-such-host\.invalid/],
    ["a path that is none", { endpoint: `${engine.endpoint}/no/such` }, /./],
  ];
  const said = await Promise.all(
    cases.map(([, changes]) => refusal(bucketRootArgs(but(engine, changes), bucket))),
  );
  for (const [number, [what, , says]] of cases.entries()) {
    assertMatch(said[number]!, says, what);
    assert(!said[number]!.includes(engine.secretAccessKey), what);
  }
  assertMatch(await refusal(bucketRootArgs(engine, "no-such-bucket")), /no-such-bucket/);
  assertEquals(await new RawBucket(engine, bucket).keys(), []);
});

testWithEngine(CEPH, "ferryd says that its clock is wrong, and does not serve", async () => {
  if (!isThere("faketime")) return;
  const engine = await Engine.shared(CEPH);
  const bucket = await engine.bucket();
  for (const minutes of ["+20m", "-20m"]) {
    const said = await refusal(bucketRootArgs(engine, bucket), { launch: clockWrongBy(minutes) });
    assertMatch(said, /clock/, said);
  }
  // Less than what a store allows is no matter.
  const { root, args, env } = bucketRootArgs(engine, bucket);
  const launch = clockWrongBy("+5m");
  await using server = await Ferryd.start(root, [...args], { env, launch });
  assertEquals((await server.stop()).code, 0);
});

Deno.test("ferryd over a bucket needs keys, and takes none on the command line", async () => {
  await using dir = new TempDir();
  const HOME = dir.path;
  const root = "s3://files/a";
  const args = ["--s3-endpoint", "http://127.0.0.1:1"];
  const env = { HOME };
  const says = (options: Partial<BucketRootArgs>) => {
    return refusal({ root, args, env, ...options }, { clearEnv: true });
  };
  assertMatch(await says({}), /no credentials in .*AWS_ACCESS_KEY_ID/);
  assertMatch(
    await says({ env: { HOME, AWS_ACCESS_KEY_ID: "A" } }),
    /AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY/,
  );
  Deno.mkdirSync(dir.join(".aws"));
  dir.write(".aws/credentials", "[default]\naws_access_key_id = A\n");
  assertMatch(await says({}), /no aws_secret_access_key/);
  assertMatch(await says({ env: { HOME, AWS_PROFILE: "other" } }), /no profile other/);
  const secret = "hunter2";
  const urls = [`s3://A:${secret}@files/a`, `s3://files/a`];
  const endpoint = ["--s3-endpoint", `http://A:${secret}@127.0.0.1:1`];
  for (const options of [{ root: urls[0]! }, { args: endpoint }]) {
    const said = await says(options);
    assertMatch(said, /contains credentials/);
    assert(!said.includes(secret));
  }
});

Deno.test("ferryd refuses options that do not go with a bucket, each in one line", async () => {
  const env = { AWS_ACCESS_KEY_ID: "A", AWS_SECRET_ACCESS_KEY: "B" };
  const args = ["--s3-endpoint", "http://127.0.0.1:1"];
  const cases: [root: string, args: string[], says: RegExp][] = [
    ["s3://files", [], /needs --s3-endpoint URL/],
    ["s3://files", [...args, "--quota", "1GiB"], /^--quota cannot be kept on a bucket/],
    ["s3://files", [...args, "--durability", "none"], /^--durability none is for a directory/],
    ["s3://files", [...args, "--allow-exec", "du"], /^--allow-exec needs a --root that is a/],
    ["s3://files", [...args, "--s3-region", "a b"], /"a b" is no region/],
    ["s3://", args, /names no bucket/],
    ["s3://fi les", args, /"fi les" is no name of a bucket/],
    ["s3://files//a", args, /is no prefix of names/],
    ["s3://files", ["--s3-endpoint", "s3.example.org"], /s3\.example\.org/],
    ["s3://files", ["--s3-endpoint", "ftp://s3.example.org"], /http/],
    [".", args, /^--s3-endpoint belongs to a bucket/],
  ];
  for (const [root, args, says] of cases) assertMatch(await refusal({ root, args, env }), says);
});
