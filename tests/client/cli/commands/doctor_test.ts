/**
 * `ferry doctor`: each phase, and what it advises where one fails.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createRuntime, MemoryStorage, serve } from "../../../../mod.ts";
import { freePorts } from "../../../support/free_ports.ts";
import { MovableClock } from "../../../support/movable_clock.ts";
import { Pair } from "../../../support/pair.ts";
import { ferry, TempDir } from "../../../support/programs.ts";
import { Fixture, make } from "../../../support/tls_servers.ts";
import { token, TokenServer } from "../../../support/token_server.ts";

/** How a phase ended, and what is said of it. */
interface Ended {
  phase: string;
  state: string;
  ms: number | null;
  detail: string;
  code?: string;
  advice?: string;
}

/** Examines a server. Returns the exit status and the phases. */
async function examined(
  server: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<{ code: number; phases: Ended[] }> {
  const { code, stdout } = await ferry(["doctor", "--json", ...args], { server, env });
  const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  return { code, phases: events.filter(({ event }) => event === "phase") };
}

/** The names of the phases that ended in a way. */
function those(phases: Ended[], state: string): string {
  return phases.filter((each) => each.state === state).map(({ phase }) => phase).join(" ");
}

Deno.test("ferry doctor goes through all phases, and leaves nothing behind", async () => {
  await using pair = await Pair.start(["--udp-echo", "127.0.0.1:0"]);
  const udp = pair.server.listening.get("udp-echo")!;
  const { code, stdout, stderr } = await ferry(["doctor", "--udp", udp], {
    server: pair.server.address,
  });
  assertEquals([code, stderr], [0, ""], stdout);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.pop(), "all is well");
  const phases = lines.map((line) => {
    const [, phase, state] = /^(\w+) +(ok|left out) +(?:\d+\.\d ms)?/.exec(line) ?? [];
    return `${phase} ${state}`;
  });
  assertEquals(phases, [
    "resolve ok",
    "connect ok",
    "tls left out",
    "hello ok",
    "ping ok",
    "login left out",
    "list ok",
    "put ok",
    "clock ok",
    "get ok",
    "remove ok",
    "udp ok",
    "mtu ok",
  ]);
  assertEquals([...Deno.readDirSync(pair.root)].map(({ name }) => name), [".ferry"]);
});

Deno.test("ferry doctor does what the token allows, and says what it leaves out", async () => {
  const [all, reader, inbox, keeper, unknown] = await Promise.all([
    token("read,write,delete"),
    token("read"),
    token("read,write,delete", "inbox/"),
    token("read,write"),
    token("read"),
  ]);
  const known = [all, reader, inbox, keeper].map(({ record }) => record);
  await using server = await TokenServer.start(known);
  const shown = (made: { token: string }, ...args: string[]) =>
    examined(server.address, args, { FERRY_TOKEN: made.token });
  const whole = await shown(all);
  assertEquals([whole.code, those(whole.phases, "left_out")], [0, "tls udp"]);
  const read = await shown(reader);
  assertEquals([read.code, those(read.phases, "left_out")], [0, "tls put udp"]);
  const kept = await shown(keeper);
  assertEquals([kept.code, those(kept.phases, "left_out")], [0, "tls put udp"]);
  assertMatch(kept.phases.find(({ phase }) => phase === "put")!.detail, /could not be removed/);
  const outside = await shown(inbox);
  assertEquals([outside.code, those(outside.phases, "failed")], [3, "list"]);
  assertMatch(outside.phases.find(({ phase }) => phase === "list")!.advice!, /^--dir names/);
  const inside = await shown(inbox, "--dir", "inbox/");
  assertEquals([inside.code, those(inside.phases, "left_out")], [0, "tls udp"]);
  const nobody = await examined(server.address);
  assertEquals([nobody.code, those(nobody.phases, "failed")], [3, "login"]);
  assertMatch(nobody.phases.find(({ phase }) => phase === "login")!.advice!, /--token-file/);
  const wrong = await shown(unknown);
  assertEquals([wrong.code, those(wrong.phases, "failed")], [3, "login"]);
  assertMatch(wrong.phases.find(({ phase }) => phase === "login")!.advice!, /revoked/);
});

