/**
 * Checks and tests ferry with the oldest version of Deno that it supports: `deno task test:oldest`. Arguments
 * are the tests to run instead of {@linkcode PART}.
 *
 * @module
 */

import { PROJECT } from "../../packaging/program.ts";

/** The oldest version that ferry supports. */
const OLDEST = "2.4.2";

/** Tests of what differs between versions of the runtime: files, locks, sockets, processes, signals. */
const PART = [
  "tests/client/api",
  "tests/end_to_end/end_to_end_test.ts",
  "tests/end_to_end/pipe_test.ts",
  "tests/lib/core/platform_test.ts",
  "tests/lib/files",
  "tests/lib/wire",
  "tests/server/protocols/ferry/session_test.ts",
  "tests/server/storage/fs",
];

async function oldest(...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(Deno.build.os === "windows" ? "npx.cmd" : "npx", {
    args: ["--yes", `deno@${OLDEST}`, ...args],
    cwd: PROJECT,
    stdin: "null",
    // This version trusts fewer authorities by default than newer ones do; and it must load the programs themselves.
    env: { DENO_TLS_CA_STORE: "mozilla,system", FERRY_PROGRAMS: "sources" },
  }).spawn().status;
  if (!success) Deno.exit(1);
}

if (import.meta.main) {
  await oldest("check", "--no-lock");
  // This version does not know the options for tests and the permission sets in deno.json.
  const { test: _, permissions: __, ...config } = JSON.parse(
    await Deno.readTextFile(`${PROJECT}deno.json`),
  );
  config.compilerOptions.types = config.compilerOptions.types
    .map((path: string) => new URL(path, `file://${PROJECT}`).href);
  const path = await Deno.makeTempFile({ prefix: "deno-", suffix: ".json" });
  try {
    await Deno.writeTextFile(path, JSON.stringify(config));
    const tests = Deno.args.length > 0 ? Deno.args : PART;
    const flags = ["--quiet", "--no-check", "--no-lock", "--parallel", "-A", "--config", path];
    await oldest("test", ...flags, ...tests);
  } finally {
    await Deno.remove(path);
  }
}
