import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { type Fault, FaultyEcho } from "../../../support/faulty_echo.ts";
import { Pair } from "../../../support/pair.ts";
import {
  DENO,
  ferry,
  type Launch,
  programArgs,
  spawnFerry,
  TempDir,
} from "../../../support/programs.ts";
import {
  BOTH,
  counts,
  deadAddress,
  events,
  talk,
  upper,
  withTcpServer,
} from "../../../support/echo_runs.ts";

Deno.test("ferry echo TEXT prints what comes back", async () => {
  await using p = await Pair.start(["--udp-echo", "127.0.0.1:0", "--tcp-echo", "127.0.0.1:0"]);
  for (const [option, kind] of BOTH) {
    const address = p.server.listening.get(kind)!;
    for (
      const [text, reply] of [["hello, wörld", "HELLO, WöRLD"], ["x".repeat(60_000)], ["--", ""]]
    ) {
      const ended = await p.run("echo", option, address, "--", text!);
      const expected = reply === "" ? "--" : reply ?? text!.toUpperCase();
      assertEquals(ended, { code: 0, stdout: `${expected}\n`, stderr: "" });
    }
    const [event] = events(await p.run("echo", option, address, "--json", "hello"));
    const { rtt_ms, ...rest } = event!;
    assertEquals(rest, { event: "reply", op: "echo", text: "HELLO", bytes: 5 });
    assert(typeof rtt_ms === "number" && rtt_ms > 0);
    const patient = await p.run("echo", option, address, "--timeout", "60d", "hello");
    assertEquals([patient.stdout, patient.stderr], ["HELLO\n", ""]);
  }
  const empty = await p.run("echo", "--udp", p.server.listening.get("udp-echo")!, "");
  assertEquals(empty, { code: 0, stdout: "\n", stderr: "" });
});

Deno.test("ferry echo asks for lines, and shows what comes back for each", async () => {
  await using p = await Pair.start(["--udp-echo", "127.0.0.1:0", "--tcp-echo", "127.0.0.1:0"]);
  for (const [option, kind] of BOTH) {
    const child = spawnFerry(["echo", option, p.server.listening.get(kind)!], { stdin: "piped" });
    const writer = child.stdin.getWriter();
    const replies = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    const prompts = new Response(child.stderr).text();
    for (const line of ["one", "two words", "ünï"]) {
      await writer.write(new TextEncoder().encode(`${line}\n`));
      // The answer comes before the next line is typed.
      assertEquals((await replies.read()).value, line.replace(/[a-z]/g, (c) => c.toUpperCase()));
    }
    await writer.write(new TextEncoder().encode("without a line break"));
    await writer.close();
    assertEquals((await replies.read()).value, "WITHOUT A LINE BREAK");
    assertEquals((await replies.read()).done, true);
    assertEquals((await child.status).code, 0);
    assertEquals(await prompts, ">>: ".repeat(4));
  }
});

/** Three lines: an escape sequence, GBK with a bell in it, and UTF-8 with a control character of C1. */
const WILD = [
  Uint8Array.of(0x1b, 0x5b, 0x41),
  Uint8Array.of(0xc4, 0xe3, 0x07, 0x9f),
  Uint8Array.of(0xc2, 0x9b, 0x09),
];
const WILD_INPUT = Uint8Array.from(WILD.flatMap((line) => [...line, 0x0a]));

