/**
 * Checks of transfers: complete, cut, replacing, repeated.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { connect } from "../../mod.ts";
import { CUT_AT, type Event, LARGE, randomBytes, type Trial } from "./trial.ts";

const SIZES = [0, 1, 65_537, 3 * 1024 * 1024 + 1];

/** The events of files that were transferred. */
function moved(events: readonly Event[]): string[] {
  return events.filter(({ event, skipped }) => event === "done" && !skipped)
    .map(({ filename }) => filename!);
}

/** Uploads files of all sizes and standard input. */
export async function put(trial: Trial): Promise<string> {
  const contents = SIZES.map((size) => trial.write(`put-${size}`, randomBytes(size)));
  const names = SIZES.map((size) => `put-${size}`);
  if (trial.system.readOnly) {
    const { code, said } = await trial.try("put", ...names, "--to", "put");
    trial.hold(
      code !== 0 && /read-only|object store/.test(said),
      `put on a read-only file system: ${said}`,
    );
    return "refused";
  }
  const events = await trial.succeed("put", ...names, "--to", "put");
  trial.hold(moved(events).length === SIZES.length, `put told ${moved(events)}`);
  for (const [at, bytes] of contents.entries()) trial.holdStored(`put/${names[at]}`, bytes);
  const piped = randomBytes(2_000_000);
  const { code, stderr } = await trial.pipe(piped, "--as", "put/piped");
  trial.hold(code === 0, `put -: ${stderr}`);
  trial.holdStored("put/piped", piped);
  return "yes";
}

/** Downloads files of all sizes. */
export async function get(trial: Trial): Promise<string> {
  if (trial.system.readOnly) {
    await trial.succeed("get", "put", "--out", "got");
    trial.holdFile(`${trial.here}/got/small`, new TextEncoder().encode("small\n"));
    return "yes";
  }
  await trial.succeed("get", "put", "--out", "got");
  for (const [name, bytes] of trial.stored) {
    if (name.startsWith("put/")) trial.holdFile(`${trial.here}/got/${name.slice(4)}`, bytes);
  }
  return "yes";
}

/** Cuts uploads and downloads, by the network and by killing either program, and resumes them. */
export async function cut(trial: Trial): Promise<string> {
  for (const how of ["connection", "ferryd"] as const) {
    const name = `put-cut-by-${how}`;
    const bytes = trial.write(name, randomBytes(LARGE));
    const args = ["put", name, "--to", "cut"];
    await trial.cut(args, how);
    holdResumed(trial, await trial.succeed(...args), `put cut by ${how}`);
    trial.holdStored(`cut/${name}`, bytes);
  }
  const [[name, bytes]] = [...trial.stored].filter(([name]) => name.startsWith("cut/")) as [
    [string, Uint8Array],
  ];
  for (const how of ["connection", "ferryd", "ferry"] as const) {
    const args = ["get", name, "--out", `get-cut-by-${how}`];
    await trial.cut(args, how);
    holdResumed(trial, await trial.succeed(...args), `get cut by ${how}`);
    trial.holdFile(`${trial.here}/get-cut-by-${how}`, bytes);
    Deno.removeSync(`${trial.here}/get-cut-by-${how}`);
  }
  return "yes";
}

export function holdResumed(trial: Trial, events: readonly Event[], what: string): void {
  const from = events.find(({ event }) => event === "done")?.resumed_from ?? 0;
  const least = CUT_AT / 4;
  trial.hold(from >= least, `${what} went on at ${from}`);
}

/** Replaces files while they are read, and checks which metadata they keep. */
export async function replace(trial: Trial): Promise<string> {
  const name = "replace/file";
  const path = `${trial.root}/${name}`;
  trial.write("file", randomBytes(5000));
  await trial.succeed("put", "file", "--to", "replace");
  await trial.succeed("get", name, "--out", "replaced");
  const local = `${trial.here}/replaced`;
  const kept = [path, local].map((path) => {
    try {
      Deno.chmodSync(path, 0o640);
    } catch {
      // Where chmod is refused, the permission bits stay as they are.
    }
    return Deno.statSync(path).mode;
  });
  const bytes = trial.write("file", randomBytes(7000));
  await trial.succeed("put", "file", "--to", "replace", "--overwrite", "always");
  trial.holdStored(name, bytes);
  await trial.succeed("get", name, "--out", "replaced", "--overwrite", "always");
  trial.holdFile(local, bytes);
  for (const [at, file] of [path, local].entries()) {
    const { mode } = Deno.statSync(file);
    trial.hold(mode === kept[at], `replacing ${file} made its mode ${octal(mode)}`);
  }
  const gap = await readWhileReplaced(trial, name) || await gapOfRename(trial);
  if (gap) trial.holdSaid("gap");
  return trial.said.includes("gap") ? "gap" : "yes";
}

