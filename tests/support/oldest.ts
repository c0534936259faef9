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
  "client/api/client_test.ts",
  "end_to_end/end_to_end_test.ts",
  "end_to_end/pipe_test.ts",
  "end_to_end/tree_test.ts",
  "lib/core/platform_test.ts",
  "lib/digest",
  "lib/files/file_lock_test.ts",
  "lib/files/staged_file_test.ts",
  "lib/wire/connection_test.ts",
  "lib/wire/frames_test.ts",
  "server/protocols/ferry/session_test.ts",
  "server/storage/fs/checksum_cache_test.ts",
  "server/storage/fs/fs_storage_checksums_test.ts",
  "server/storage/fs/fs_storage_links_test.ts",
  "server/storage/fs/fs_storage_test.ts",
  "server/storage/fs/links_test.ts",
  "server/storage/fs/open_directory_test.ts",
  "server/storage/fs/root_test.ts",
].map((path) => `tests/${path}`);

/** What is checked: the programs and the library. Tests that need a newer Deno are not in {@linkcode PART}. */
const CHECKED = ["mod.ts", "client", "lib", "packaging", "server"];

/** Types that are exact in newer versions only. */
const TYPES = "interface TextEncoder { encode(input?: string): Uint8Array<ArrayBuffer>; }\n";

/** Runs a command of that version, and returns whether it succeeded. */
async function oldest(...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.build.os === "windows" ? "npx.cmd" : "npx", {
    args: ["--yes", `deno@${OLDEST}`, ...args],
    cwd: PROJECT,
    stdin: "null",
    // This version trusts fewer authorities by default than newer ones do; and it must load the programs themselves.
    env: { DENO_TLS_CA_STORE: "mozilla,system", FERRY_PROGRAMS: "sources" },
  }).spawn().status;
  return success;
}

if (import.meta.main) {
  const dir = await Deno.makeTempDir({ prefix: "ferry-oldest-" });
  // This version does not know the options for tests and the permission sets in deno.json.
  const { test: _, permissions: __, ...config } = JSON.parse(
    await Deno.readTextFile(`${PROJECT}deno.json`),
  );
  config.compilerOptions.types = [
    ...config.compilerOptions.types.map((path: string) => new URL(path, `file://${PROJECT}`).href),
    `file://${dir}/types.d.ts`,
  ];
  const path = `${dir}/deno.json`;
  let success: boolean;
  try {
    await Deno.writeTextFile(`${dir}/types.d.ts`, TYPES);
    await Deno.writeTextFile(path, JSON.stringify(config));
    const check = ["check", "--quiet", "--no-lock", "--config", path, ...CHECKED];
    const tests = Deno.args.length > 0 ? Deno.args : PART;
    const flags = ["--quiet", "--no-check", "--no-lock", "--parallel", "-A", "--config", path];
    success = await oldest(...check) && await oldest("test", ...flags, ...tests);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  if (!success) Deno.exit(1);
}