Deno.test("ferry echo brings back any bytes", async () => {
  await using echo = await FaultyEcho.start();
  const child = spawnFerry(["echo", "--udp", echo.address], { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(WILD_INPUT);
  await writer.close();
  assertEquals((await child.output()).stdout, WILD_INPUT);
  assertEquals(echo.received, WILD);
});

Deno.test({
  name: "ferry echo shows a terminal nothing that drives it",
  // What gives a program a terminal is called differently elsewhere.
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using echo = await FaultyEcho.start();
    await using dir = new TempDir();
    const input = dir.write("input", WILD_INPUT);
    const ferry = [DENO, ...programArgs("ferry"), "echo", "--udp", echo.address];
    const command = `${ferry.map((arg) => `'${arg}'`).join(" ")} < '${input}'`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command, "/dev/null"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    const latin1 = Array.from(stdout, (byte) => String.fromCharCode(byte)).join("");
    const shown = ["\\x1b[A", "\xc4\xe3\\x07\x9f", "\\x9b\t", ""];
    assertEquals([code, latin1], [0, shown.map((line) => `>>: ${line}`).join("\r\n")]);
  },
});

Deno.test("ferry echo goes on asking when an answer is lost", async () => {
  await using echo = await FaultyEcho.start("none", "lose");
  const ask = (input: string) => {
    const args = ["echo", "--udp", echo.address, "--timeout", "200ms", "--quiet", "--json"];
    return talk(args, input);
  };
  const ended = await ask("a\nb\nc\n");
  assertEquals(ended.code, 0);
  assertEquals(events(ended), [{
    event: "error",
    op: "echo",
    code: "timeout",
    message: `Cannot get an echo from ${echo.address}: no answer for 0.2 s`,
  }]);
  const dead = ["echo", "--udp", await deadAddress(), "--timeout", "100ms"];
  assertEquals((await talk(dead, "a\nb\n")).code, 6);
});

Deno.test("ferry echo goes on asking after a reply that is no echo", async () => {
  await using echo = await FaultyEcho.start("damage", "none");
  const ended = await talk(["echo", "--udp", echo.address, "--json"], "a\nb\n");
  assertEquals(events(ended).map(({ event }) => event), ["reply", "error", "reply"]);
  assertEquals(ended.code, 7);
});

Deno.test("ferry echo --count prints a line for each reply and a summary", async () => {
  await using p = await Pair.start(["--udp-echo", "127.0.0.1:0", "--tcp-echo", "127.0.0.1:0"]);
  for (const [option, kind] of BOTH) {
    const address = p.server.listening.get(kind)!;
    const args = ["echo", option, address, "--count", "3", "--interval", "10ms", "--size", "100"];
    const { code, stdout, stderr } = await p.run(...args);
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.trimEnd().split("\n");
    for (const [i, line] of lines.slice(0, 3).entries()) {
      assertMatch(
        line,
        new RegExp(`^100 bytes from ${address}: seq=${i + 1} time=\\d+\\.\\d{3} ms$`),
      );
    }
    assertEquals(lines[3], `--- ${address} ${option.slice(2)} echo statistics ---`);
    assertMatch(
      lines[4]!,
      /^3 sent, 3 received, 0% loss, 0 duplicates, 0 out of order in 0\.\d{3} s$/,
    );
    assertMatch(lines[5]!, /^rtt min\/avg\/max\/stddev = (\d+\.\d{3}\/){3}\d+\.\d{3} ms$/);
    assertEquals(lines.length, 6);
    const quiet = await p.run(...args, "--quiet");
    assertEquals(quiet, { code: 0, stdout: "", stderr: "" });
  }
});

Deno.test("ferry echo --json gives each reply and the summary as an object", async () => {
  await using echo = await FaultyEcho.start("none", "lose", "damage");
  const ended = await ferry([
    ...["echo", "--udp", echo.address, "--json", "--count", "3"],
    ...["--interval", "10ms", "--timeout", "300ms"],
  ]);
  const numbers = ({ rtt_ms, ...rest }: Record<string, unknown>) => {
    assert(rtt_ms === undefined || typeof rtt_ms === "number" && rtt_ms > 0);
    return rest;
  };
  const reply = { event: "reply", op: "echo", bytes: 64, kind: "first", out_of_order: false };
  const all = events(ended);
  assertEquals(all.slice(0, 3).map(numbers), [
    { ...reply, sequence: 1, damaged: false },
    { ...reply, sequence: 3, damaged: true },
    { event: "lost", op: "echo", sequence: 2, code: "timeout", message: "no answer for 0.3 s" },
  ]);
  const { min_ms, avg_ms, max_ms, stddev_ms, seconds, ...summary } = all[3]!;
  assertEquals(summary, {
    event: "summary",
    op: "echo",
    protocol: "udp",
    address: echo.address,
    sent: 3,
    received: 1,
    loss_percent: 33.333,
    duplicates: 0,
    out_of_order: 0,
    late: 0,
    damaged: 1,
  });
  assert(min_ms === avg_ms && avg_ms === max_ms && Number(min_ms) > 0 && stddev_ms === 0);
  // The last thing that happened is that the second one was given up.
  assert(Number(seconds) >= 0.3);
  assertEquals(all[4], {
    event: "error",
    op: "echo",
    code: "checksum_mismatch",
    message: `Cannot get an echo from ${echo.address}: 1 of the replies were no echo`,
  });
  assertEquals([all.length, ended.code], [5, 7]);
});

// Every kind of probe: with a number, without room for one, empty, and a text.
for (const what of [[], ["--size", "12"], ["--size", "11"], ["--size", "0"], ["TEXT"], ["text"]]) {
  const title = what.join(" ") || "of the usual size";
  const numbered = what.length === 0 || what[1] === "12";
  Deno.test(`ferry echo counts what is lost, doubled and late in order: ${title}`, async () => {
    const faults: Fault[] = ["none", "lose", "twice", "hold", "none", "stranger", "twice", "none"];
    await using echo = await FaultyEcho.start(...faults);
    const args = ["--udp", echo.address, "--json", "--timeout", "1s", "--interval", "20ms"];
    const ended = await ferry(["echo", ...args, "--count", "8", ...what]);
    assertEquals([ended.code, ended.stderr], [0, ""]);
    const replies = events(ended).filter(({ event }) => event === "reply")
      .map(({ sequence, kind }) => kind === "first" ? `${sequence}` : `${sequence} ${kind}`);
    const expected = ["1", "3", "3 duplicate", "5", "4", "6", "7", "7 duplicate", "8"];
    if (numbered) {
      assertEquals(counts(ended), [8, 7, 12.5, 2, 1, 0, 0]);
      assertEquals(replies, expected);
    } else {
      // Two replies at the same time: nobody knows which of them was first.
      assertEquals(counts(ended).toSpliced(4, 1), [8, 7, 12.5, 2, 0, 0]);
      assertEquals(replies.sort(), expected.sort());
    }
    assertEquals(echo.received.length, 8);
  });
}

Deno.test("ferry echo reports replies that came when they had been given up", async () => {
  await using echo = await FaultyEcho.start("hold", "none");
  const args = ["--udp", echo.address, "--json", "--count", "2"];
  const ended = await ferry(["echo", ...args, "--interval", "1100ms", "--timeout", "1s"]);
  assertEquals(counts(ended), [2, 1, 50, 0, 1, 1, 0]);
  assertEquals(ended.code, 0);
});

Deno.test("ferry echo reports what is no echo", async (t) => {
  const wrong = async (what: string[], fault: Fault) => {
    await using echo = await FaultyEcho.start(fault, "none");
    const args = ["--udp", echo.address, "--interval", "10ms", "--count", "2"];
    return await ferry(["echo", ...args, "--timeout", "300ms", ...what]);
  };
  const table: [string, string[], Fault, RegExp][] = [
    [
      "a wrong byte",
      [],
      "damage",
      /^64 bytes from \S+: seq=1 time=\S+ ms \(no echo from byte 63 on\)$/m,
    ],
    [
      "a byte less",
      [],
      "shorten",
      /^63 bytes from \S+: seq=1 time=\S+ ms \(no echo from byte 63 on\)$/m,
    ],
    [
      "a wrong byte of a text",
      ["hello"],
      "damage",
      /^5 bytes .* seq=1 .* \(no echo from byte 4 on\)$/m,
    ],
    [
      "a number cut",
      ["--size", "12"],
      "shorten",
      /^11 bytes .* seq=1 .* \(no echo from byte 11 on\)$/m,
    ],
  ];
  for (const [name, what, fault, line] of table) {
    await t.step(name, async () => {
      const { code, stdout, stderr } = await wrong(what, fault);
      assertMatch(stdout, line);
      assertMatch(stdout, /^2 sent, 1 received, 0% loss, .*, 1 no echo in /m);
      assertMatch(stderr, /^ferry: Cannot get an echo from \S+: 1 of the replies were no echo\n$/);
      assertEquals(code, 7);
    });
  }
  await t.step("a single text", async () => {
    await using echo = await FaultyEcho.start("shorten");
    const { code, stdout, stderr } = await ferry(["echo", "--udp", echo.address, "hello"]);
    assertEquals([code, stdout], [7, "HELL\n"]);
    const reason = "the reply is no echo from byte 4 on";
    assertEquals(stderr, `ferry: Cannot get an echo from ${echo.address}: ${reason}\n`);
  });
  await t.step("something else", async () => {
    const { code, stdout } = await wrong([], "babble");
    assertMatch(stdout, /^64 bytes from \S+: no echo from byte 0 on$/m);
    assertMatch(stdout, /^seq=1: no answer for 0.3 s$/m);
    assertMatch(stdout, /^2 sent, 1 received, 50% loss, .*, 1 no echo in /m);
    assertEquals(code, 7);
  });
  await t.step("more than was sent over TCP", async () => {
    await withTcpServer(async (conn) => {
      const reply = (await upper(conn))!;
      await conn.write(new Uint8Array([...reply, 1, 2, 3]));
      await upper(conn);
    }, async (address) => {
      const { code, stdout } = await ferry(["echo", "--tcp", address, "--count", "1"]);
      assertMatch(stdout, /^3 bytes from \S+: no echo from byte 0 on$/m);
      assertMatch(stdout, /^1 sent, 1 received, 0% loss, .*, 1 no echo in /m);
      assertEquals(code, 7);
    });
  });
});

Deno.test("ferry echo ends with status 6 where nothing comes back", async (t) => {
  const address = await deadAddress();
  const never = ["--udp", address, "--timeout", "200ms"];
  const table: [string[], string, RegExp][] = [
    [["hello"], "no answer for 0.2 s", /^$/],
    [
      ["--count", "2", "--interval", "10ms"],
      "nothing came back",
      /^2 sent, 0 received, 100% loss, /m,
    ],
    [
      ["--count", "100", "--interval", "0"],
      "nothing came back",
      /^100 sent, 0 received, 100% loss, /m,
    ],
    [["--count", "3", "--interval", "0", "TEXT"], "nothing came back", /^3 sent, 0 received, /m],
  ];
  for (const [args, reason, output] of table) {
    await t.step(args.join(" "), async () => {
      const { code, stdout, stderr } = await ferry(["echo", ...never, ...args]);
      assertEquals(stderr, `ferry: Cannot get an echo from ${address}: ${reason}\n`);
      assertEquals(code, 6);
      assertMatch(stdout, output);
    });
  }
  await t.step("none can be sent", async () => {
    const args = ["--udp", "127.0.0.2:9", "--count", "3", "--interval", "1ms"];
    const launch: Launch = (program) => {
      const all = programArgs(program);
      return [DENO, ...all.slice(0, -1), "--deny-net=127.0.0.2", all.at(-1)!];
    };
    const { code, stdout, stderr } = await ferry(["echo", ...args, "--timeout", "1h"], { launch });
    const reason = "Deno was started without the permission for it";
    assertEquals(stdout.split("\n").slice(0, 3), [1, 2, 3].map((n) => `seq=${n}: ${reason}`));
    assertEquals(stderr, `ferry: Cannot get an echo from 127.0.0.2:9: ${reason}\n`);
    assertEquals(code, 6);
  });
  await t.step("nothing is at the port 0", async () => {
    for (const protocol of ["--udp", "--tcp"]) {
      const { code, stderr } = await ferry(["echo", protocol, "127.0.0.1:0", "--count", "3"]);
      assertEquals([code, stderr], [
        2,
        'ferry: "127.0.0.1:0" has the port 0, at which nothing can be reached\n',
      ]);
    }
  });
  for (const args of [["hello"], ["--count", "2"]]) {
    await t.step(`TCP: ${args.join(" ")}`, async () => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const address = `127.0.0.1:${listener.addr.port}`;
      listener.close();
      const { code, stderr } = await ferry(["echo", "--tcp", address, ...args]);
      assertEquals(stderr, `ferry: Cannot get an echo from ${address}: connection refused\n`);
      assertEquals(code, 6);
    });
  }
  await t.step("a host without an address", async () => {
    const { code, stderr } = await ferry(["echo", "--udp", "nobody.invalid:7", "hello"]);
    assertStringIncludes(stderr, "no address is known for that host");
    assertEquals(code, 6);
  });
});