function octal(mode: number | null): string {
  return ((mode ?? 0) & 0o7777).toString(8);
}

/** Whether a file was missing for a moment while it was replaced; a partial file must never be visible. */
async function readWhileReplaced(trial: Trial, name: string): Promise<boolean> {
  const content = (byte: number) => new Uint8Array(40_000).fill(byte);
  await using client = await connect(trial.server.address, { retries: 0 });
  const put = (byte: number) => client.put(content(byte), { as: name, overwrite: "always" });
  await put(0);
  let missing = false;
  let partial = 0;
  let replacing = true;
  const reading = (async () => {
    while (replacing) {
      try {
        const bytes = await Deno.readFile(`${trial.root}/${name}`);
        if (!equals(bytes, content(bytes[0] ?? 0))) partial++;
      } catch {
        missing = true;
      }
    }
  })();
  try {
    for (let byte = 1; byte <= 20; byte++) await put(byte);
  } finally {
    replacing = false;
    await reading;
  }
  trial.hold(partial === 0, `a reader of ${name} saw a part of it ${partial} times`);
  trial.holdStored(name, content(20));
  return missing;
}

/** Whether a name is ever missing on this file system while other files are renamed over it. */
async function gapOfRename(trial: Trial): Promise<boolean> {
  const path = `${trial.here}/renamed`;
  Deno.writeTextFileSync(path, "old");
  let missing = false;
  let renaming = true;
  const looking = (async () => {
    while (renaming && !missing) {
      try {
        await Deno.stat(path);
      } catch {
        missing = true;
      }
    }
  })();
  for (let turn = 0; turn < 200 && !missing; turn++) {
    await Deno.writeTextFile(`${path}-new`, "new");
    await Deno.rename(`${path}-new`, path);
  }
  renaming = false;
  await looking;
  return missing;
}

/** Uploads and downloads a directory repeatedly, and changes one file of it. */
export async function again(trial: Trial): Promise<string> {
  const contents = new Map<string, Uint8Array>();
  for (let at = 0; at < 30; at++) {
    const name = `again/${at % 3 === 0 ? "below/" : ""}${at}`;
    contents.set(name, trial.write(name, randomBytes(1000 + at)));
    const time = new Date(Date.UTC(2001, 2, 3, 4, 5, at) + 111 + at);
    Deno.utimeSync(`${trial.local}/${name}`, time, time);
  }
  const up = ["put", "again"];
  const down = ["get", "again", "--out", "again"];
  for (const [args, directory] of [[up, trial.root], [down, trial.here]] as const) {
    const first = moved(await trial.succeed(...args));
    trial.hold(first.length === contents.size, `${args.join(" ")} moved ${first.length} files`);
    for (const [name, bytes] of contents) trial.holdFile(`${directory}/${name}`, bytes);
    for (const when of ["never", "different", "newer"]) {
      const command = [...args, "--overwrite", when];
      const more = moved(await trial.succeed(...command));
      trial.hold(more.length === 0, `${command.join(" ")} moved ${more.length} files again`);
    }
  }
  const changed = "again/below/3";
  contents.set(changed, trial.write(changed, randomBytes(contents.get(changed)!.length)));
  for (const [args, directory] of [[up, trial.root], [down, trial.here]] as const) {
    const only = moved(await trial.succeed(...args, "--overwrite", "newer"));
    trial.hold(
      only.length === 1 && only[0] === changed,
      `${args.join(" ")} of one newer file moved ${only.length}`,
    );
    for (const [name, bytes] of contents) trial.holdFile(`${directory}/${name}`, bytes);
  }
  for (const [name, bytes] of contents) trial.holdStored(name, bytes);
  return "yes";
}
