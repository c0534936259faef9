/**
 * Checks of the metadata that a file system keeps: names, times, permission bits.
 *
 * @module
 */

import { Ferryd } from "../support/programs.ts";
import { type Answer, randomBytes, type Trial } from "./trial.ts";

/** Names that some file systems cannot store, and their names in the table. */
const NAMES: readonly (readonly [name: string, what: string])[] = [
  ["Readme", "case"],
  ["README", "case"],
  ["a:b", "colon"],
  ["dot.", "trailing dot"],
  ["space ", "trailing space"],
  ['quote"', "quote"],
  ["back\\slash", "backslash"],
  ["new\nline", "control"],
  ["größe", "umlaut"],
  ["x".repeat(255), "255 bytes"],
];

/** Uploads and downloads names that some file systems cannot store. */
export async function names(trial: Trial): Promise<string> {
  const contents = new Map<string, Uint8Array>();
  for (const [name] of NAMES) {
    contents.set(name, trial.write(`names/${name}`, randomBytes(100 + contents.size)));
  }
  const up = await trial.try("put", "names");
  const missing = tell(trial, contents, { ...up, directory: `${trial.root}/names` });
  for (const [name, bytes] of contents) {
    if (!missing.has(name)) trial.holdStored(`names/${name}`, bytes);
  }
  await using server = await Ferryd.start(trial.local);
  const down = await trial.tryWith(server.address, "get", "names", "--out", "names");
  const lost = tell(trial, contents, { ...down, directory: `${trial.here}/names` });
  trial.hold(
    [...missing].sort().join() === [...lost].sort().join(),
    `put left out ${[...missing]}, get ${[...lost]}`,
  );
  const kinds = new Set(NAMES.filter(([name]) => missing.has(name)).map(([, what]) => what));
  return kinds.size === 0 ? "all" : `no ${[...kinds].join(", ")}`;
}

/** The names that are missing, each of which an error must report; files that exist must be complete. */
function tell(
  trial: Trial,
  contents: ReadonlyMap<string, Uint8Array>,
  { directory, events, code, said }: Answer & { directory: string },
): Set<string> {
  const there = new Set([...Deno.readDirSync(directory)].map(({ name }) => name));
  const named = events.filter(({ event }) => event === "error").map(({ filename }) => filename);
  const missing = new Set([...contents.keys()].filter((name) => !there.has(name)));
  for (const [name, bytes] of contents) {
    if (!missing.has(name)) trial.holdFile(`${directory}/${name}`, bytes);
    else trial.hold(named.includes(`names/${name}`), `${name} is not there, nor named: ${said}`);
  }
  trial.hold((code !== 0) === (missing.size > 0), `names: ${said}`);
  const strange = [...there].filter((name) => !contents.has(name));
  trial.hold(strange.length === 0, `names that nobody sent: ${strange}`);
  return missing;
}

/** Checks which of the requested permission bits are set. */
export async function modes(trial: Trial): Promise<string> {
  const bytes = trial.write("modes", randomBytes(10));
  Deno.chmodSync(`${trial.local}/modes`, 0o640);
  const { code, said } = await trial.try("put", "modes", "--as", "modes/file", "-p");
  await using server = await Ferryd.start(trial.local);
  const down = await trial.tryWith(server.address, "get", "modes", "-p");
  const kept = [`${trial.root}/modes/file`, `${trial.here}/modes`].map((path) => {
    try {
      return (Deno.statSync(path).mode! & 0o777) === 0o640;
    } catch {
      return false;
    }
  });
  trial.hold(kept[0] === (code === 0), `put -p, bits ${kept[0] ? "" : "not "}kept: ${said}`);
  trial.hold(
    kept[1] === (down.code === 0),
    `get -p, bits ${kept[1] ? "" : "not "}kept: ${down.said}`,
  );
  if (kept[0]) trial.holdStored("modes/file", bytes);
  if (kept[0]) return "kept";
  trial.holdSaid("modes");
  return "not kept";
}

/** Checks how exactly modification times are kept. */
export async function times(trial: Trial): Promise<string> {
  const time = new Date(Date.UTC(2001, 2, 3, 4, 5, 7) + 789);
  const bytes = trial.write("times/file", randomBytes(10));
  Deno.utimeSync(`${trial.local}/times/file`, time, time);
  await trial.succeed("put", "times");
  trial.holdStored("times/file", bytes);
  const { mtime } = Deno.statSync(`${trial.root}/times/file`);
  const difference = Math.abs(mtime!.getTime() - time.getTime());
  return difference <= 1
    ? "exact"
    : difference < 1000
    ? "seconds"
    : difference < 2000
    ? "2 seconds"
    : "not kept";
}
