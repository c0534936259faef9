/**
 * Runs a command beside a real object store, which is started for it and removed afterwards:
 *
 * `deno run -A tests/support/engines/run.ts ceph|swift COMMAND [ARGUMENT]...`
 *
 * The command finds the store by `S3_ENDPOINT`, `S3_ACCESS_KEY` and `S3_SECRET_KEY` in its environment.
 *
 * @module
 */

import { CEPH } from "./ceph.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { SWIFT } from "./swift.ts";

/** The kinds of stores, and the Debian package that tells the version of each. */
const KINDS = {
  ceph: { kind: CEPH, source: "radosgw" },
  swift: { kind: SWIFT, source: "python3-swift" },
} as const;

async function run([name = "", ...command]: readonly string[]): Promise<number> {
  const entry = name in KINDS ? KINDS[name as keyof typeof KINDS] : undefined;
  const [program, ...args] = command;
  if (!entry || program === undefined) {
    console.error("Usage: run.ts ceph|swift COMMAND [ARGUMENT]...");
    return 2;
  }
  const why = whyNoEngine(entry.kind);
  if (why !== undefined) {
    console.error(`There is no store to run it with: ${why}; .ci/run names the packages`);
    return 1;
  }
  const { stdout } = await new Deno.Command("dpkg-query", { args: ["-W", entry.source] }).output();
  console.log(new TextDecoder().decode(stdout).trim());
  await using engine = await Engine.start(entry.kind);
  const child = new Deno.Command(program, {
    args,
    env: {
      S3_ENDPOINT: engine.endpoint,
      S3_ACCESS_KEY: engine.accessKeyId,
      S3_SECRET_KEY: engine.secretAccessKey,
    },
  }).spawn();
  return (await child.status).code;
}

Deno.exitCode = await run(Deno.args);
