/**
 * The rest of a large file whose upload was cut, compared with the whole file.
 *
 * @module
 */

import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, outcome, spawnFerry } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, type Contestant, type Goal, interleave, timingTable } from "./measure.ts";
import { MIB } from "../support/bytes.ts";

/** The fraction of the file that was transferred when the client is killed. */
const CUT_AT = 0.9;

/** The most bytes that may have to be sent again. */
const LOST_BYTES = 8 * MIB;

const WHOLE = "ferry, the whole file";
const REST = "ferry, the rest behind 90 %";

const GOALS: readonly Goal[] = [{ ours: REST, peer: WHOLE, ratio: { time: 0.35 } }];

/** Times an upload, and the rest of one that was cut. */
export async function resume(bench: Bench): Promise<string> {
  const { dir, size, signal } = bench;
  const input = `${dir}/input`;
  try {
    Deno.statSync(input);
  } catch {
    await writeRandomFile(input, size, bench);
  }
  await using stack = new AsyncDisposableStack();
  const contestant = async (name: string, prepare?: (server: Ferryd) => Promise<void>) => {
    const root = Deno.makeTempDirSync({ dir });
    const server = stack.use(await Ferryd.start(root));
    const target = `${root}/file`;
    let resumedFrom = 0;
    const contestant: Contestant = {
      name,
      tidy() {
        try {
          Deno.removeSync(target);
        } catch {
          // The partial upload does not exist yet.
        }
      },
      async prepare() {
        await prepare?.(server);
      },
      async run() {
        const child = spawnFerry(argsFor(input), { server: server.address });
        const { stdout } = await succeed(name, child, signal);
        resumedFrom = JSON.parse(stdout.trim().split("\n").at(-1)!).resumed_from;
      },
      verify() {
        if (Deno.statSync(target).size !== size) throw new Error(`${target} is not whole`);
        const least = prepare ? size * CUT_AT - LOST_BYTES : 0;
        if (resumedFrom < least) throw new Error(`it went on behind ${resumedFrom} bytes only`);
      },
    };
    return contestant;
  };
  const timings = await interleave([
    await contestant(WHOLE),
    await contestant(REST, (server) => cutUpload(server, input, size)),
  ], bench);
  return timingTable(timings, { work: { amount: size / MIB, unit: "MiB" }, goals: GOALS });
}

function argsFor(input: string): string[] {
  return ["put", input, "--as", "file", "--json"];
}

/** Kills the client when most of the file has been transferred. */
export async function cutUpload(server: Ferryd, input: string, size: number): Promise<void> {
  const at = Math.floor(size * CUT_AT);
  const reached = Promise.withResolvers<void>();
  await using peer = FaultyPeer.start(server.port, {
    faults: [{ kind: "close", direction: "up", at, onReached: reached.resolve }],
  });
  const child = spawnFerry(argsFor(input), { server: peer.address });
  await reached.promise;
  child.kill("SIGKILL");
  await outcome(child);
}