Deno.test("ferry doctor makes no directory that it would leave behind", async () => {
  await using pair = await Pair.start();
  const missing = await examined(pair.server.address, ["--dir", "none/such"]);
  assertEquals([missing.code, those(missing.phases, "failed")], [4, "list"]);
  assertEquals(those(missing.phases, "left_out"), "tls login put udp");
  assertEquals([...Deno.readDirSync(pair.root)].map(({ name }) => name), [".ferry"]);
});

Deno.test("ferry doctor says what to do where the way ends", async () => {
  await using pair = await Pair.start(["--http", "127.0.0.1:0"]);
  await using tls = await Fixture.start();
  const expired = await make(["localhost"], -60_000);
  await using old = await Fixture.start({ tls: expired });
  const elsewhere = await make(["files.example.org"]);
  await using other = await Fixture.start({ tls: elsewhere });
  await using dir = new TempDir();
  const ca = dir.write("ca.pem", elsewhere.cert);
  const plain = pair.server.address;
  const encrypted = `127.0.0.1:${tls.port}`;
  const silent = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const mute = `127.0.0.1:${(silent.addr as Deno.NetAddr).port}`;
  const web = pair.server.listening.get("http")!;
  const cases: [server: string, args: string[], failed: string, code: number, says: RegExp][] = [
    ["no-such-host.invalid", [], "resolve", 6, /check the name/],
    [`127.0.0.1:${freePorts(1)}`, [], "connect", 6, /whether ferryd runs/],
    [plain, ["--tls"], "tls", 8, /leave out --tls/],
    [encrypted, [], "hello", 8, /give --tls/],
    [encrypted, ["--tls"], "tls", 3, /--ca, or give its fingerprint/],
    [encrypted, ["--pin", `sha256:${"0".repeat(64)}`], "tls", 3, /somebody stands between/],
    [`127.0.0.1:${other.port}`, ["--ca", ca], "tls", 3, /call the server by a name/],
    [`localhost:${old.port}`, ["--pin", expired.pin], "tls", 3, /make a new certificate/],
    [web, [], "hello", 8, /the port of another service/],
    [plain, ["--udp", mute, "--timeout", "1s"], "udp", 6, /--udp-echo/],
  ];
  for (const [server, args, failed, status, says] of cases) {
    const { code, phases } = await examined(server, args);
    const name = `${server} ${args.join(" ")}`;
    assertEquals([code, those(phases, "failed")], [status, failed], name);
    const { advice, code: why } = phases.find(({ state }) => state === "failed")!;
    assertMatch(advice!, says, name);
    assert(why !== undefined);
  }
  silent.close();
  const quiet = await ferry(["doctor", "-q", "-s", `127.0.0.1:${freePorts(1)}`]);
  assertEquals([quiet.code, quiet.stdout], [6, ""]);
  assertEquals(quiet.stderr, "ferry: Cannot pass connect: connection refused\n");
});

Deno.test("ferry doctor says that a server cannot serve, and that clocks differ", async () => {
  const clock = new MovableClock();
  const runtime = createRuntime({ clock });
  await using storage = new MemoryStorage({ runtime });
  await using server = await serve({ storage, runtime, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  clock.advance(3600_000);
  const later = await examined(address);
  assertEquals([later.code, those(later.phases, "failed")], [1, "clock"]);
  const { detail, advice } = later.phases.find(({ phase }) => phase === "clock")!;
  assertMatch(detail, /^the server's clock is 3\d\d\d\.\d s ahead of this one$/);
  assertMatch(advice!, /NTP/);
  await using pair = await Pair.start();
  Deno.renameSync(pair.root, `${pair.root}.gone`);
  const gone = await examined(pair.server.address);
  Deno.renameSync(`${pair.root}.gone`, pair.root);
  assertEquals(gone.code, 1);
  assertEquals(gone.phases.find(({ state }) => state === "failed")!.phase, "ping");
});
