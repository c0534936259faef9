import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { type Program, PROGRAMS } from "../../packaging/program.ts";
import {
  DENO,
  ferry,
  Ferryd,
  filesBelow,
  type Launch,
  outcome,
  programArgs,
  spawnFerry,
  TempDir,
} from "../support/programs.ts";
import { KINDS, Mount, Mounted, whyLeftOut } from "../support/mount.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { MIB } from "../support/bytes.ts";

/** The permissions of a program in deno.json: their kinds, and the entries of lists. */
function givenTo(program: Program["name"]): string[] {
  const { permissions } = PROGRAMS.find(({ name }) => name === program)!;
  return Object.entries(config.permissions[permissions]).flatMap(([kind, what]) =>
    Array.isArray(what) ? what.map((one: string) => `${kind}=${one}`) : [kind]
  ).sort();
}

/** Starts the programs with all permissions but one, or but several of one kind. */
function without(lack: string): Launch {
  const [kind, list] = lack.split("=");
  return (name) => {
    const args = programArgs(name, { runsCommands: true }).flatMap((flag) => {
      if (flag !== `--allow-${kind}` && !flag.startsWith(`--allow-${kind}=`)) return [flag];
      const lacking = list?.split(",");
      const rest = flag.replace(/^[^=]*=?/, "").split(",").filter((what) =>
        !lacking?.includes(what)
      );
      return !lacking || rest.length === 0 ? [] : [`--allow-${kind}=${rest.join(",")}`];
    });
    return [DENO, ...args];
  };
}

