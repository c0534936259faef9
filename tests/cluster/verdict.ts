/**
 * What is wrong in a bucket after a run, seen through a server and without one.
 *
 * @module
 */

import { connect } from "../../mod.ts";
import { md5 } from "../support/bytes.ts";
import { contentOf, isWhole } from "../support/known_content.ts";
import { type Cluster, PREFIX } from "./cluster.ts";
import type { Account } from "./worker.ts";

/** Longer than the lease of a server that was killed, in milliseconds. */
const LEASES_END_MS = 15_000;

/** What is wrong: each acknowledged file has to be there, whole, and nothing else but whole files. */
export async function problemsIn(cluster: Cluster, account: Account): Promise<string[]> {
  return [
    ...await problemsInBucket(cluster, account),
    ...await problemsThroughServers(cluster, account),
    ...await leftovers(cluster),
    ...cluster.instances.flatMap(({ name, log }) =>
      failuresIn(log).map((line) => `${name}: ${line}`)
    ),
  ];
}

/** Reads every object itself. */
async function problemsInBucket({ raw }: Cluster, { files }: Account): Promise<string[]> {
  const problems: string[] = [];
  const missing = new Set(files.keys());
  for (const key of await raw.keys(`${PREFIX}/`)) {
    const name = key.slice(PREFIX.length + 1);
    if (name.startsWith(".ferry/")) continue;
    const bytes = await raw.get(key);
    missing.delete(name);
    const content = files.get(name);
    const isRight = bytes &&
      (content ? md5(bytes) === md5(contentOf(content.seed, content.size)) : isWhole(bytes));
    if (!isRight) problems.push(`${name} in the bucket is not what was put`);
  }
  for (const name of missing) problems.push(`${name} was acknowledged and is not in the bucket`);
  return problems;
}

/** Compares the checksum of every file, and reads every tenth. */
async function problemsThroughServers(
  { entrance: { address, token, pin } }: Cluster,
  { files }: Account,
): Promise<string[]> {
  const problems: string[] = [];
  await using client = await connect(address, { token, tls: { pins: [pin] } });
  const listed = await Array.fromAsync(client.list("", { recursive: true }));
  const names = listed.filter(({ type }) => type === "file").map(({ filename }) => filename);
  for (const name of files.keys()) {
    if (!names.includes(name)) problems.push(`${name} was acknowledged and is not listed`);
  }
  for (const [at, [name, { seed, size }]] of [...files].entries()) {
    const right = md5(contentOf(seed, size));
    const { checksum } = await client.stat(name);
    if (checksum !== right) problems.push(`stat ${name}: ${checksum}, not ${right}`);
    if (at % 10 === 0 && md5(await client.get(name).bytes()) !== right) {
      problems.push(`get ${name}: other bytes`);
    }
  }
  return problems;
}

/** What is left when everything has expired: nothing, once the leases of killed servers have ended. */
async function leftovers(cluster: Cluster): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, LEASES_END_MS));
  await using storage = await cluster.open();
  await storage.partialUploads.expire(-1);
  const left = [
    ...await cluster.raw.uploads(),
    ...await cluster.raw.keys(`${PREFIX}/.ferry/uploads/`),
    ...await cluster.raw.keys(`${PREFIX}/.ferry/trial/`),
  ];
  return left.map((key) => `left: ${key}`);
}

/** The lines of a log that tell of a failure which nobody caused on purpose. */
function failuresIn(log: string): string[] {
  return log.split("\n").filter((line) => /\b(FTL|FATAL)\b|internal/.test(line));
}
