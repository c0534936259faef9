import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import * as renderer from "../../../client/cli/progress.ts";
import {
  md5sumLine,
  Output,
  type OutputOptions,
  shownSumLine,
  write,
} from "../../../client/cli/output.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

const MD5 = "0123456789abcdef0123456789abcdef";

const FILE: Entry = {
  filename: "d/a.bin",
  type: "file",
  size: 12345,
  mtime: Date.UTC(2024, 1, 3, 4, 5, 6, 789),
  mode: 0o640,
  checksum: MD5,
};

const DIRECTORY: Entry = {
  ...FILE,
  filename: "d",
  type: "directory",
  size: 0,
  mode: 0o755,
  checksum: null,
};

const TRANSFERRED = {
  filename: "d/a.bin",
  checksum: MD5,
  size: 12345,
  skipped: false,
  transferred: 12345,
  resumedFrom: 0,
};

/** What a run of the program prints. */
function printed(
  run: (output: Output) => void,
  options: Partial<OutputOptions> = {},
): { out: string; err: string } {
  const texts = { out: "", err: "" };
  const streams = [["out", Deno.stdout], ["err", Deno.stderr]] as const;
  const before = streams.map(([, stream]) => stream.writeSync);
  try {
    for (const [name, stream] of streams) {
      stream.writeSync = (bytes) => {
        texts[name] += new TextDecoder().decode(bytes);
        return bytes.length;
      };
    }
    run(new Output({ json: false, quiet: false, ...options }));
  } finally {
    for (const [at, [, stream]] of streams.entries()) stream.writeSync = before[at]!;
  }
  return texts;
}

