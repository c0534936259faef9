/**
 * `deno task packages`: makes the Debian packages, checks them, and installs, uses, upgrades and purges them on a machine
 * that systemd runs.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { VERSION } from "../../lib/core/version.ts";
import { DENO, type Outcome, outcome, PROJECT, TempDir } from "../support/programs.ts";
import { runTool } from "../support/tools.ts";
import { NoMachine, runOnMachine } from "./machine.ts";

const UNIT = `${PROJECT}packaging/systemd/ferryd.service`;

/** Ten times the exposure that is allowed: 2.0 of 10. */
const EXPOSURE = 20;

function debTask(args: string[], env: Record<string, string>): Promise<Outcome> {
  return outcome(
    new Deno.Command(DENO, {
      args: ["run", "--quiet", "--no-check", "-A", `${PROJECT}packaging/debian/main.ts`, ...args],
      // Quick to pack rather than small.
      env: {
        NO_COLOR: "1",
        DPKG_DEB_COMPRESSOR_TYPE: "gzip",
        DPKG_DEB_COMPRESSOR_LEVEL: "1",
        ...env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** A package with the next revision, whose configuration is another. */
async function nextRevision(path: string, dir: TempDir): Promise<string> {
  const unpacked = dir.join("unpacked");
  const next = path.replace("-1_", "-2_");
  assertEquals((await runTool("dpkg-deb", ["--raw-extract", path, unpacked], dir.path)).code, 0);
  const control = `${unpacked}/DEBIAN/control`;
  const text = Deno.readTextFileSync(control);
  Deno.writeTextFileSync(control, text.replace(/^(Version: .*)-1$/m, "$1-2"));
  Deno.writeTextFileSync(`${unpacked}/etc/ferryd/ferryd.toml`, "# changed\n", { append: true });
  const built = await runTool(
    "dpkg-deb",
    ["--root-owner-group", "--build", unpacked, next],
    dir.path,
  );
  assertEquals(built.code, 0, built.stderr);
  return next;
}

Deno.test("systemd finds the unit in order, and exposed no more than it has to be", async () => {
  await using dir = new TempDir();
  const { code, stdout } = await runTool(
    "systemd-analyze",
    ["security", "--offline=yes", "--no-pager", `--threshold=${EXPOSURE}`, UNIT],
    dir.path,
  );
  assertEquals(code, 0, stdout);
  // The program that it names is not installed here.
  const { stderr } = await runTool("systemd-analyze", ["verify", "--man=no", UNIT], dir.path);
  const said = stderr.split("\n").filter((line) => line.includes("ferryd.service"));
  assertEquals(said.filter((line) => !line.includes("/usr/bin/ferryd is not executable")), []);
});

Deno.test("deno task deb says what it needs", async () => {
  await using dir = new TempDir();
  const nobody = await debTask(["--out", dir.join("out")], { DEBEMAIL: "" });
  assertEquals([nobody.code, nobody.stdout], [2, ""]);
  assertMatch(nobody.stderr, /^deb: DEBEMAIL is not set: set it to .*\n$/);
  const empty = dir.join("empty");
  Deno.mkdirSync(empty);
  const without = await debTask(["--out", dir.join("out")], {
    DEBEMAIL: "a@example.org",
    PATH: empty,
  });
  assertEquals([without.code, without.stdout], [2, ""]);
  assertMatch(
    without.stderr,
    /^deb: There is no dh here: install debhelper.*\n$/,
  );
});

Deno.test("the packages are in order, install, serve, upgrade, and leave files alone", async (t) => {
  await using dir = new TempDir();
  const out = dir.join("out");
  const task = await debTask(["--out", out], { DEBEMAIL: "packages@example.org" });
  assertEquals([task.code, task.stderr], [0, ""]);
  const packages = [...Deno.readDirSync(out)].map(({ name }) => `${out}/${name}`).sort();
  assertEquals(packages.length, 2);
  for (const path of packages) {
    assertMatch(path, new RegExp(`/ferryd?_${VERSION}-1_[a-z0-9]+\\.deb$`));
  }
  await t.step("lintian finds nothing", async () => {
    const lint = await runTool(
      "lintian",
      ["--allow-root", "--fail-on", "warning", ...packages],
      dir.path,
    );
    assertEquals([lint.code, lint.stdout], [0, ""]);
  });
  await t.step("on a machine", async () => {
    const server = packages.find((path) => path.includes("/ferryd_"))!;
    const next = await nextRevision(server, dir);
    try {
      const { code, stdout, stderr } = await runOnMachine(
        `${PROJECT}tests/packages/trial.sh`,
        [...packages, next],
      );
      assertEquals(code, 0, stdout + stderr);
      assertMatch(stdout, /\nnothing is left\n$/);
    } catch (error) {
      if (!(error instanceof NoMachine)) throw error;
      console.log(`left out: no machine can be booted here: ${error.message}`);
    }
  });
});
