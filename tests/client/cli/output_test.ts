import { assert, assertEquals } from "@std/assert";
import { showDetails, showEntry, showPartialUpload } from "../../../client/cli/entry_output.ts";
import type { Output } from "../../../client/cli/output.ts";
import { md5sumLine, shownSumLine } from "../../../client/cli/sum_line.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { jsonLines, printed } from "../../support/printed.ts";
import { FILE, MD5, TRANSFERRED, transfersOf } from "../../support/printed_examples.ts";

Deno.test("Output lets no control character of a name reach a terminal", () => {
  const name = "d/a\x1b[31m\r\n\x7f\x9b2J\u202eb\\c";
  const shown = String.raw`"d/a\u001b[31m\r\n\u007f\u009b2J\u202eb\\c"`;
  const { isTerminal } = Deno.stdout;
  const run = (terminal: boolean, output: (output: Output) => void) => {
    Deno.stdout.isTerminal = () => terminal;
    try {
      return printed(output).out;
    } finally {
      Deno.stdout.isTerminal = isTerminal;
    }
  };
  const result = { ...TRANSFERRED, filename: name };
  const put = (output: Output) => transfersOf(output).transferred("put", name, result, 1);
  assertEquals(run(true, put), `${MD5}  ${shown}\n`);
  assertEquals(run(false, put), `${md5sumLine(MD5, name)}\n`);
  assertEquals(shownSumLine(MD5, "a\\b"), md5sumLine(MD5, "a\\b"));
  for (const terminal of [true, false]) {
    const rest = run(terminal, (output) => {
      showEntry(output, "list", { ...FILE, filename: name });
      showDetails(output, { ...FILE, filename: name });
      showPartialUpload(output, { filename: name, size: 2, received: 1, mtime: 0, active: false });
    });
    assertEquals(rest.split(shown).length, 4);
    assert(!/[^\n\P{Cc}]/u.test(rest), JSON.stringify(rest));
  }
  const [line] = printed((output) => showEntry(output, "list", { ...FILE, filename: name }), {
    json: true,
  }).out.split("\n");
  assert(!/[\p{Cc}\u202e]/u.test(line!));
  assertEquals(JSON.parse(line!).filename, name);
  const said = new FerryError("io", `no \x1b]0;title\x07 for\nyou`, { action: "put \x9b1m" });
  assertEquals(said.message, String.raw`Cannot put \u009b1m: no \u001b]0;title\u0007 for\u000ayou`);
  const { message } = FerryError.reported("io", "\x1bc");
  assertEquals(message, String.raw`\u001bc (on the other side)`);
});

Deno.test("Output.error() goes to stderr, and with --json to stdout with its code", () => {
  const error = new FerryError("not_found", "no such file", { action: 'get "a"' });
  const fail = (output: Output) => output.error("get", error, { filename: "a" });
  for (const quiet of [false, true]) {
    assertEquals(printed(fail, { quiet }), {
      out: "",
      err: 'ferry: Cannot get "a": no such file\n',
    });
    assertEquals(jsonLines(fail, { quiet }), [{
      event: "error",
      op: "get",
      filename: "a",
      code: "not_found",
      message: 'Cannot get "a": no such file',
    }]);
  }
});

Deno.test("Output prints nothing but errors with --quiet", () => {
  for (const json of [false, true]) {
    const all = printed((output) => {
      transfersOf(output).transferred("put", "a", TRANSFERRED, 1);
      showEntry(output, "list", FILE);
      showDetails(output, FILE);
      output.done("remove", {});
      output.line("hello");
    }, { quiet: true, json });
    assertEquals(all, { out: "", err: "" });
  }
});
