import { assertEquals, assertMatch } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { ferry } from "../support/programs.ts";
import { PythonListener, talkPython } from "../support/python.ts";

Deno.test("ferryd echoes to beginners' clients", async () => {
  await using p = await Pair.start(["--tcp-echo", "127.0.0.1:0", "--udp-echo", "127.0.0.1:0"]);
  for (const kind of ["tcp", "udp"]) {
    const script = `classic_${kind}_echo_client.py`;
    const address = p.server.listening.get(`${kind}-echo`)!;
    assertEquals(await talkPython(script, address, "hello\nwörld 1\nABC"), {
      code: 0,
      stdout: ">>: HELLO\n>>: WöRLD 1\n>>: ABC\n>>: ",
      stderr: "",
    });
    // The next client is served as well.
    assertMatch((await talkPython(script, address, "again\n")).stdout, /AGAIN/);
  }
});

Deno.test("ferry echo asks beginners' servers", async () => {
  for (const kind of ["tcp", "udp"]) {
    await using echo = await PythonListener.start(`classic_${kind}_echo_server.py`);
    const run = (...args: string[]) => ferry(["echo", `--${kind}`, echo.address, ...args]);
    assertEquals(await run("hello wörld"), { code: 0, stdout: "HELLO WöRLD\n", stderr: "" });
    const { code, stdout } = await run("--count", "20", "--interval", "5ms");
    assertMatch(stdout, /^20 sent, 20 received, 0% loss, 0 duplicates, 0 out of order in /m);
    assertEquals(code, 0);
  }
});

Deno.test("ferry echo reads a long reply of a beginner's TCP server in its pieces", async () => {
  await using echo = await PythonListener.start("classic_tcp_echo_server.py");
  const text = "what is longer than a piece, ".repeat(1000);
  assertEquals(
    (await ferry(["echo", "--tcp", echo.address, text])).stdout,
    `${text.toUpperCase()}\n`,
  );
});

Deno.test("ferry echo reports that a beginner's UDP server cuts off what is long", async () => {
  await using echo = await PythonListener.start("classic_udp_echo_server.py");
  const args = ["echo", "--udp", echo.address, "--count", "1", "--size"];
  assertEquals((await ferry([...args, "1024"])).code, 0);
  const { code, stdout, stderr } = await ferry([...args, "1025"]);
  assertMatch(stdout, /^1024 bytes from .* seq=1 .* \(no echo from byte 1024 on\)$/m);
  assertMatch(stderr, /1 of the replies were no echo/);
  assertEquals(code, 7);
});

Deno.test("ferry echo asks a beginner's TCP server again when somebody else has left in the middle", async () => {
  await using echo = await PythonListener.start("classic_tcp_echo_server.py");
  const [hostname = "", port] = echo.address.split(":");
  {
    using conn = await Deno.connect({ hostname, port: Number(port) });
    await conn.write(new TextEncoder().encode("x".repeat(1000)));
    assertMatch(await echo.says(), /^connected/);
  }
  assertEquals((await ferry(["echo", "--tcp", echo.address, "hello"])).stdout, "HELLO\n");
});
