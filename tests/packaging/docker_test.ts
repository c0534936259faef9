import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { validate } from "dockerfile-utils";
import { SERVE } from "../../server/cli/serve_spec.ts";
import { outcome, PROJECT, TempDir } from "../support/programs.ts";

const DOCKERFILE = Deno.readTextFileSync(`${PROJECT}packaging/docker/Dockerfile`);

Deno.test("the Dockerfile is valid, and sets options of ferryd that there are", () => {
  assertEquals(validate(DOCKERFILE).map(({ message }) => message), []);
  assertEquals(validate(DOCKERFILE.replace("EXPOSE", "EXPOZE")).length, 1);
  const variables = [...DOCKERFILE.matchAll(/\bFERRYD_(\w+)=/g)].map(([, name]) => name!);
  assertEquals(variables.length, 3);
  for (const name of variables) {
    assertStringIncludes(
      Object.keys(SERVE.options).join(" "),
      name.toLowerCase().replaceAll("_", "-"),
    );
  }
});

Deno.test({
  name: "an image is made only of executables that are what SHA256SUMS says",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const [, command] = /^RUN (set -eu;(?:.*\\\n)+.*)$/m.exec(DOCKERFILE)!;
    const verify = async (change: (dir: TempDir) => void) => {
      await using dir = new TempDir();
      const names = ["ferry-linux-x64", "ferryd-linux-x64"];
      const sums = names.map((name) => {
        dir.write(name, name);
        return `${createHash("sha256").update(name).digest("hex")}  ${name}\n`;
      });
      dir.write("SHA256SUMS", `${"0".repeat(64)}  ferryd-macos-x64\n${sums.join("")}`);
      change(dir);
      const run = new Deno.Command("sh", {
        args: ["-c", command!],
        cwd: dir.path,
        env: { TARGETARCH: "amd64", LC_ALL: "C" },
        stdout: "piped",
        stderr: "piped",
      });
      const { code, stderr } = await outcome(run.spawn());
      return { code, stderr, made: [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort() };
    };
    const intact = await verify(() => {});
    assertEquals([intact.code, intact.stderr], [0, ""]);
    assertEquals(intact.made, ["SHA256SUMS", "ferry", "ferryd"]);
    const damaged = await verify((dir) => dir.write("ferryd-linux-x64", "another"));
    assertEquals(damaged.code === 0, false);
    assertMatch(damaged.stderr, /1 computed checksum did NOT match/);
    const unknown = await verify((dir) => dir.write("SHA256SUMS", ""));
    assertEquals(unknown.code === 0, false);
  },
});
