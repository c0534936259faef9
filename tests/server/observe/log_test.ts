import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DENO, Ferryd, programArgs, runSource, TempDir } from "../../support/programs.ts";
import { RawPeer } from "../../support/raw_peer.ts";

/** A ferryd of which the test reads what it says, when it wants to; one that a shell starts in another way. */
async function start(root: string, { args = [], shell }: { args?: string[]; shell?: string } = {}) {
  const command = [DENO, ...programArgs("ferryd"), "--root", root, "--listen", "127.0.0.1:0"];
  const all = shell === undefined
    ? [...command, ...args]
    : ["/bin/sh", "-c", shell, "sh", ...command, ...args];
  const child = new Deno.Command(all[0]!, {
    args: all.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("ready\n")) said += (await reader.read()).value ?? "ready\n";
  await reader.cancel();
  return { child, port: Number(/:(\d+)$/m.exec(said)?.[1]) };
}

/** Asks for what is not there, many times: each of them is a line of the log. */
async function askInVain(port: number, count: number): Promise<void> {
  using peer = await RawPeer.connect(port);
  const filename = "x".repeat(200);
  for (let asked = 0; asked < count; asked += 100) {
    await peer.send(...Array.from({ length: 100 }, () => ({ op: "stat", filename })));
    for (let n = 0; n < 100; n++) assertEquals(await peer.code(), "not_found");
  }
  await peer.end();
  assertEquals(await peer.code(), "ended");
}

async function assertServes(port: number): Promise<void> {
  using peer = await RawPeer.connect(port);
  assertEquals(await peer.ask({ op: "ping" }), "ok");
}

Deno.test("ferryd goes on where nobody reads its log, and counts what is missing of it", async () => {
  await using dir = new TempDir();
  const { child, port } = await start(dir.path, { args: ["--log", "json"] });
  const count = 4000;
  await askInVain(port, count);
  // Now somebody reads, and there is room again.
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes('"count"')) text += (await reader.read()).value;
  await askInVain(port, 100);
  child.kill("SIGTERM");
  for (let read; !(read = await reader.read()).done;) text += read.value;
  assertEquals((await child.status).code, 0);
  const records = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  const missing = records.filter((record) => "count" in record);
  const told = records.filter(({ code }) => code === "not_found");
  const dropped = missing.reduce((sum, { count }) => sum + count, 0);
  assert(dropped > 0);
  assertEquals(told.length + dropped, count + 100);
  assertEquals(records.filter((r) => !told.includes(r) && !missing.includes(r)), []);
  // In order: what came before it stands before it.
  const at = records.indexOf(missing[0]);
  assert(at > 0 && at <= records.length - 100, `${at}`);
  assertEquals(missing[0].level, "WARN");
});

Deno.test({
  name: "ferryd ends at SIGTERM where nobody reads what it says",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using dir = new TempDir();
    const { child, port } = await start(dir.path);
    await askInVain(port, 1000);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    await child.stderr.cancel();
  },
});

Deno.test({
  name: "ferryd ends at SIGTERM where the pipe of its output was full from the first",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using dir = new TempDir();
    // With nobody to read standard output, standard error tells when it is up.
    const fill = 'dd if=/dev/zero bs=4096 count=16 2>/dev/null; exec "$@"';
    const args = ["--root", dir.path, "--listen", "0.0.0.0:0", "--anonymous", "read"];
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", fill, "sh", DENO, ...programArgs("ferryd"), ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    while (!said.includes("others can connect")) said += (await reader.read()).value;
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    await reader.cancel();
    await child.stdout.cancel();
  },
});

Deno.test({
  name: "ferryd goes on where its log cannot be written",
  ignore: Deno.build.os !== "linux",
  fn: async (t) => {
    await t.step("who has read it has gone", async () => {
      await using dir = new TempDir();
      const { child, port } = await start(dir.path);
      await child.stderr.cancel();
      await askInVain(port, 100);
      await assertServes(port);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
    });
    await t.step("the disk is full", async () => {
      await using dir = new TempDir();
      const { child, port } = await start(dir.path, { shell: 'exec "$@" 2>/dev/full' });
      await askInVain(port, 100);
      await assertServes(port);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
      await child.stderr.cancel();
    });
  },
});

