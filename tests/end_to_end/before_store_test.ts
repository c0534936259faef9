import { assertEquals, assertStringIncludes } from "@std/assert";
import { filesBelow } from "../support/programs.ts";
import { allEnded } from "../support/processes.ts";
import { HookedServer } from "../support/upload_hooks.ts";
import { md5, MIB } from "../support/bytes.ts";

// On Windows, ferryd runs no programs.
const ignore = Deno.build.os === "windows";

/** Lets in what is asked about, except for names with `bad`. */
const REFUSES_BAD = 'in=$(cat); echo "$in" >>"$OUT/told"\n' +
  'case $in in *bad*) printf "no bad\\u0009names\\nnor this" >&2; exit 1;; esac';

Deno.test({
  name: "--before-store refuses uploads in whatever way they come, before their content",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const server = await s.start([
      ...["--before-store", s.script(REFUSES_BAD), "--http", "127.0.0.1:0"],
    ]);
    s.write("good", "hello");
    s.write("bad", "hello");
    s.write("bad-large", new Uint8Array(24 * MIB));
    Deno.mkdirSync(`${s.cwd}/d`);
    s.write("d/good", "x");
    s.write("d/bad", "x");
    assertEquals((await s.run("put", "good")).code, 0);
    const [{ version, hook, name, size, token, ...more }] = s.told as [Record<string, unknown>];
    assertEquals({ version, hook, name, size, token, md5: more.md5 }, {
      ...{ version: 1, hook: "before-store", name: "good", size: 5, token: null },
      md5: md5("hello"),
    });
    const refusal = "no bad\\u0009names (on the server)";
    for (const args of [["bad"], ["bad-large"], ["bad-large", "--streams", "2"]]) {
      const { code, stderr } = await s.run("put", ...args);
      assertEquals([code, stderr], [3, `ferry: Cannot put "${args[0]}": ${refusal}\n`]);
    }
    const tree = await s.run("put", "d");
    assertEquals(tree.code, 3);
    assertStringIncludes(tree.stderr, refusal);
    const atomic = await s.run("put", "d", "--atomic", "--as", "whole");
    assertEquals(atomic.code, 3, atomic.stderr);
    const url = `http://127.0.0.1:${server.portOf("http")}`;
    const put = await fetch(`${url}/bad`, { method: "PUT", body: "hello" });
    assertEquals([put.status, (await put.json()).detail], [403, "no bad\\u0009names"]);
    const tus = await fetch(`${url}/.tus/`, {
      method: "POST",
      headers: {
        "tus-resumable": "1.0.0",
        "upload-length": "5",
        "upload-metadata": `filename ${btoa("bad")}`,
      },
    });
    assertEquals(tus.status, 403, await tus.text());
    const there = filesBelow(s.root).filter((name) => !name.startsWith(".ferry/"));
    assertEquals(there.sort(), ["d/good", "good"]);
    assertEquals(filesBelow(`${s.root}/.ferry/staging`).filter((name) => /\.part$/.test(name)), []);
  },
});

/** What clients are told where the program does not answer. */
const UNANSWERED = "the program that checks uploads does not answer: try again later";

Deno.test({
  name: "an upload is refused if --before-store hangs, and the program is killed with its children",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const script = s.script('sleep 1000 & echo $$ $! >"$OUT/pids"; wait');
    const server = await s.start(["--before-store", script, "--hook-timeout", "500ms"]);
    s.write("a", "a");
    // On a busy machine, the first runs may be killed before they have begun.
    while (s.read("pids") === "") {
      const { code, stderr } = await s.run("put", "a", "--retries", "0");
      assertEquals([code, stderr], [6, `ferry: Cannot put "a": ${UNANSWERED} (on the server)\n`]);
    }
    await allEnded(s.read("pids").trim().split(" ").map(Number));
    assertStringIncludes((await server.stop()).stderr, "it took too long");
  },
});

Deno.test({
  name: "an upload is refused if --before-store floods, is killed or has vanished",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const script = s.script("case $(cat) in *flood*) yes;; *killed*) kill -9 $$;; esac");
    const server = await s.start(["--before-store", script]);
    for (const name of ["flood", "killed", "fine"]) s.write(name, name);
    const assertUnanswered = async (name: string) => {
      const { code, stderr } = await s.run("put", name, "--retries", "0");
      const says = `ferry: Cannot put "${name}": ${UNANSWERED} (on the server)\n`;
      assertEquals([code, stderr], [6, says]);
    };
    await assertUnanswered("flood");
    await assertUnanswered("killed");
    assertEquals((await s.run("put", "fine")).code, 0);
    Deno.removeSync(script);
    await assertUnanswered("fine");
    assertEquals(filesBelow(s.root).filter((name) => !name.startsWith(".ferry/")), ["fine"]);
    const { stderr } = await server.stop();
    for (const reason of ["larger than", "SIGKILL ended it", "no such file"]) {
      assertStringIncludes(stderr, reason);
    }
  },
});

Deno.test({
  name: "--before-store is asked for several clients side by side",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    // Each run ends when the other one has begun.
    const both = 'touch "$OUT/$$"; until [ "$(ls "$OUT" | wc -l)" -ge 2 ]; do sleep 0.05; done';
    await s.start(["--before-store", s.script(both), "--hook-jobs", "2"]);
    s.write("a", "a");
    s.write("b", "b");
    const puts = await Promise.all(["a", "b"].map((name) => s.run("put", name)));
    for (const { code, stderr } of puts) assertEquals(code, 0, stderr);
  },
});
