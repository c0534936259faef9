import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Output } from "../../../client/cli/output.ts";
import * as renderer from "../../../client/cli/progress.ts";
import { TransferOutput } from "../../../client/cli/transfer_output.ts";
import { stopStopwatch } from "../../support/clock.ts";
import { printed } from "../../support/printed.ts";

Deno.test("ProgressDisplay draws on stderr where it is asked for, and is wiped before a line", () => {
  using _clock = stopStopwatch();
  const now = performance.now();
  const progress = { filename: "a.bin", bytes: 50, total: 100 };
  const draw = (output: Output) => output.progress.show(progress, now - 1000);
  assertEquals(printed(draw), { out: "", err: "" });

  const { out, err } = printed((output) => {
    draw(output);
    draw(output);
    output.line("done");
    output.line("again");
  }, { renderer });
  assertEquals(out, "done\nagain\n");
  const wiped = err.split("\r\x1b[J");
  assertEquals(wiped.length, 2, JSON.stringify(err));
  assert(/^a\.bin .* 50% /.test(wiped[0]!), wiped[0]);
  assertEquals(wiped[1], "");
});

Deno.test("ProgressDisplay draws a line for each file of a directory and one for all", () => {
  const { err } = printed((output) => {
    const transfers = new TransferOutput(output, { dryRun: false });
    output.progress.startMany();
    output.progress.plan(3, 300);
    output.progress.show({ filename: "t/a", bytes: 50, total: 100 }, 0);
    transfers.count({ skipped: false, transferred: 50 });
    for (let n = 0; n < 2; n++) transfers.count({ skipped: true, transferred: 0 });
    transfers.summary(1, { trees: true });
  }, { renderer });
  assertMatch(err, /^0\/3 files, 300\.0 B/);
  assert(err.endsWith("\r\x1b[Jferry: 1 transferred (50 B), 2 unchanged\n"), JSON.stringify(err));
});

Deno.test("ProgressDisplay takes for speed what this run has moved, also where it repeats", () => {
  const seen: unknown[] = [];
  const watching = {
    ...renderer,
    renderProgress(state: Parameters<typeof renderer.renderProgress>[0]) {
      seen.push([state.from, state.bytes]);
      return "";
    },
  };
  const now = performance.now.bind(performance);
  let later = 0;
  performance.now = () => now() + later;
  try {
    printed((output) => {
      const draw = (bytes: number, resumedFrom: number | undefined, started: number) => {
        later += 1000;
        output.progress.show({ filename: "a", bytes, total: 100, resumedFrom }, started);
      };
      draw(50, 40, 1);
      draw(70, 60, 1);
      draw(80, 70, 2);
      draw(10, undefined, 3);
    }, { renderer: watching });
  } finally {
    performance.now = now;
  }
  assertEquals(seen, [[40, 50], [40, 70], [70, 80], [0, 10]]);
});