function jsonLines(run: (output: Output) => void, options: Partial<OutputOptions> = {}): unknown[] {
  const { out, err } = printed(run, { json: true, ...options });
  assertEquals(err, "");
  return out.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

Deno.test("md5sumLine() writes what md5sum writes", () => {
  assertEquals(md5sumLine(MD5, "a.bin"), `${MD5}  a.bin`);
  assertEquals(md5sumLine(MD5, "a b  c"), `${MD5}  a b  c`);
  assertEquals(md5sumLine(MD5, "中文😀"), `${MD5}  中文😀`);
  assertEquals(md5sumLine(MD5, "a\\b"), `\\${MD5}  a\\\\b`);
  assertEquals(md5sumLine(MD5, "a\nb"), `\\${MD5}  a\\nb`);
  assertEquals(md5sumLine(MD5, "a\rb"), `\\${MD5}  a\\rb`);
  assertEquals(md5sumLine(MD5, "\\n\n"), `\\${MD5}  \\\\n\\n`);
});

Deno.test("md5sumLine() is one line from which the name can be read again", () => {
  const name = fc.array(fc.constantFrom("\\", "\n", "\r", "n", "r", " ", "a", "中"), {
    minLength: 1,
  });
  fc.assert(fc.property(name, (letters) => {
    const name = letters.join("");
    const line = md5sumLine(MD5, name);
    assert(!/[\r\n]/.test(line), "more than a line");
    const escaped = line.startsWith("\\");
    const shown = line.slice((escaped ? 1 : 0) + MD5.length + 2);
    const read = escaped
      ? shown.replace(/\\(.)/g, (_, c) => ({ n: "\n", r: "\r" } as Record<string, string>)[c] ?? c)
      : shown;
    assertEquals(read, name);
  }));
});

Deno.test({
  name: "md5sumLine() is believed by md5sum --check" +
    (Deno.build.os === "linux" ? "" : " (ignored: needs GNU coreutils)"),
  ignore: Deno.build.os !== "linux",
  fn() {
    const directory = Deno.makeTempDirSync();
    try {
      const empty = "d41d8cd98f00b204e9800998ecf8427e";
      const names = ["plain", "a b", "back\\slash", "new\nline", "re\rturn", "\\n", "中文"];
      for (const name of names) Deno.writeTextFileSync(`${directory}/${name}`, "");
      Deno.writeTextFileSync(
        `${directory}/sums`,
        names.map((name) => `${md5sumLine(empty, name)}\n`).join(""),
      );
      const { success, stderr } = new Deno.Command("md5sum", {
        args: ["--check", "--strict", "--status", "sums"],
        cwd: directory,
      }).outputSync();
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});

Deno.test("Output.transferred() prints a line of md5sum's format", () => {
  for (const op of ["put", "get"] as const) {
    const { out, err } = printed((output) => output.transferred(op, "shown.bin", TRANSFERRED, 1));
    assertEquals({ out, err }, { out: `${MD5}  shown.bin\n`, err: "" });
  }
});

Deno.test("Output.transferred() prints one JSON object with --json", () => {
  const common = {
    event: "done",
    filename: "d/a.bin",
    md5: MD5,
    total_size: 12345,
    skipped: false,
    resumed_from: 0,
    retries: 0,
  };
  assertEquals(
    jsonLines((output) => {
      output.transferred("put", "shown", TRANSFERRED, 1.23456789);
      output.transferred("get", "local/a.bin", TRANSFERRED, 0);
    }),
    [
      { ...common, op: "put", seconds: 1.234568, bytes_sent: 12345 },
      { ...common, op: "get", path: "local/a.bin", seconds: 0, bytes_received: 12345 },
    ],
  );
});

Deno.test("Output.entry() prints a line as ls does", () => {
  const { out } = printed((output) => {
    output.entry("list", FILE);
    output.entry("list", DIRECTORY);
    output.entry("list", { ...FILE, checksum: null, mode: 0o7 });
  });
  // The time is that of wherever this runs, with its zone.
  const [time = ""] = /2024-02-0[234] \d\d:\d\d:06 [+-]\d{4}/.exec(out) ?? [];
  assertEquals(
    Date.parse(time.replace(" ", "T").replace(" ", "")),
    Math.floor(FILE.mtime / 1000) * 1000,
  );
  assertEquals(out.split("\n"), [
    `-rw-r-----          12345 ${time} ${MD5} d/a.bin`,
    `drwxr-xr-x              0 ${time} -${" ".repeat(31)} d/`,
    `-------rwx          12345 ${time} -${" ".repeat(31)} d/a.bin`,
    "",
  ]);
  for (const mtime of [8.64e15, -8.64e15]) {
    assertEquals(printed((output) => output.entry("list", { ...FILE, mtime })).err, "");
  }
});

Deno.test("Output.entry(), details() show no name that drives a terminal", () => {
  const entry = { ...FILE, filename: "a\x1b[2J\nb" };
  const { out } = printed((output) => {
    output.entry("list", entry);
    output.details(entry);
  });
  assert(!out.includes("\x1b"), out);
  assertEquals(out.match(/"a\\u001b\[2J\\nb"$/gm)?.length, 2, out);
});

Deno.test("Output.details() prints all that is known", () => {
  assertEquals(printed((output) => output.details(FILE)).out.split("\n"), [
    "filename: d/a.bin",
    "type:     file",
    "size:     12345",
    "mtime:    2024-02-03T04:05:06.789Z",
    "mode:     0640",
    `md5:      ${MD5}`,
    "",
  ]);
  assertEquals(
    printed((output) => output.details({ ...DIRECTORY, filename: "" })).out.split("\n"),
    [
      "filename: .",
      "type:     directory",
      "mtime:    2024-02-03T04:05:06.789Z",
      "mode:     0755",
      "",
    ],
  );
});

Deno.test("Output.entry(), details(), done() print JSON objects with --json", () => {
  const { size, checksum: md5, ...rest } = FILE;
  assertEquals(
    jsonLines((output) => {
      output.entry("list", FILE);
      output.details(FILE);
      output.done("remove", { filename: "a" });
    }),
    [
      { event: "entry", op: "list", ...rest, md5, total_size: size },
      { event: "entry", op: "stat", ...rest, md5, total_size: size },
      { event: "done", op: "remove", filename: "a" },
    ],
  );
  assertEquals(printed((output) => output.done("remove", { filename: "a" })), { out: "", err: "" });
});

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
  const put = (output: Output) => output.transferred("put", name, result, 1);
  assertEquals(run(true, put), `${MD5}  ${shown}\n`);
  assertEquals(run(false, put), `${md5sumLine(MD5, name)}\n`);
  assertEquals(shownSumLine(MD5, "a\\b"), md5sumLine(MD5, "a\\b"));
  for (const terminal of [true, false]) {
    const rest = run(terminal, (output) => {
      output.entry("list", { ...FILE, filename: name });
      output.details({ ...FILE, filename: name });
      output.part({ filename: name, size: 2, received: 1, mtime: 0, active: false });
    });
    assertEquals(rest.split(shown).length, 4);
    assert(!/[^\n\P{Cc}]/u.test(rest), JSON.stringify(rest));
  }
  const [line] = printed((output) => output.entry("list", { ...FILE, filename: name }), {
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
      output.transferred("put", "a", TRANSFERRED, 1);
      output.entry("list", FILE);
      output.details(FILE);
      output.done("remove", {});
      output.line("hello");
    }, { quiet: true, json });
    assertEquals(all, { out: "", err: "" });
  }
});

