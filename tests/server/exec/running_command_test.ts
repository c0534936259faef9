import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { AllowedCommands } from "../../../server/exec/allowed_commands.ts";
import type { RunningCommand } from "../../../server/exec/running_command.ts";
import { allEnded } from "../../support/processes.ts";
import { TempDir } from "../../support/programs.ts";
import { text } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

/** Starts a line in a shell, without a server. */
function start(line: string): RunningCommand {
  const commands = AllowedCommands.find({ cwd: "/", shell: true });
  return commands.start({ op: "exec", command: line }, { stdin: false });
}

Deno.test("RunningCommand.output() makes the command wait while nobody takes it", async () => {
  await using dir = new TempDir();
  const progress = dir.write("progress", "0");
  const writes = () => Number(Deno.readTextFileSync(progress));
  const command = start(
    `i=0; while :; do head -c 65536 /dev/zero; i=$((i + 1)); echo $i > ${progress}; done`,
  );
  await using _command = command;
  const output = command.output();
  assert(!(await output.next()).done);
  // Time enough for hundreds, if nothing held it back.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert(writes() < 10, `${writes()} pieces were written, and one was taken`);
  const before = writes();
  while (writes() < before + 20) assert(!(await output.next()).done);
});

Deno.test("RunningCommand.output() fails with the reason of an abort, when nothing is left", async () => {
  await using command = start("trap '' TERM; sleep 1000 & echo $$ $!; wait; wait");
  const output = command.output();
  const { value } = await output.next();
  assert(value && "bytes" in value);
  const pids = text(value.bytes).trim().split(" ").map(Number);
  command.abort(new FerryError("closed", "the client left"));
  await assertCode("closed", () => output.next(), "the client left");
  await allEnded(pids);
});

Deno.test("RunningCommand that is disposed of leaves nothing", async () => {
  let pids: number[];
  {
    await using command = start("sleep 1000 & echo $$ $!; yes");
    const { value } = await command.output().next();
    assert(value && "bytes" in value);
    pids = text(value.bytes).split("\n")[0]!.split(" ").map(Number);
  }
  await allEnded(pids);
  {
    // Nobody ever looked at its output.
    await using command = start("yes & yes >&2");
    pids = [command.pid];
  }
  await allEnded(pids);
});

Deno.test("RunningCommand.output() keeps what stands in the pipe when the command ends", async () => {
  await using command = start("head -c 60000 /dev/zero; echo end >&2; exit 3");
  const output = command.output();
  const first = await output.next();
  // The command has long ended when the rest is taken.
  await allEnded([command.pid]);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  let size = 0;
  for (let next = first;; next = await output.next()) {
    if (next.done) {
      assertEquals(next.value, { exit_code: 3, signal: null, timed_out: false });
      break;
    }
    size += next.value.bytes.length;
  }
  assertEquals(size, 60_004);
});
