import { assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { namesIn } from "../support/directories.ts";
import { ferry, Ferryd, outcome, PROJECT, TempDir } from "../support/programs.ts";
import { isInstalled } from "../support/tools.ts";

const RULES = `${PROJECT}packaging/systemd/ferryd.logrotate`;

/** Waits until something is so that changes with the files of a directory. */
async function until(directory: string, isSo: () => boolean): Promise<void> {
  using watcher = Deno.watchFs(directory);
  if (isSo()) return;
  for await (const _ of watcher) if (isSo()) return;
}

/** Writes a `systemctl` that notes what it is asked, and knows one process. */
function writeSystemctl(dir: TempDir, pid: number): void {
  Deno.mkdirSync(dir.join("bin"));
  const script = `#!/bin/sh
echo "$*" >>"${dir.join("asked")}"
case "$1" in
  is-active) kill -0 ${pid} 2>/dev/null ;;
  kill) kill -USR1 ${pid} ;;
esac
`;
  Deno.chmodSync(dir.write("bin/systemctl", script), 0o755);
}

Deno.test({
  name: "logrotate rotates the log and the audit trail of a service, and no line is lost",
  ignore: !isInstalled("logrotate"),
  async fn() {
    await using dir = new TempDir();
    const [root, logs] = [dir.join("root"), dir.join("logs")];
    for (const path of [root, logs]) Deno.mkdirSync(path);
    const paths = ["ferryd", "audit"].map((name) => `${logs}/${name}.log`);
    const [log, audit] = paths as [string, string];
    await using server = await Ferryd.start(root, ["--log-file", log, "--audit", audit]);
    writeSystemctl(dir, server.pid);
    // The directory of these logs is that of the tests' user.
    const rules = Deno.readTextFileSync(RULES)
      .replace("/var/log/ferryd", logs).replace(/^ *su ferryd ferryd\n/m, "");
    const rotate = () => {
      const args = ["--force", "--state", dir.join("state"), dir.write("rules", rules)];
      const env = { PATH: `${dir.join("bin")}:${Deno.env.get("PATH")}` };
      const io = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
      return outcome(new Deno.Command("logrotate", { args, env, ...io }).spawn());
    };
    dir.write("f", "text");
    const put = async (name: string) => {
      const args = ["put", "f", "--as", name];
      assertEquals((await ferry(args, { cwd: dir.path, server: server.address })).code, 0);
      // Empty files are not rotated.
      await until(logs, () => paths.every((path) => Deno.readTextFileSync(path).includes(name)));
    };
    await put("earlier");
    assertEquals(await rotate(), { code: 0, stdout: "", stderr: "" });
    await until(logs, () => paths.every((path) => existsSync(path)));
    await put("later");
    assertEquals((await server.stop()).stderr, "");
    assertEquals(await rotate(), { code: 0, stdout: "", stderr: "" });
    assertEquals(
      namesIn(logs),
      ["audit.log.1", "audit.log.2.gz", "ferryd.log.1", "ferryd.log.2.gz"],
    );
    for (const path of paths) {
      const unpacked = await outcome(
        new Deno.Command("gzip", {
          args: ["--decompress", "--stdout", `${path}.2.gz`],
          ...{ stdin: "null", stdout: "piped", stderr: "piped" },
        }).spawn(),
      );
      const [old, next] = [unpacked.stdout, Deno.readTextFileSync(`${path}.1`)];
      assertStringIncludes(old, "earlier");
      assertStringIncludes(next, "later");
      assertEquals([old.includes("later"), next.includes("earlier")], [false, false]);
    }
    assertEquals(Deno.readTextFileSync(dir.join("asked")).trimEnd().split("\n"), [
      "is-active --quiet ferryd.service",
      "kill --kill-who=main --signal=USR1 ferryd.service",
      "is-active --quiet ferryd.service",
    ]);
  },
});
