import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { ferry, Ferryd, ferryd, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import { read } from "../docs/documents.ts";
import { MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { rot } from "../support/rot.ts";
import { readiness, Scrape } from "../support/scrape.ts";

const METRICS = ["--metrics", "127.0.0.1:0"];

function metricsOf(server: Ferryd): string {
  return server.listening.get("metrics")!;
}

Deno.test("ferryd --metrics counts connections, operations, files and bytes", async () => {
  await using p = await Pair.start(METRICS);
  const address = metricsOf(p.server);
  const before = await Scrape.of(address);
  assertEquals(before.value("ferry_digest_mismatches_total"), 0);
  p.write("file", new Uint8Array(3 * MIB));
  assertEquals((await p.run("put", "file")).code, 0);
  assertEquals((await p.run("put", "file")).code, 0);
  assertEquals((await p.run("get", "file", "--out", "copy")).code, 0);
  assertEquals((await p.run("get", "missing")).code, 4);
  using _peer = await p.connect();
  const after = await Scrape.until(
    address,
    (scrape) => scrape.value("ferry_connections_total", '{listener="tcp"}') === 5,
  );
  const expected: [name: string, labels: string, value: number][] = [
    ["ferry_operations_total", '{op="put",listener="tcp",code="ok"}', 2],
    ["ferry_operations_total", '{op="get",listener="tcp",code="ok"}', 1],
    ["ferry_operations_total", '{op="get",listener="tcp",code="not_found"}', 1],
    ["ferry_operation_duration_seconds", '_count{op="get"}', 2],
    ["ferry_received_bytes_total", "", 3 * MIB],
    ["ferry_sent_bytes_total", "", 3 * MIB],
    ["ferry_stored_files_total", '{unchanged="false"}', 1],
    ["ferry_stored_files_total", '{unchanged="true"}', 1],
    ["ferry_partial_uploads", "", 0],
    ["ferry_ready", "", 1],
  ];
  for (const [name, labels, value] of expected) {
    assertEquals(after.value(name, labels), value, `${name}${labels}\n${after.text}`);
  }
  assert(after.value("ferry_open_connections", '{listener="tcp"}')! >= 1);
  assert(!after.text.includes('file"'), "names of files are nobody's business here");
});

Deno.test("ferryd --metrics counts logins that fail, and connections that are refused or break", async () => {
  await using dir = new TempDir();
  const tokens = dir.join("tokens");
  const made = await ferryd([
    "token",
    "new",
    "--name",
    "a",
    "--scope",
    "read",
    "--token-file",
    tokens,
  ]);
  assertEquals(made.code, 0, made.stderr);
  const right = made.stdout.trim();
  const wrong = right.slice(0, -4) + (right.endsWith("AAAA") ? "BBBB" : "AAAA");
  await using server = await Ferryd.start(dir.path, [
    ...[...METRICS, "--token-file", tokens, "--max-connections", "1"],
  ]);
  const list = (token: string) =>
    ferry(["ls", "--retries", "0"], { server: server.address, env: { FERRY_TOKEN: token } });
  const address = metricsOf(server);
  const idle = (scrape: Scrape) =>
    scrape.value("ferry_open_connections", '{listener="tcp"}') === undefined;
  assertEquals((await list(right)).code, 0);
  // The next client would be one too many for as long as the server has not seen that this one is gone.
  await Scrape.until(address, idle);
  assertEquals((await list(wrong)).code, 3);
  await Scrape.until(address, idle);
  const peer = await RawPeer.connect(server.port);
  await Scrape.until(address, (scrape) => !idle(scrape));
  assertEquals((await list(right)).code, 6);
  await peer.send(new Uint8Array([0, 0]));
  peer[Symbol.dispose]();
  const scrape = await Scrape.until(
    address,
    (scrape) =>
      scrape.value("ferry_broken_connections_total", '{listener="tcp",code="closed"}') === 1,
  );
  assertEquals(scrape.value("ferry_operations_total", '{op="login",listener="tcp",code="ok"}'), 1);
  assertEquals(
    scrape.value("ferry_operations_total", '{op="login",listener="tcp",code="denied"}'),
    1,
  );
  assertEquals(
    scrape.value("ferry_refused_connections_total", '{listener="tcp",reason="limit"}'),
    1,
  );
  assert(!scrape.text.includes('"a"'), "names of tokens are nobody's business here");
});

Deno.test("ferryd --metrics tells what --scrub has found", async () => {
  await using p = await Pair.start();
  p.write("bad", "content");
  assertEquals((await p.run("put", "bad")).code, 0);
  await p.server.stop();
  rot(`${p.root}/bad`);
  p.server = await Ferryd.start(p.root, [...METRICS, "--scrub", "7d"]);
  const scrape = await Scrape.until(
    metricsOf(p.server),
    (scrape) => scrape.value("ferry_scrub_end_timestamp_seconds")! > 0,
  );
  assertEquals(scrape.value("ferry_scrub_files", '{pass="last"}'), 1);
  assertEquals(scrape.value("ferry_scrub_damaged_files", '{pass="last"}'), 1);
  assertEquals(scrape.value("ferry_scrub_damaged_files", '{pass="current"}'), undefined);
});

Deno.test("monitoring.md has each metric of ferryd --metrics, with its type, its labels and its help", async () => {
  await using p = await Pair.start([...METRICS, "--quota", "1GiB", "--scrub", "7d"]);
  p.write("file", "x");
  assertEquals((await p.run("put", "file")).code, 0);
  const { metrics } = await Scrape.until(
    metricsOf(p.server),
    (scrape) => scrape.value("ferry_scrub_end_timestamp_seconds") !== undefined,
  );
  const rows = [
    ...read("docs/monitoring.md").matchAll(/^\| `(\w+)` *\| (\w+) *\| ([^|]*?) *\| (.*?) *\|$/gm),
  ]
    .map(([, name, type, labels, help]) => ({ name: name!, type, labels, help }));
  assertEquals(
    rows.map(({ name, type, help }) => ({ name, type, help })),
    [...metrics].map(([name, { type, help }]) => ({ name, type, help })),
  );
  for (const { name, labels } of rows) {
    for (const value of metrics.get(name)!.values.keys()) {
      const used = [...value.matchAll(/(\w+)="/g)].map(([, label]) => label!).filter((label) =>
        label !== "le"
      );
      assertEquals(used.map((label) => `\`${label}\``).join(", "), labels, name);
    }
  }
});

Deno.test("ferryd --metrics answers GET and HEAD, and says what else there is", async () => {
  await using p = await Pair.start(METRICS);
  const base = `http://${metricsOf(p.server)}`;
  const ask = async (path: string, method = "GET") => {
    const answer = await fetch(base + path, { method });
    return {
      status: answer.status,
      type: answer.headers.get("content-type"),
      text: await answer.text(),
    };
  };
  const plain = "text/plain; charset=utf-8";
  assertEquals(await ask("/healthz"), { status: 200, type: plain, text: "ok\n" });
  assertEquals(await ask("/readyz?verbose"), { status: 200, type: plain, text: "ready\n" });
  assertEquals((await ask("/metrics")).type, "text/plain; version=0.0.4; charset=utf-8");
  const head = await ask("/metrics", "HEAD");
  assertEquals([head.status, head.text], [200, ""]);
  assertEquals((await ask("/metrics", "POST")).status, 405);
  const nothing = await ask("/files");
  assertEquals([nothing.status, nothing.text], [404, "here are /metrics, /healthz and /readyz\n"]);
  // Many at once get the same text, and none fails.
  const many = await Promise.all(Array.from({ length: 100 }, () => ask("/metrics")));
  assertEquals(many.filter(({ status }) => status !== 200), []);
});

Deno.test("ferryd --metrics is not ready while its directory is gone or its quota is used up", async () => {
  await using p = await Pair.start([...METRICS, "--quota", "10KiB"]);
  const address = metricsOf(p.server);
  assertEquals(await readiness(address, 200), "ready\n");
  p.write("all", new Uint8Array(10 * 1024));
  assertEquals((await p.run("put", "all")).code, 0);
  assertStringIncludes(await readiness(address, 503), "the quota of 10 KiB is reached");
  const full = await Scrape.until(address, (scrape) => scrape.value("ferry_ready") === 0);
  assertEquals(full.value("ferry_quota_bytes"), 10 * 1024);
  assertEquals(full.value("ferry_quota_used_bytes"), 10 * 1024);
  Deno.renameSync(p.root, p.dir.join("away"));
  assertMatch(await readiness(address, 503), /quota|was renamed/);
  const gone = await Scrape.until(
    address,
    (scrape) => scrape.value("ferry_disk_free_bytes") === undefined,
  );
  assertEquals(gone.value("ferry_ready"), 0);
  Deno.renameSync(p.dir.join("away"), p.root);
  assertEquals((await p.run("rm", "all")).code, 0);
  assertEquals(await readiness(address, 200), "ready\n");
});

Deno.test("ferryd --metrics is not ready while it drains, and still counts", async () => {
  await using p = await Pair.start([...METRICS, "--drain-timeout", "5m"]);
  const address = metricsOf(p.server);
  p.write("file", new Uint8Array(8 * MIB));
  const put = spawnFerry(["put", "file", "--limit-rate", "1MiB", "--retries", "0"], {
    cwd: p.cwd,
    server: p.server.address,
  });
  const ended = outcome(put);
  const count = (scrape: Scrape) => scrape.value("ferry_received_bytes_total")!;
  const begun = await Scrape.until(address, (scrape) => count(scrape) > 0);
  assertEquals(begun.value("ferry_running_operations", '{op="put"}'), 1);
  const stopped = p.server.stop("SIGTERM");
  assertStringIncludes(await readiness(address, 503), "it is being shut down");
  await Scrape.until(address, (scrape) => count(scrape) > count(begun));
  put.kill("SIGKILL");
  await ended;
  assertEquals((await stopped).code, 0);
});

Deno.test("ferryd --metrics tells when the certificate ends, also after it was replaced", async () => {
  await using dir = new TempDir();
  const cert = dir.join("ferryd-cert.pem");
  const make = (...args: string[]) =>
    ferryd(["cert", "--host", "127.0.0.1", ...args], { cwd: dir.path });
  const expiry = () => Date.parse(new X509Certificate(Deno.readTextFileSync(cert)).validTo) / 1000;
  assertEquals((await make("--expires", "10d")).code, 0);
  await using server = await Ferryd.start(dir.path, [
    ...[...METRICS, "--tls-cert", cert, "--tls-key", dir.join("ferryd-key.pem")],
  ]);
  const told = (scrape: Scrape) => scrape.value("ferry_certificate_expiry_timestamp_seconds");
  assertEquals(told(await Scrape.of(metricsOf(server))), expiry());
  assertEquals((await make("--expires", "20d", "--replace")).code, 0);
  server.reload();
  await Scrape.until(metricsOf(server), (scrape) => told(scrape) === expiry());
});

Deno.test("ferryd --metrics says what is wrong with a port that is taken", async () => {
  await using p = await Pair.start([...METRICS, "--together"]);
  const taken = metricsOf(p.server);
  const args = ["--root", p.root, "--listen", p.server.address, "--metrics", taken];
  const { code, stderr } = await ferryd([...args, "--together"]);
  assertEquals(code, 1, stderr);
  assertStringIncludes(stderr, `Cannot listen on ${taken}: the address is in use: each of several`);
  assertEquals((await ferry(["ping"], { server: p.server.address })).code, 0);
});
