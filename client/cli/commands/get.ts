/**
 * `ferry get`
 *
 * @module
 */

import type { OptionTable, OptionValues } from "../../../lib/cli/command_spec.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { isGlob, join } from "../../../lib/core/paths.ts";
import { DURABILITIES } from "../../../lib/files/durability.ts";
import { assertDistinctHere } from "../../transfer/name_collisions.ts";
import { assertDistinct, LocalTarget, mayBeSeveral, remoteName } from "../../transfer/names.ts";
import type { Progress } from "../../transfer/options.ts";
import { type Command, command, type Run } from "../command.ts";
import { COMMON, MIRROR, PROGRESS, TRANSFER } from "../options.ts";
import { secondsSince } from "../output.ts";
import { expandRemoteGlobs } from "../remote_glob.ts";
import { omissionReports } from "../remote_names.ts";
import { STANDARD_OUTPUT } from "../stdio.ts";
import { TransferOutput } from "../transfer_output.ts";
import {
  asksForMirror,
  forEachItem,
  notMirrored,
  streamOptions,
  treeOptions,
} from "../transfers.ts";

/** The options of this command alone. */
const OWN = {
  out: {
    kind: "text",
    short: "o",
    value: "PATH",
    help: "what it becomes; PATH/ is what it goes into; - is standard output",
  },
  basis: {
    kind: "text",
    value: "PATH",
    help: "fetch only what one file does not have in common with that local one",
  },
  ...TRANSFER,
  ...MIRROR,
  durability: {
    kind: "text",
    value: "full|none",
    choices: DURABILITIES,
    default: "full",
    help: "whether a reported file survives a loss of power",
  },
  progress: PROGRESS,
} as const satisfies OptionTable;

/** Downloads what the arguments name. */
export const getFiles: Run<Omit<OptionValues<typeof OWN>, "progress" | "recursive">> = async (
  context,
  options,
  args,
) => {
  const { out, backup, preserve, durability, jobs, checksum: algorithm } = options;
  const { "no-resume": noResume, "dry-run": dryRun, sparse, links } = options;
  const { "no-delta": noDelta, basis } = options;
  const { output, signal } = context;
  const { progress } = output;
  const mirrors = asksForMirror(options);
  const overwrite = options.overwrite ?? (mirrors ? "different" : "never");
  const transfers = new TransferOutput(output, { dryRun, deletes: options.delete });
  const began = performance.now();
  const op = "get";
  const expanded = args.some(isGlob)
    ? await expandRemoteGlobs(await context.connected(), args, {
      op,
      ...omissionReports(context, op),
      signal,
    })
    : args.map(remoteName);
  const names = [...new Set(expanded)];
  // These modules are loaded here, as the client is, since help texts do without them.
  const { isStandardOutput, isStream } = await import("../../transfer/destination.ts");
  const toStandardOutput = out === "-" || out !== undefined && isStandardOutput(out);
  const stream = toStandardOutput || out !== undefined && isStream(out);
  const target = stream ? undefined : new LocalTarget(out, { many: mayBeSeveral(args, names) });
  if (target) assertDistinct(names.map((name) => [name, target.ofFile(name)]));
  if (basis !== undefined && (names.length > 1 || mirrors)) {
    throw new FerryError("usage", "--basis is for one file");
  }
  const [resume, delta] = [!noResume, !noDelta];
  const streams = streamOptions(context, options.streams);
  const settings = { resume, delta, dryRun, sparse, signal, ...streams };
  const common = { overwrite, preserve, durability, algorithm, ...settings };
  const nameOf = (name: string) => name;
  const trees: string[] = [];
  if (names.length > 1) progress.startMany();
  await forEachItem(context, names, {
    // Files that go to the same stream follow each other.
    jobs: stream ? 1 : jobs,
    op,
    nameOf,
    placeOf: dryRun || !target ? undefined : (name) => target.ofFile(name),
    assertOther: (_, name, before) => assertDistinctHere(target!.ofFile(name), before),
  }, async (client, name) => {
    const started = performance.now();
    const onProgress = (state: Progress) => progress.show(state, started);
    const path = target ? target.ofFile(name) : out!;
    if (mirrors) {
      const { type } = await client.stat(name, { signal });
      if (type !== "directory" || !target) throw notMirrored(op, name);
      trees.push(name);
      return;
    }
    try {
      const into = toStandardOutput ? STANDARD_OUTPUT : path;
      const result = await client.get(name, { ...common, basis, out: into, onProgress });
      // Lines with checksums must not get between the bytes of the files.
      if (toStandardOutput && !dryRun) return transfers.count(result);
      transfers.transferred(op, path, result, secondsSince(started));
    } catch (error) {
      // Whether a name is that of a directory takes a round trip to find out, so it is asked only where it is not a
      // file.
      if (!target || !mayBeDirectory(name, error)) throw error;
      const entry = await client.stat(name, { signal }).catch(() => undefined);
      if (entry?.type !== "directory") throw error;
      if (basis !== undefined) throw new FerryError("usage", "--basis is for one file");
      trees.push(name);
    }
  });
  progress.endMany();
  let whole = 0;
  // One directory at a time: all jobs work on the same one.
  await forEachItem(context, trees, { jobs: 1, op, nameOf }, async (client, name) => {
    const started = performance.now();
    const path = target!.ofDirectory(name);
    const tree = await treeOptions(op, context, transfers, options, (filename) => {
      return join(path, name === "" ? filename : filename.slice(name.length + 1));
    });
    const onProgress = (state: Progress) => progress.show(state, started);
    await client.getTree(name, { ...common, ...tree, backup, links, out: path, onProgress });
    whole++;
  });
  progress.endMany();
  transfers.summary(secondsSince(began), { trees: whole > 0 });
};

/** The command. */
export const get = command({
  name: "ferry get",
  op: "get",
  usage: "NAME... [--out PATH]",
  summary: "Download files",
  details:
    `A NAME may be a directory, or a pattern: "*" and "?" stand for what is between slashes, "**" for
directories.

--out PATH is what a file or a directory becomes, whether it is there or not: so the same command
goes on where it was cut. --out PATH/, with the slash, is the directory that it goes into, as are .
and .., and PATH itself for several names or a pattern. A single file goes into a directory that is
there, as with cp. Missing directories are made. A device, a named pipe or /dev/stdout is written
into; - is standard output. What is written there is verified only at its end: see the exit status.

For each file a line of md5sum's format goes to standard output: its md5 (or the
other checksum that was asked for), as verified here, and its local path.
"ferry get NAME | md5sum -c" checks it once more.`,
  arguments: { min: 1, max: Infinity },
  options: { ...OWN, ...COMMON },
  run: getFiles,
});

/** `ferry download` */
export const download: Command = {
  ...get,
  name: "ferry download",
  summary: "The same as ferry get",
};

/**
 * Whether a failed download may have been one of a directory. The root is a directory, though its name is no file name.
 */
function mayBeDirectory(name: string, error: unknown): boolean {
  if (!(error instanceof FerryError)) return false;
  return error.code === "not_a_file" || error.code === "bad_name" && name === "";
}
