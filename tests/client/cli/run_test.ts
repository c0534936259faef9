import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { command, type Context } from "../../../client/cli/command.ts";
import { COMMON_WITHOUT_RETRIES } from "../../../client/cli/options.ts";
import { runCommand } from "../../../client/cli/run.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { captured } from "../../support/printed.ts";

/** A command that does what it is given. */
function doing(
  run: (context: Context) => Promise<number | void>,
  more: { failureStatus?: number } = {},
) {
  return command({
    name: "ferry test",
    op: "try",
    usage: "",
    summary: "Try something",
    arguments: { min: 0, max: 0 },
    options: {
      ...COMMON_WITHOUT_RETRIES,
      overwrite: { kind: "text", choices: ["never", "always"], default: "never", help: "when" },
    },
    run,
    ...more,
  });
}

async function run(
  tested: ReturnType<typeof doing>,
  argv: readonly string[] = [],
  signal: AbortSignal = new AbortController().signal,
): Promise<{ status: number; out: string; err: string }> {
  const { result, ...texts } = await captured(() =>
    runCommand(tested, argv, { configurable: {}, env: () => undefined, signal })
  );
  return { status: result, ...texts };
}

const lost = () => Promise.reject(new FerryError("not_found", "it is not there"));
const taken = () => Promise.reject(new FerryError("exists", "the name is taken"));

Deno.test("runCommand() gives the status of the command, or that of the first failure", async () => {
  assertEquals((await run(doing(() => Promise.resolve()))).status, 0);
  assertEquals((await run(doing(() => Promise.resolve(3)))).status, 3);
  assertEquals((await run(doing(lost))).status, 4);
  const both = doing(async ({ attempt }) => {
    await attempt("list", "a", lost);
    await attempt("list", "b", taken);
    await attempt("list", "c", () => Promise.resolve());
  });
  const { status, out, err } = await run(both);
  assertEquals([status, out], [4, ""]);
  assertEquals(err.split("\n").slice(0, 2), [
    "ferry: it is not there",
    "ferry: the name is taken",
  ]);
  assertEquals((await run(doing(lost, { failureStatus: 255 }))).status, 255);
});

Deno.test("runCommand() reports failures by the op of the command, or of the part", async () => {
  const events = async (tested: ReturnType<typeof doing>) => {
    const { out } = await run(tested, ["--json"]);
    return out.trimEnd().split("\n").map((line) => JSON.parse(line));
  };
  const error = { event: "error", code: "not_found", message: "it is not there" };
  assertEquals(await events(doing(lost)), [{ ...error, op: "try" }]);
  assertEquals(await events(doing(({ attempt }) => attempt("list", "a", lost))), [
    { ...error, op: "list", filename: "a" },
  ]);
});

Deno.test("runCommand() says how a name that is taken can be replaced", async () => {
  assertStringIncludes((await run(doing(taken))).err, "--overwrite says when");
  assertEquals((await run(doing(lost))).err, "ferry: it is not there\n");
});

Deno.test("runCommand() throws for a wrong command line, and where it is interrupted", async () => {
  for (const argv of [["--nope"], ["--limit-rate", "0"]]) {
    const error = await assertRejects(() => run(doing(lost), argv), FerryError);
    assertEquals(error.code, "usage");
  }
  const interrupted = new AbortController();
  const tested = doing(({ attempt }) => {
    return attempt("list", "a", () => {
      interrupted.abort(new Error("interrupted"));
      return lost();
    });
  });
  await assertRejects(() => run(tested, [], interrupted.signal), Error, "interrupted");
});
