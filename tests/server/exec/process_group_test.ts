import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { ProcessGroup, type SpawnOptions } from "../../../server/exec/process_group.ts";
import { allEnded, runs } from "../../support/processes.ts";
import { runSource, TempDir } from "../../support/programs.ts";

const SETSID = ["/usr/bin/setsid", "/bin/setsid"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Both ways to make a group: with the program setsid where there is one, and without. */
const WAYS = [undefined, ...(SETSID === undefined ? [] : [SETSID])];

function start(script: string, options: Partial<SpawnOptions> = {}): ProcessGroup {
  return ProcessGroup.start({
    path: "/bin/sh",
    args: ["-c", script],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdin: false,
    setsid: undefined,
    kill: undefined,
    ...options,
  });
}

/** All that it writes to its standard output; its standard error is left unread. */
async function outputOf(group: ProcessGroup): Promise<string> {
  const text = await new Response(group.output.stdout).text();
  await group.output.stderr.cancel();
  return text;
}

/** The numbers in the first line of its output. */
async function announced(group: ProcessGroup): Promise<number[]> {
  const stdout = group.output.stdout as ReadableStream<Uint8Array<ArrayBuffer>>;
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) line += (await reader.read()).value ?? "\n";
  await reader.cancel();
  await group.output.stderr.cancel();
  return line.trim().split(" ").map(Number);
}

for (const setsid of WAYS) {
  const how = setsid === undefined ? "" : " by way of setsid";

  Deno.test(`ProcessGroup leads a group of its own${how}`, async () => {
    const group = start("ps -o pgid= -p $$; echo $$", { setsid });
    const [pgid, pid] = (await outputOf(group)).trim().split(/\s+/).map(Number);
    assertEquals([pgid, pid], [group.pid, group.pid]);
    assertEquals((await group.status).code, 0);
    await group.end();
  });

  Deno.test(`ProcessGroup has a clear environment, and a directory${how}`, async () => {
    Deno.env.set("FERRY_TEST_SECRET", "x");
    const group = start("/usr/bin/env; pwd", { setsid, env: { COLOUR: "blue" }, cwd: "/usr" });
    const lines = (await outputOf(group)).trim().split("\n");
    // What the shell itself sets is no secret of ours.
    assertEquals(
      lines.filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line)),
      ["COLOUR=blue", "/usr"],
    );
    await group.end();
  });

  Deno.test(`ProcessGroup.end() ends children and grandchildren${how}`, async () => {
    const group = start('sleep 1000 & a=$!; (sleep 1000 & echo $$ "$a" $!; wait) & wait', {
      setsid,
    });
    const pids = await announced(group);
    assertEquals(pids.length, 3);
    assert((await Promise.all(pids.map(runs))).every(Boolean));
    await group.end();
    await allEnded(pids);
    assertEquals((await group.status).signal, "SIGTERM");
  });

  Deno.test(`ProcessGroup.end() kills what ignores SIGTERM${how}`, async () => {
    const group = start("trap '' TERM; sleep 1000 & echo $$ $!; wait", { setsid });
    const pids = await announced(group);
    await group.end();
    await allEnded(pids);
    assertEquals((await group.status).signal, "SIGKILL");
  });

  Deno.test(`ProcessGroup.end() ends what was stopped${how}`, async () => {
    const group = start("echo $$; kill -STOP $$", { setsid });
    const pids = await announced(group);
    await group.end();
    await allEnded(pids);
  });

  Deno.test(`ProcessGroup.end() ends what its leader left behind${how}`, async () => {
    const group = start("sleep 1000 >/dev/null 2>&1 & echo $!; exit 3", { setsid });
    const pids = await announced(group);
    assertEquals((await group.status).code, 3);
    assert(await runs(pids[0]!));
    await group.end();
    await allEnded(pids);
  });
}

Deno.test("ProcessGroup.end() may come at once, and more than once", async () => {
  for (const setsid of WAYS) {
    const group = start("sleep 1000", { setsid });
    await Promise.all([group.end(), group.end(), outputOf(group)]);
    await group.end();
    await allEnded([group.pid]);
  }
});

/** A program that stands for `kill`: it fails as that does, or worse, until a file is there. */
function faultyKill(dir: TempDir, failure: string): { kill: string; heal: () => void } {
  const healed = dir.join("healed");
  const script = `#!/bin/sh\n[ -e ${healed} ] && exec /bin/kill "$@"\n${failure}\n`;
  const kill = dir.write("kill", script);
  Deno.chmodSync(kill, 0o755);
  return { kill, heal: () => Deno.writeTextFileSync(healed, "") };
}

for (const failure of ["exit 1", "exit 127", "kill -9 $$", "kill -34 $$"]) {
  Deno.test(`ProcessGroup.end() goes on where kill fails: ${failure}`, async () => {
    await using dir = new TempDir();
    const { kill, heal } = faultyKill(dir, failure);
    const group = start("echo $$; exec sleep 1000", { kill });
    const pids = await announced(group);
    let ended = false;
    const end = group.end().then(() => ended = true);
    assertEquals(group.signal("SIGTERM"), "failed");
    assertEquals([ended, await runs(pids[0]!)], [false, true]);
    heal();
    await end;
    await allEnded(pids);
  });
}

Deno.test("ProcessGroup.signal() says so where kill cannot be started", async () => {
  const group = start("exec sleep 1000", { kill: "/no/such/program" });
  const text = outputOf(group);
  assertEquals(group.signal("SIGTERM"), "failed");
  Deno.kill(group.pid, "SIGKILL");
  await group.status;
  await text;
  // Nobody is left, but that cannot be known: what is not there does not tell it.
  assertEquals(group.signal("SIGTERM"), "failed");
});

Deno.test("ProcessGroup.write() reaches standard input, and gives up on who reads no more", async () => {
  const group = start("head -c 3", { stdin: true });
  await group.write(new TextEncoder().encode("abcdef"));
  const text = await outputOf(group);
  assertEquals(text, "abc");
  await group.status;
  await group.write(new Uint8Array(1_000_000));
  await group.closeInput();
  await group.end();
});

Deno.test("ProcessGroup.end() ends a write that waits", async () => {
  const group = start("echo $$; exec sleep 1000", { stdin: true });
  await announced(group);
  const writing = group.write(new Uint8Array(10_000_000));
  await group.end();
  await writing;
});

Deno.test("ProcessGroup has no input unless one is announced", async () => {
  const group = start("cat; echo end");
  assertEquals(await outputOf(group), "end\n");
  await group.end();
});

Deno.test("ProcessGroup fails where the program or the directory is missing", () => {
  for (const options of [{ path: "/no/such/program" }, { cwd: "/no/such/directory" }]) {
    const error = assertThrows(() => start("true", options), FerryError);
    assertEquals(error.code, "not_found");
  }
});

Deno.test("ProcessGroup ends with the program that leaves without waiting", async () => {
  const module = new URL("../../../server/exec/process_group.ts", import.meta.url).href;
  const program = `
    import { ProcessGroup } from ${JSON.stringify(module)};
    const group = ProcessGroup.start({
      path: "/bin/sh",
      args: ["-c", "trap '' TERM; sleep 1000 & echo $$ $!; wait"],
      cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdin: false, setsid: undefined, kill: undefined,
    });
    const { value } = await group.output.stdout.getReader().read();
    console.log(new TextDecoder().decode(value).trim());
    Deno.exit(0);
  `;
  const { stdout, stderr } = await runSource(program);
  assertEquals(stderr, "");
  await allEnded(stdout.trim().split(" ").map(Number));
});