/** A directory with a large and a small file, and a root with the large one. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");

  constructor() {
    Deno.mkdirSync(this.root);
    for (const path of ["large", "root/large"]) this.dir.write(path, new Uint8Array(24 * MIB));
    this.dir.write("small", "small\n");
  }

  /** Starts a transfer of the large file, cuts it, and returns the record of its progress. */
  async cut(
    args: string[],
    parts: string,
    options: { launch?: Launch; server: string },
  ): Promise<{ boot: number | null }> {
    const child = spawnFerry([...args, "--limit-rate", "6MiB"], { ...options, cwd: this.dir.path });
    const ended = outcome(child);
    using watcher = Deno.watchFs(parts);
    const record = () => filesBelow(parts).find((name) => name.endsWith(".json"));
    if (!record()) { for await (const _ of watcher) if (record()) break; }
    child.kill("SIGTERM");
    await ended;
    return JSON.parse(Deno.readTextFileSync(`${parts}/${record()}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("ferry needs each permission that deno.json gives it", async (t) => {
  await using f = new Fixture();
  await using server = await Ferryd.start(f.root);
  const fails = (...args: string[]) => async (launch: Launch) => {
    const { code, stderr } = await ferry(args, { launch, server: server.address, cwd: f.dir.path });
    assertEquals(code, 3, stderr);
    assertStringIncludes(stderr, "without the permission");
  };
  const needs: Record<string, (launch: Launch) => Promise<void>> = {
    net: fails("ping"),
    read: fails("put", "small"),
    write: fails("get", "large"),
    "env=FERRY_*": fails("ping"),
    // Without it, the program reads a partial download again before it resumes.
    "sys=osUptime": async (launch) => {
      const cut = async (lacking: { launch?: Launch }) =>
        (await f.cut(["get", "large"], f.dir.path, { ...lacking, server: server.address })).boot;
      assertEquals(await cut({ launch }), null);
      for (const { name } of Deno.readDirSync(f.dir.path)) {
        if (name.startsWith(".ferry-")) Deno.removeSync(f.dir.join(name));
      }
      assert(await cut({}) !== null);
    },
    // Without it, a full file system of the server is not told apart from other errors.
    "sys=statfs": async (launch) => {
      await using mount = new Mounted("sshfs");
      await using _disk = new Mount("size=1m", mount.store);
      for (const [more, says] of [[{ launch }, "Input/output error"], [{}, "no space"]] as const) {
        const options = { ...more, server: server.address, cwd: mount.path };
        assertStringIncludes((await ferry(["get", "large"], options)).stderr, says);
      }
    },
  };
  const leftOut: Readonly<Record<string, string | undefined>> = {
    "sys=statfs": whyLeftOut(KINDS.sshfs.needs),
  };
  Deno.removeSync(f.dir.join("large"));
  assertEquals(Object.keys(needs).sort(), givenTo("ferry"));
  for (const [lack, need] of Object.entries(needs)) {
    const why = leftOut[lack];
    await t.step({
      name: why === undefined ? lack : `${lack} (ignored: ${why})`,
      ignore: why !== undefined,
      fn: () => need(without(lack)),
    });
  }
});

Deno.test({
  name: "ferryd needs each permission that deno.json gives it, to do all of its job",
  // On Windows, ferryd runs no commands.
  ignore: Deno.build.os === "windows",
  fn: async (t) => {
    await using f = new Fixture();
    const command = "/usr/bin/env";
    const exec = ["--allow-exec", command, "--allow-shell"];
    const fails =
      (says: string, args = exec, env: Record<string, string> = {}) => async (launch: Launch) => {
        const start = async () => {
          await using _ = await Ferryd.start(f.root, args, { launch, env });
        };
        await assertRejects(start, Error, says);
      };
    /** The PATH that commands get. */
    const path = "/usr/bin:/bin";
    const environment = async (launch: Launch | undefined) => {
      const env = { USER: "u", LOGNAME: "l", LANG: "C", LC_ALL: "C", LC_CTYPE: "C", TZ: "UTC" };
      await using server = await Ferryd.start(f.root, ["--allow-exec", command], {
        ...(launch && { launch }),
        env: { ...env, TMPDIR: f.dir.path, PATH: path },
      });
      const { stdout } = await ferry(["exec", "--", command], { server: server.address });
      return new Map(stdout.trim().split("\n").map((line) => line.split("=") as [string, string]));
    };
    const needs: Record<string, (launch: Launch) => Promise<void>> = {
      net: fails("without the permission"),
      read: fails("without the permission"),
      run: fails("without the permission"),
      "env=FERRYD_*": fails("without the permission"),
      write: fails("without the permission"),
      // Without it, the server reads a partial upload again before it resumes.
      "sys=osUptime": async (launch) => {
        await using server = await Ferryd.start(f.root, [], { launch });
        const put = ["put", "large", "--as", "cut"];
        const parts = `${f.root}/.ferry/staging`;
        assertEquals((await f.cut(put, parts, { server: server.address })).boot, null);
      },
      // Without it, the server notices only at the end that there is no space.
      "sys=statfs": async (launch) => {
        const offer = { op: "put", filename: "huge", offer: true, total_size: 0, size: 2 ** 50 };
        for (const [started, answer] of [[{ launch }, "ok"], [{}, "no_space"]] as const) {
          await using server = await Ferryd.start(f.root, [], started);
          using peer = await RawPeer.connect(server.port);
          assertEquals(await peer.ask({ ...offer, md5: null }), answer);
        }
      },
    };
    // Without it, commands get a default PATH.
    needs["env=PATH"] = async (launch) => {
      const path = (await environment(launch)).get("PATH");
      assertEquals(path, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    };
    const passedOn = [
      "HOME",
      "USER",
      "LOGNAME",
      "LANG",
      "LC_ALL",
      "LC_CTYPE",
      "TZ",
      "TMPDIR",
    ];
    const seen = await environment(undefined);
    for (const name of passedOn) assert(seen.has(name), name);
    assertEquals(seen.get("PATH"), path);
    // Each permission covers one variable. They are removed together, which shows the same in fewer runs.
    const together = `env=${passedOn.join(",")}`;
    needs[together] = async (launch) => {
      const sees = await environment(launch);
      assertEquals(passedOn.filter((name) => sees.has(name)), []);
    };
    const managed = { NOTIFY_SOCKET: f.dir.join("notify") };
    needs["env=NOTIFY_SOCKET"] = fails("without the permission");
    needs["env=WATCHDOG_USEC"] = fails("without the permission", exec, managed);
    needs["env=WATCHDOG_PID"] = fails("without the permission", exec, managed);
    // Without it, the keys to a bucket are not found.
    const bucket = ["--root", "s3://files", "--s3-endpoint", "http://127.0.0.1:1"];
    needs["env=AWS_*"] = fails("without the permission", bucket);
    needs["env=USERPROFILE"] = fails("without the permission", bucket, { HOME: "" });
    const names = Object.keys(needs).flatMap((lack) =>
      lack === together ? passedOn.map((name) => `env=${name}`) : [lack]
    );
    assertEquals(names.sort(), givenTo("ferryd"));
    for (const [lack, need] of Object.entries(needs)) {
      await t.step(lack, () => need(without(lack)));
    }
  },
});
