import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { type Fault, FaultyEcho } from "../../../support/faulty_echo.ts";
import { Pair } from "../../../support/pair.ts";
import { DENO, ferry, outcome, programArgs, spawnFerry } from "../../../support/programs.ts";
import { BOTH, counts, events } from "../../../support/echo_runs.ts";

Deno.test("ferry echo sends without a pause, 64 at once, and loses nothing", async () => {
  await using p = await Pair.start(["--udp-echo", "127.0.0.1:0", "--tcp-echo", "127.0.0.1:0"]);
  for (const [option, kind] of BOTH) {
    for (const size of ["64", "1400", "65507"]) {
      const args = [option, p.server.listening.get(kind)!, "--size", size, "--interval", "0"];
      const ended = await p.run("echo", ...args, "--count", "640", "--json");
      assertEquals(counts(ended), [640, 640, 0, 0, 0, 0, 0], `${option} ${size}`);
      assertEquals(events(ended).length, 1);
    }
  }
  const args = ["--udp", p.server.listening.get("udp-echo")!, "--interval", "0", "--count", "300"];
  assertEquals(counts(await p.run("echo", ...args, "--json", "text")), [300, 300, 0, 0, 0, 0, 0]);
});

Deno.test("ferry echo needs few sockets for many texts", async () => {
  await using echo = await FaultyEcho.start();
  const args = [
    "echo",
    "--udp",
    echo.address,
    "--count",
    "500",
    "--interval",
    "0",
    "--json",
    "text",
  ];
  const child = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 150; exec "$@"', "sh", DENO, ...programArgs("ferry"), ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  assertEquals(counts(await outcome(child)), [500, 500, 0, 0, 0, 0, 0]);
});

Deno.test("ferry echo goes on without a pause when some are lost", async () => {
  const faults = Array.from({ length: 500 }, (_, i): Fault => i % 5 === 0 ? "lose" : "none");
  await using echo = await FaultyEcho.start(...faults);
  const args = ["--udp", echo.address, "--interval", "0", "--count", "500", "--timeout", "100ms"];
  const ended = await ferry(["echo", ...args, "--json"]);
  assertEquals(counts(ended), [500, 400, 20, 0, 0, 0, 0]);
  assertEquals(ended.code, 0);
});

Deno.test("ferry echo prints the summary at Ctrl-C", async (t) => {
  await using echo = await FaultyEcho.start();
  await t.step("after replies", async () => {
    const child = spawnFerry(["echo", "--udp", echo.address, "--count", "0", "--interval", "20ms"]);
    const lines = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    for (let i = 1; i <= 3; i++) assertStringIncludes((await lines.read()).value!, ` seq=${i} `);
    child.kill("SIGINT");
    const rest: string[] = [];
    for (let line; !(line = await lines.read()).done;) rest.push(line.value);
    assertMatch(rest.join("\n"), /statistics ---\n(\d+) sent, \1 received, 0% loss/);
    assertEquals(await new Response(child.stderr).text(), "");
    assertEquals((await child.status).code, 0);
  });
  await t.step("after nothing", async () => {
    await using silent = await FaultyEcho.start(...Array<Fault>(1000).fill("lose"));
    const child = spawnFerry([
      "echo",
      "--udp",
      silent.address,
      "--count",
      "0",
      "--interval",
      "20ms",
    ]);
    while (silent.received.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    const { code, stdout, stderr } = await outcome(child);
    assertMatch(stdout, /^\d+ sent, 0 received, 100% loss/m);
    assertStringIncludes(stderr, "nothing came back");
    assertEquals(code, 6);
  });
  await t.step("without a pause", async () => {
    await using busy = await FaultyEcho.start();
    const child = spawnFerry(["echo", "--udp", busy.address, "--count", "0", "--interval", "0"]);
    while (busy.received.length < 1000) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill("SIGINT");
    const { code, stdout } = await outcome(child);
    assertMatch(stdout, /^(\d+) sent, \1 received, 0% loss/m);
    assertEquals(code, 0);
  });
});