Deno.test("ferry echo says what is wrong with its command line", async () => {
  const table: [string[], string][] = [
    [[], "Say where the echo is, with either --udp HOST:PORT or --tcp HOST:PORT"],
    [["--udp", "127.0.0.1:7", "--tcp", "127.0.0.1:7"], "Say where the echo is, with either"],
    [["--udp", "127.0.0.1"], '"127.0.0.1" is no address: write HOST:PORT'],
    [["--udp", "127.0.0.1:7", "--size", "65508"], "--size is 65508 bytes; over udp 65507 go"],
    [["--udp", "127.0.0.1:7", "x".repeat(65508)], "TEXT is 65508 bytes; over udp 65507 go"],
    [["--tcp", "127.0.0.1:7", "--size", "17MiB"], "--size is 17825792 bytes; over tcp 16777216 go"],
    [["--tcp", "127.0.0.1:7", "--size", "0"], "Over TCP there is no echo of nothing"],
    [["--tcp", "127.0.0.1:7", ""], "Over TCP there is no echo of nothing"],
    [["--udp", "127.0.0.1:7", "--size", "5", "hello"], "--size is for when there is no TEXT"],
    [["--udp", "127.0.0.1:7", "--timeout", "0", "hello"], "--timeout has to be more than 0"],
    [["--udp", "127.0.0.1:7", "--count", "many"], "--count takes a whole number"],
    [["--udp", "127.0.0.1:7", "one", "two"], 'There is no place for "two"'],
  ];
  for (const [args, message] of table) {
    const { code, stdout, stderr } = await ferry(["echo", ...args]);
    assertEquals([code, stdout], [2, ""], message);
    assertStringIncludes(stderr, `ferry: ${message}`);
  }
});

Deno.test("ferry echo over IPv6", async () => {
  await using p = await Pair.start(["--udp-echo", "[::1]:0", "--tcp-echo", "[::1]:0"]);
  for (const [option, kind] of BOTH) {
    const address = p.server.listening.get(kind)!;
    assertEquals((await p.run("echo", option, address, "six")).stdout, "SIX\n");
    const long = address.replace("::1", "0:0:0:0:0:0:0:1");
    const ended = await p.run("echo", option, long, "--count", "2", "--interval", "0", "--json");
    assertEquals(counts(ended), [2, 2, 0, 0, 0, 0, 0]);
  }
});

Deno.test("ferry echo --help tells its own options, and no others", async () => {
  const { code, stdout } = await ferry(["echo", "--help"]);
  assertEquals(code, 0);
  assertMatch(stdout, /--timeout TIME +give up a reply .* \(default: 2s\)/);
  for (const option of ["--server", "--limit-rate", "--retries"]) assert(!stdout.includes(option));
});
