import { assert, assertEquals, assertStringIncludes } from "@std/assert";
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

Deno.test({
  name: "an upload that --before-store does not answer is refused, and the program is killed",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    const script = s.script(`case $(cat) in
  *hang*) sleep 1000 & echo $$ $! >"$OUT/pids"; wait;;
  *flood*) yes;;
  *killed*) kill -9 $$;;
esac`);
    const server = await s.start(["--before-store", script, "--hook-timeout", "2s"]);
    for (const name of ["hang", "flood", "killed", "fine"]) s.write(name, name);
    for (const name of ["hang", "flood", "killed"]) {
      const { code, stderr } = await s.run("put", name, "--retries", "0");
      const says = "the program that checks uploads does not answer: try again later";
      assertEquals([code, stderr], [6, `ferry: Cannot put "${name}": ${says} (on the server)\n`]);
    }
    await allEnded(s.read("pids").trim().split(" ").map(Number));
    assertEquals((await s.run("put", "fine")).code, 0);
    // The program has vanished: nothing is let in.
    Deno.removeSync(script);
    assertEquals((await s.run("put", "fine", "--as", "other", "--retries", "0")).code, 6);
    assertEquals(filesBelow(s.root).filter((name) => !name.startsWith(".ferry/")), ["fine"]);
    const { stderr } = await server.stop();
    for (const reason of ["it took too long", "larger than", "SIGKILL ended it", "no such file"]) {
      assertStringIncludes(stderr, reason);
    }
  },
});

Deno.test({
  name:
    "a peer with a short idle timeout waits for --before-store, and clients are asked about side by side",
  ignore,
  fn: async () => {
    await using s = new HookedServer();
    // Each run ends when the other one has begun.
    const script = s.script(
      'touch "$OUT/$$"; until [ "$(ls "$OUT" | wc -l)" -ge 2 ]; do sleep 0.05; done',
    );
    await s.start(["--before-store", script, "--hook-jobs", "2"]);
    s.write("a", "a");
    s.write("b", "b");
    const puts = await Promise.all([
      s.run("put", "a", "--timeout", "500ms"),
      (async () => {
        await s.until(() => [...Deno.readDirSync(s.out)].length === 1);
        return await s.run("put", "b");
      })(),
    ]);
    for (const { code, stderr } of puts) assertEquals(code, 0, stderr);
    assert(filesBelow(s.root).includes("a"));
  },
});