Deno.test("Output.progress() draws on stderr where it is asked for, and is wiped before a line", () => {
  const now = performance.now();
  const progress = { filename: "a.bin", bytes: 50, total: 100 };
  const draw = (output: Output) => output.progress(progress, now - 1000);
  assertEquals(printed(draw), { out: "", err: "" });

  const { out, err } = printed((output) => {
    draw(output);
    draw(output);
    output.line("done");
    output.line("again");
  }, { progress: renderer });
  assertEquals(out, "done\nagain\n");
  const wiped = err.split("\r\x1b[J");
  assertEquals(wiped.length, 2, JSON.stringify(err));
  assert(/^a\.bin .* 50% /.test(wiped[0]!), wiped[0]);
  assertEquals(wiped[1], "");
});

Deno.test("Output.progress() draws a line for each file of a directory and one for all", () => {
  const { err } = printed((output) => {
    output.startMany();
    output.plan(3, 300);
    output.progress({ filename: "t/a", bytes: 50, total: 100 }, 0);
    output.count({ skipped: false, transferred: 50 });
    for (let n = 0; n < 2; n++) output.count({ skipped: true, transferred: 0 });
    output.summary(1, { trees: true });
  }, { progress: renderer });
  assertMatch(err, /^0\/3 files, 300\.0 B/);
  assert(err.endsWith("\r\x1b[Jferry: 1 transferred (50 B), 2 unchanged\n"), JSON.stringify(err));
});

Deno.test("Output.progress() takes for speed what this run has moved, also where it repeats", () => {
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
        output.progress({ filename: "a", bytes, total: 100, resumedFrom }, started);
      };
      draw(50, 40, 1);
      draw(70, 60, 1);
      draw(80, 70, 2);
      draw(10, undefined, 3);
    }, { progress: watching });
  } finally {
    performance.now = now;
  }
  assertEquals(seen, [[40, 50], [40, 70], [70, 80], [0, 10]]);
});

Deno.test("write() writes all of a text, however little is taken at once", () => {
  const taken: number[] = [];
  const text = "中文 and more";
  write({ writeSync: (bytes) => (taken.push(bytes[0]!), 1) }, text);
  assertEquals(new TextDecoder().decode(new Uint8Array(taken)), text);
});

Deno.test("write() ends the program as SIGPIPE would where the reader is gone", () => {
  const exit = Deno.exit;
  const statuses: (number | undefined)[] = [];
  Deno.exit = (status) => {
    statuses.push(status);
    throw new Error("ended");
  };
  try {
    const gone = { writeSync: () => raise(new Deno.errors.BrokenPipe("gone")) };
    assertThrows(() => write(gone, "x"), Error, "ended");
    assertEquals(statuses, [141]);
    const full = { writeSync: () => raise(Object.assign(new Error("full"), { code: "ENOSPC" })) };
    const error = assertThrows(() => write(full, "x"), FerryError, "write to standard output");
    assertEquals(error.code, "no_space");
    assertEquals(statuses, [141]);
  } finally {
    Deno.exit = exit;
  }
});

function raise(error: Error): never {
  throw error;
}
