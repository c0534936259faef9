/**
 * Checks and tests ferry with the oldest version of Deno that it supports: `deno task test:oldest`. Arguments
 * are the tests to run instead of {@linkcode PART}.
 *
 * @module
 */

import { PROJECT } from "../../packaging/program.ts";

/** The oldest version that ferry supports. */
const OLDEST = "2.4.2";

/** What meets the runtime where versions of it differ: files, locks, sockets, processes, signals. */
const PART = [
  "checksum",
  "client",
  "digest_index",
  "directory",
  "end_to_end",
  "file_lock",
  "jail",
  "links",
  "pipe",
  "platform",
  "session",
  "staging",
  "storage_fs",
  "tree",
  "wire",
].map((name) => `tests/${name}_test.ts`);

async function oldest(...args: string[]): Promise<void> {
  const { success } = await new Deno.Command(Deno.build.os === "windows" ? "npx.cmd" : "npx", {
    args: ["--yes", `deno@${OLDEST}`, ...args],
    cwd: PROJECT,
    stdin: "null",
    // It trusts fewer authorities on its own than newer ones do.
    env: { DENO_TLS_CA_STORE: "mozilla,system" },
  }).spawn().status;
  if (!success) Deno.exit(1);
}

if (import.meta.main) {
  await oldest("check", "--no-lock");
  // It knows no options of tests in deno.json, and no sets of permissions.
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
