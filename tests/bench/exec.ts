/**
 * Commands on a server: the time of many small ones, and the throughput of a large output.
 *
 * @module
 */

import { connect } from "../../mod.ts";
import { succeed } from "../support/interruptible.ts";
import { DENO, Ferryd, programArgs } from "../support/programs.ts";
import { type Bench, type Contestant, type Goal, interleave, timingTable } from "./measure.ts";
import { spawn, startSshd } from "./peers.ts";
import { MIB } from "../support/bytes.ts";

/** How many commands a run has. */
const COMMANDS = 1000;

const IN_A_GROUP = "Deno.Command, in a group";
const PLAIN = "Deno.Command, output()";

/** Times small commands, one after the other, beside starting them locally. */
export async function manyCommands(bench: Bench): Promise<string> {
  const root = Deno.makeTempDirSync(bench);
  await using server = await Ferryd.start(root, ["--allow-exec", "true"]);
  await using client = await connect(server.address);
  const contestants = [
    contestant("ferry exec", bench, async () => (await client.exec(["true"])).exitCode),
    // To be able to kill all descendants of a command, it needs a process group, and its output is piped.
    contestant(IN_A_GROUP, bench, async () => {
      const child = new Deno.Command("true", {
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        detached: true,
      }).spawn();
      const [{ code }] = await Promise.all([
        child.status,
        child.stdout.pipeTo(new WritableStream()),
        child.stderr.pipeTo(new WritableStream()),
      ]);
      return code;
    }),
    contestant(PLAIN, bench, async () => {
      return (await new Deno.Command("true", { stdin: "null" }).output()).code;
    }),
  ];
  const timings = await interleave(contestants, { ...bench, size: MIB });
  return timingTable(timings, {
    work: { amount: COMMANDS, unit: "commands" },
    goals: [IN_A_GROUP, PLAIN].map((peer) => ({ ours: "ferry exec", peer, ratio: { time: 1.5 } })),
  });
}

function contestant(name: string, { signal }: Bench, run: () => Promise<number>): Contestant {
  return {
    name,
    tidy() {},
    async run() {
      for (let i = 0; i < COMMANDS; i++) {
        signal.throwIfAborted();
        if (await run() !== 0) throw new Error(`${name}: a command failed`);
      }
    },
  };
}

const OUTPUT_GOAL: Goal = { ours: "ferry exec", peer: "ssh", ratio: { speed: 0.6 } };

/** Times the output of one command, which ferry verifies by its md5 and ssh by its cipher. */
export async function commandOutput(bench: Bench): Promise<string> {
  const { size, installed } = bench;
  await using stack = new AsyncDisposableStack();
  const root = Deno.makeTempDirSync(bench);
  const limit = ["--exec-output-limit", String(size)];
  const server = stack.use(await Ferryd.start(root, ["--allow-exec", "head", ...limit]));
  const command = ["head", "-c", String(size), "/dev/zero"];
  const ferry = [DENO, ...programArgs("ferry"), "exec", "-s", server.address, "--"];
  const contestants = [counting("ferry exec", bench, [...ferry, ...command])];
  if (installed.has("scp") && installed.has("sshd")) {
    const { user, port, options } = stack.use(await startSshd(Deno.makeTempDirSync(bench)));
    const ssh = ["ssh", ...options, "-p", `${port}`, `${user}@127.0.0.1`];
    contestants.push(counting("ssh", bench, [...ssh, ...command]));
  }
  const timings = await interleave(contestants, { ...bench, size: MIB });
  return timingTable(timings, { work: { amount: size / MIB, unit: "MiB" }, goals: [OUTPUT_GOAL] });
}

/** A program whose output goes to another one, which counts the bytes. */
function counting(name: string, { size, signal }: Bench, command: readonly string[]): Contestant {
  return {
    name,
    tidy() {},
    async run() {
      const pipe = spawn("sh", ["-c", '"$@" | wc -c', "sh", ...command]);
      const { stdout, stderr } = await succeed(name, pipe, signal);
      if (Number(stdout) !== size || stderr !== "") {
        throw new Error(`${name}: ${stdout.trim()} of ${size} bytes came; ${stderr.trim()}`);
      }
    },
  };
}
