/**
 * `ferry ping`: what it needs, prints, and ends with.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { ferry, Ferryd, spawnFerry, TempDir } from "../../../support/programs.ts";
import { token, TokenServer } from "../../../support/token_server.ts";

Deno.test("ferry ping needs no token, and tries the one that it is given", async () => {
  const [{ token: known, record }, { token: unknown }] = [await token("read"), await token("read")];
  await using server = await TokenServer.start([record]);
  const options = { server: server.address };
  const nobody = await ferry(["ping"], options);
  assertEquals([nobody.code, nobody.stderr], [0, ""]);
  assertMatch(nobody.stdout, /^ferryd\/\S+ answered in \d+\.\d\d ms\n$/);
  const env = (shown: string) => ({ ...options, env: { FERRY_TOKEN: shown } });
  assertEquals((await ferry(["ping"], env(known))).code, 0);
  assertEquals((await ferry(["ping"], env(unknown))).code, 3);
  // Whatever does something still needs one.
  assertEquals((await ferry(["ls"], options)).code, 3);
});

Deno.test("ferry ping --count prints a line for each answer, and a summary", async () => {
  await using server = await TokenServer.start([(await token("read")).record]);
  const options = { server: server.address };
  const lines = await ferry(["ping", "-c", "3", "-i", "0"], options);
  assertEquals([lines.code, lines.stderr], [0, ""]);
  const [first, , third, heading, counts, rtt] = lines.stdout.split("\n");
  for (const [line, sequence] of [[first, 1], [third, 3]] as const) {
    assert(line!.startsWith(`${server.address}: seq=${sequence} time=`), line);
  }
  assertEquals(heading, `--- ${server.address} ping statistics ---`);
  assertMatch(counts!, /^3 sent, 3 answered, 0% loss in \d+\.\d{3} s$/);
  assertMatch(rtt!, /^rtt min\/avg\/max\/stddev = /);
  const nowhere = await ferry(["ping", "-c", "3"], { server: "127.0.0.1:1" });
  assertEquals([nowhere.code, nowhere.stdout], [6, ""]);
});

Deno.test("ferry ping goes on where the server disconnects who shows no token", async () => {
  const tokens = [(await token("read")).record];
  await using server = await TokenServer.start(tokens, { handshakeTimeout: 1500 });
  const { code, stdout } = await ferry(["ping", "-c", "2", "-i", "2500ms"], {
    server: server.address,
  });
  assertEquals(code, 0);
  assertMatch(stdout, /^2 sent, 2 answered, 0% loss/m);
});

Deno.test("ferry ping counts what a server that has gone does not answer, until Ctrl-C", async () => {
  await using dir = new TempDir();
  const server = await Ferryd.start(dir.path);
  const child = spawnFerry(["ping", "--count", "0", "--interval", "10ms", "--json"], {
    server: server.address,
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  const seen: Record<string, unknown>[] = [];
  for await (const line of lines) {
    const event = JSON.parse(line);
    const isNew = event.event !== seen.at(-1)?.event;
    seen.push(event);
    if (isNew && event.event === "reply") await server.stop("SIGKILL");
    if (isNew && event.event === "lost") child.kill("SIGINT");
  }
  const { event, op, sent, received } = seen.at(-1)!;
  assertEquals([event, op], ["summary", "ping"]);
  assert(Number(received) >= 1 && Number(sent) > Number(received));
  assertEquals(await new Response(child.stderr).text(), "");
  assertEquals((await child.status).code, 0);
});

Deno.test("ferry ping ends with 1 where a server answers and cannot serve", async () => {
  await using dir = new TempDir();
  const root = dir.join("root");
  Deno.mkdirSync(root);
  await using server = await Ferryd.start(root);
  Deno.renameSync(root, dir.join("elsewhere"));
  for (const args of [["ping"], ["ping", "--count", "2", "--interval", "0"]]) {
    const { code, stderr } = await ferry(args, { server: server.address });
    assertEquals(code, 1, args.join(" "));
    assertMatch(stderr, /^ferry: The server answers, but cannot serve: .*not where it was/);
  }
  Deno.renameSync(dir.join("elsewhere"), root);
});