/** What would begin a line of its own, hide one, or show it in another way. */
const NASTY = [
  "\n2026-01-01 00:00:00.000 +00:00 [ERR] ferry·server: forged",
  "\r\n2026-01-01",
  "\u2028forged",
  "\u2029forged",
  "\u0085forged",
  "\v\f\x1c\x1d\x1e",
  "\x1b[2K\x1b[1A",
  "\x9b2K",
  "\u202egrof",
  "\u2066\u2069",
  '"}\n{"level":"ERROR"}',
  "{peer} {cause} %s \\n",
];

for (const format of ["text", "json"]) {
  Deno.test(`ferryd's log has a line for each record, whatever clients send: ${format}`, async () => {
    await using dir = new TempDir();
    const args = ["--log", format, "--verbose"];
    if (Deno.build.os !== "windows") args.push("--allow-exec", "true");
    await using server = await Ferryd.start(dir.path, args);
    let count = 0;
    for (const text of NASTY) {
      using peer = await RawPeer.connect(server.port);
      for (
        const request of [
          { op: "stat", filename: text },
          { op: "get", filename: text },
          { op: "move", filename: "a", to: text },
          { op: text },
          { op: "exec", argv: [text] },
          { op: "exec", command: text },
          { op: "exec", argv: ["true", text] },
          { op: "hello", versions: [text] },
          { op: "auth", scram: text },
          { op: "put", filename: "a", total_size: 0, checksum: text, algorithm: text, offer: text },
        ]
      ) {
        await peer.send(request);
        await peer.receive();
        count++;
      }
    }
    const { stderr } = await server.stop();
    assert(stderr.endsWith("\n"));
    const lines = stderr.trimEnd().split("\n");
    assert(lines.length > count / 2, `${lines.length}`);
    for (const line of lines) {
      // deno-lint-ignore no-control-regex -- that is what must not be there
      assertEquals(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(line), false);
      if (format === "json") {
        const { peer, message } = JSON.parse(line);
        assert(message.startsWith(`${peer}`) && /^127\.0\.0\.1:\d+$/.test(peer), line);
      } else assertMatch(line, /^\d{4}-\d\d-\d\d \S+ \S+ \[\w{3}\] ferry·server: 127\.0\.0\.1:\d+/);
    }
  });
}

Deno.test("logUncaught() keeps a program alive, and logs the cause", async () => {
  const [lines, log] = ["line_writer", "log"].map((name) =>
    JSON.stringify(new URL(`../../../server/observe/${name}.ts`, import.meta.url).href)
  );
  const program = `
    import { setImmediate, setTimeout as later } from "node:timers";
    import { EventEmitter } from "node:events";
    import { LineWriter } from ${lines};
    import { logUncaught, startLog } from ${log};
    const stderr = new LineWriter(Deno.stderr);
    await startLog(stderr, { format: "text", verbose: false });
    logUncaught();
    const fail = (what) => () => { throw new Error("thrown by " + what); };
    setTimeout(fail("a timer"), 0);
    const interval = setInterval(() => { clearInterval(interval); fail("an interval")(); }, 1);
    setImmediate(fail("an immediate of Node"));
    later(fail("a timer of Node"), 1);
    queueMicrotask(fail("a microtask"));
    Promise.reject(new Error("thrown by a promise"));
    Promise.reject("thrown by a promise of no error");
    const emitter = new EventEmitter();
    emitter.on("event", fail("a listener of Node"));
    setTimeout(() => emitter.emit("event"), 1);
    globalThis.addEventListener("event", fail("a listener"));
    setTimeout(() => globalThis.dispatchEvent(new Event("event")), 1);
    Deno.addSignalListener("SIGHUP", fail("a signal"));
    setTimeout(() => Deno.kill(Deno.pid, "SIGHUP"), 1);
    const worker = new Worker("data:text/javascript,throw new Error('thrown by a worker')", { type: "module" });
    worker.addEventListener("error", () => {});
    setTimeout(async () => { console.log("alive"); await stderr.flush(1000); Deno.exit(0); }, 500);
  `;
  const { code, stdout, stderr } = await runSource(program);
  assertEquals([code, stdout], [0, "alive\n"], stderr);
  for (
    const what of [
      "a timer",
      "an interval",
      "an immediate of Node",
      "a timer of Node",
      "a microtask",
      "a promise",
      "a promise of no error",
      "a listener of Node",
      "a listener",
      "a signal",
    ]
  ) assertMatch(stderr, new RegExp(`foresaw: .*thrown by ${what}\\b`), what);
  assertStringIncludes(stderr, "[ERR]");
});
