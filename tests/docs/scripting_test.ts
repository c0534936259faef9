import { assert, assertEquals, assertMatch } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { FerryError, isErrorCode } from "../../lib/core/errors.ts";
import { SYSTEM_CLOCK } from "../../lib/core/clock.ts";
import { createCertificate } from "../../server/cli/certificate.ts";
import { Receipts } from "../../server/receipts.ts";
import { Pair } from "../support/pair.ts";
import { ferry, spawnFerry } from "../support/programs.ts";
import { blocksIn, read, rows, section } from "./documents.ts";

const PAGE = "docs/scripting.md";

/** Keys that are printed only where a file system does not keep something, or the server has a certificate. */
const RARE = new Set(["unkept", "signed_by"]);

/** An event as the page describes it. */
interface Described {
  /** Its heading. */
  heading: string;
  /** Its name. */
  event: string;
  /** The values of `op`; empty where it has none, or any. */
  ops: string[];
  /** The types of its keys, and whether each is always there. */
  keys: Map<string, { types: string[]; optional: boolean }>;
}

function described(): Described[] {
  const headings = [...read(PAGE).matchAll(/^### `(\w+)`(?: of (.*))?$/gm)];
  return headings.map(([line, event, ops = ""]) => {
    const heading = line.slice(4);
    const keys = rows(section(PAGE, line)).map(([key, type]) => {
      const types = type!.replace("?", "").split(" or ");
      return [key!, { types, optional: type!.endsWith("?") }] as const;
    });
    return {
      heading,
      event: event!,
      ops: [...ops.matchAll(/`(\w+)[^`]*`/g)].map(([, op]) => op!),
      keys: new Map(keys),
    };
  });
}

/** What keeps an event from being the one that is described; undefined where it is that one. */
function difference(
  { event, ops, keys }: Described,
  printed: Record<string, unknown>,
): string | undefined {
  const { event: name, op, ...rest } = printed;
  if (name !== event) return `it is a ${name}`;
  if (!keys.has("op") && (ops.length === 0 ? op !== undefined : !ops.includes(String(op)))) {
    return `its op is ${op}`;
  }
  const values = keys.has("op") ? { op, ...rest } : rest;
  for (const [key, { types, optional }] of keys) {
    if (!(key in values)) {
      if (optional) continue;
      return `it has no ${key}`;
    }
    const value = (values as Record<string, unknown>)[key];
    const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    if (!types.includes(type)) return `its ${key} is ${JSON.stringify(value)}`;
  }
  const unknown = Object.keys(values).filter((key) => !keys.has(key));
  return unknown.length === 0 ? undefined : `${unknown} is not described`;
}

/** The events of a run of each command, one way or another. */
async function printedEvents(): Promise<Record<string, unknown>[]> {
  const anywhere = "127.0.0.1:0";
  await using pair = await Pair.start([
    "--allow-exec=echo",
    "--allow-shell",
    "--allow-links",
    `--classic-exec=${anywhere}`,
    `--udp-echo=${anywhere}`,
    `--http=${anywhere}`,
  ]);
  const { server, cwd } = pair;
  const events: Record<string, unknown>[] = [];
  const run = async (...args: string[]) => {
    const { stdout } = await ferry([args[0]!, "--json", ...args.slice(1)], {
      cwd,
      server: server.address,
    });
    for (const line of stdout.split("\n").filter((line) => line !== "")) {
      events.push(JSON.parse(line));
    }
  };
  Deno.mkdirSync(`${cwd}/tree`);
  pair.write("tree/a.txt", "a\n");
  Deno.mkdirSync(`${cwd}/other-tree`);
  Deno.symlinkSync("a.txt", `${cwd}/tree/link`);
  Deno.mkdirSync(`${pair.root}/linked`);
  Deno.symlinkSync("linked", `${pair.root}/to-linked`);
  for (const checksum of ["md5", "sha256", "xxh128"]) {
    const as = `${checksum}.txt`;
    await run("put", "tree/a.txt", "--as", as, "--checksum", checksum);
    await run("get", as, "--checksum", checksum);
    await run("stat", as, "--checksum", checksum);
  }
  await run("put", "tree", "--dry-run");
  await run("put", "tree");
  Deno.copyFileSync(`${cwd}/tree/a.txt`, `${cwd}/tree/b.txt`);
  await run("put", "tree");
  await run("put", "tree", "--links", "--dry-run");
  await run("put", "tree", "--links");
  await run("get", "tree", "--links", "--out", "with-links");
  await run("put", "other-tree", "--atomic");
  await run("put", "missing.txt");
  const large = new Uint8Array(2 * 1024 ** 2);
  pair.write("large.bin", large);
  await run("put", "large.bin");
  large[1024 ** 2] = 1;
  pair.write("large.bin", large);
  await run("put", "large.bin", "--overwrite", "always");
  large[1024 ** 2] = 2;
  pair.write("large.bin", large);
  await run("get", "large.bin", "--overwrite", "always");
  await run("get", "md5.txt", "tree/a.txt", "--out", "several", "--dry-run");
  await run("get", ".", "--out", "all");
  Deno.mkdirSync(`${pair.root}/copied`);
  Deno.copyFileSync(`${pair.root}/tree/a.txt`, `${pair.root}/copied/a.txt`);
  await run("get", ".", "--out", "all", "--dry-run");
  await run("get", ".", "--out", "all");
  Deno.mkdirSync(`${cwd}/other`);
  pair.write("other/b.txt", "b\n");
  for (const more of [["--dry-run"], ["--backup", "old"]]) {
    await run("put", "other", "--as", "tree", "--delete", ...more);
    await run("get", "tree", "--out", "all", "--delete", ...more);
  }
  await run("get", "missing.txt");
  await run("ls", "-R");
  await run("ls", "missing");
  await run("mkdir", "made");
  await run("mv", "md5.txt", "made/");
  await run("stat", "**/nothing");
  await run("mv", "**/nothing", "elsewhere");
  await run("rm", "**/nothing");
  await run("rm", "made", "-r");
  await run("share", "sha256.txt", "--downloads", "3");
  for (const algorithm of ["md5", "sha256", "xxh128"]) {
    await run("verify", ".", "--checksum", algorithm);
  }
  events.push(...await signedReceipts(pair));
  await run("share", ".", "--expires", "0");
  await run("share", "--list");
  const { id } = events.at(-1)!;
  await run("share", "--revoke", String(id));
  await run("ping", "-v");
  Deno.renameSync(pair.root, `${pair.root}.gone`);
  await run("ping", "--count", "1");
  Deno.renameSync(`${pair.root}.gone`, pair.root);
  await run("ping", "--count", "1");
  await run("doctor", "--udp", `127.0.0.1:${closedPort()}`, "--timeout", "100ms");
  {
    using peer = await pair.connect();
    const put = { op: "put", filename: "cut.bin", md5: null, total_size: 9 * 1024 ** 2 };
    await peer.send(put, new Uint8Array(5 * 1024 ** 2));
    await peer.end();
    await peer.receive();
  }
  await run("ls", "--partial");
  await run("rm", "--partial", "cut.bin");
  await run("exec", "--", "echo", "hello");
  await run("exec", "--", "rm", "made");
  await run("exec", "--classic", server.listening.get("classic-exec")!, "echo hello");
  await run("echo", "--udp", server.listening.get("udp-echo")!, "hello");
  await run("echo", "--udp", server.listening.get("udp-echo")!, "--count", "1");
  const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  await run("echo", "--udp", `127.0.0.1:${port}`, "--count", "1", "--timeout", "50ms");
  silent.close();
  await run("ping", "--server", `127.0.0.1:${closedPort()}`, "--retries", "1");
  events.push(...await watchEvents(pair));
  return events;
}

/** What a check of receipts comes to, without the server. */
async function signedReceipts({ dir, cwd }: Pair): Promise<Record<string, unknown>[]> {
  const keyPair = await createCertificate({ hosts: ["127.0.0.1"], lifetime: 60_000 });
  const receipts = new Receipts({}, SYSTEM_CLOCK, keyPair);
  const checksums = [`${"0".repeat(32)}`, `sha256:${"0".repeat(64)}`, `xxh128:${"0".repeat(32)}`];
  const lines = await Promise.all(checksums.map((checksum, at) => {
    return receipts.for({ filename: `${at}`, size: 1, checksum }, "ferry:9900");
  }));
  const path = dir.write("receipts", `${lines.join("\n")}\n`);
  const args = ["verify", "--json", "--receipt", path, "--offline", "--pin", keyPair.pin];
  const { stdout } = await ferry(args, { cwd });
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** What a directory that is watched comes to, until the server goes. */
async function watchEvents(pair: Pair): Promise<Record<string, unknown>[]> {
  const child = spawnFerry(["put", "other", "--watch", "--json", "--rescan", "100ms"], {
    cwd: pair.cwd,
    server: pair.server.address,
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  const events: Record<string, unknown>[] = [];
  for await (const line of lines) {
    const event = JSON.parse(line);
    events.push(event);
    if (event.event === "watching") await pair.server.stop();
    if (event.event === "waiting") child.kill("SIGTERM");
  }
  await new Response(child.stderr).text();
  await child.status;
  return events;
}

/** A port at which nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("scripting.md describes each event of --json as it is printed, and no other", async () => {
  const all = described();
  const missing = new Set(all.flatMap(({ heading, ops, keys }) => [
    heading,
    ...ops.map((op) => `${heading}, op ${op}`),
    ...[...keys].filter(([key, { optional }]) => optional && !RARE.has(key))
      .map(([key]) => `${heading}, key ${key}`),
  ]));
  for (const printed of await printedEvents()) {
    const fitting = all.find((each) => difference(each, printed) === undefined);
    assert(
      fitting,
      `${JSON.stringify(printed)} is none of them: ` +
        all.filter(({ event }) => event === printed.event)
          .map((each) => `${each.heading}: ${difference(each, printed)}`).join("; "),
    );
    const { heading } = fitting;
    missing.delete(heading);
    missing.delete(`${heading}, op ${printed.op}`);
    for (const key of Object.keys(printed)) missing.delete(`${heading}, key ${key}`);
  }
  assertEquals([...missing], [], "these were not printed");
});

Deno.test("scripting.md lists each exit status with its codes", () => {
  const listed = rows(section(PAGE, "## Exit status")).flatMap(([status, , codes]) =>
    codes!.split(", ").filter((code) => code !== "").map((code) => {
      assert(isErrorCode(code), code);
      assertEquals(new FerryError(code, "").exitStatus, Number(status), code);
      return code;
    })
  );
  const all = rows(section("docs/protocol/core.md", "### Error codes")).map(([code]) => code!);
  assertEquals(listed.sort(), all.sort());
});

Deno.test("scripting.md shows a configuration that ferry reads", async () => {
  const [toml] = blocksIn([PAGE], "toml");
  await using pair = await Pair.start();
  const path = pair.write("ferry.toml", toml!.lines.join("\n"));
  pair.write("a.txt", "a\n");
  // The command line takes precedence over the file, which names another server.
  const { code, stdout } = await pair.run("put", "a.txt", "--config", path);
  assertEquals(code, 0);
  assertMatch(stdout, / {2}a\.txt\n$/);
});
