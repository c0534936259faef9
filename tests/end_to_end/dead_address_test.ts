import { assert, assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { COMMANDS } from "../../client/cli/commands/all.ts";
import { parseTime } from "../../lib/cli/option_value.ts";
import { ferry, TempDir } from "../support/programs.ts";

/** Commands that connect to a server and transfer nothing, with their arguments. */
const ASKING: Readonly<Record<string, string[]>> = {
  ping: [],
  doctor: [],
  ls: [],
  stat: ["f"],
  rm: ["f"],
  mv: ["f", "g"],
  mkdir: ["d"],
  share: ["f"],
  exec: ["--", "ls"],
  echo: ["x", "--timeout", "300ms"],
};

/** Transfer commands with `--dry-run`. */
const PLANNING: Readonly<Record<string, string[]>> = {
  put: ["f", "--dry-run"],
  get: ["f", "--dry-run"],
};

/** What takes as long as a transfer, since the server reads files. */
const READING = ["verify"];

/** Aliases of these commands. */
const ALIASES = ["upload", "download", "cat"];

const nameOf = ({ name }: { name: string }) => name.replace(/^ferry /, "");

/** The commands that have an option. */
function having(option: string) {
  return COMMANDS.filter(({ options }) => option in options);
}

/** A listener in Python with a full backlog: the system drops further connection attempts. */
class FullListener implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, readonly port: number) {
    this.#child = child;
  }

  static async start(): Promise<FullListener> {
    const script = [
      "import socket, sys",
      "listener = socket.create_server(('127.0.0.1', 0), backlog=0)",
      "address = listener.getsockname()",
      "waiting = [socket.socket() for _ in range(3)]",
      "for one in waiting: one.setblocking(False); one.connect_ex(address)",
      "print(address[1], flush=True)",
      "sys.stdin.read()",
    ].join("\n");
    const child = new Deno.Command("python3", {
      args: ["-c", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    );
    for await (const line of lines) return new FullListener(child, Number(line));
    throw new Error("the listener did not start");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
  }
}

/** Asserts that a command with a shorter timeout and its default retries gives up after one attempt. */
async function assertGivesUp(port: number, name: string, args: string[]): Promise<void> {
  await using dir = new TempDir();
  dir.write("f", "content");
  const address = `127.0.0.1:${port}`;
  const to = name === "echo" ? ["--tcp", address] : ["-s", address];
  const patience = ["--connect-timeout", "300ms"];
  const outcome = await ferry([name, ...patience, "--json", ...to, ...args], { cwd: dir.path });
  const { code, stdout, stderr } = outcome;
  const said = `${name} ${args.join(" ")}: ${stdout}${stderr}`;
  assertEquals(code, name === "exec" ? 255 : 6, said);
  assert(!stdout.includes('"event":"retry"'), said);
}

Deno.test("no command but those that take long tries again by itself, and none is patient for longer than 8 s", () => {
  for (const { name, options } of having("connect-timeout")) {
    const patience = options["connect-timeout"] as { default: string };
    assert(parseTime(patience.default)! <= 8000, name);
  }
  const retrying = having("retries")
    .filter(({ options }) => (options.retries as { default: string }).default !== "0");
  const transfers = [...Object.keys(PLANNING), ...ALIASES, ...READING];
  assertEquals(retrying.map(nameOf).sort(), transfers.sort());
  const all = having("connect-timeout").map(nameOf);
  assertEquals(all.sort(), [...transfers, ...Object.keys(ASKING)].sort());
});

Deno.test("commands give up on a server that takes connections and never answers", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const tls = [["--tls"], ["--pin", `sha256:${"0".repeat(64)}`]];
  await Promise.all([
    ...Object.entries({ ...ASKING, ...PLANNING }).map((each) => assertGivesUp(port, ...each)),
    ...tls.map((options) => assertGivesUp(port, "ls", options)),
  ]);
});

Deno.test("commands give up on an address from which nothing comes back", async () => {
  await using listener = await FullListener.start();
  const { port } = listener;
  const classic = ["--classic", `127.0.0.1:${port}`, "ls"];
  const some = { ls: [], put: PLANNING.put!, echo: ASKING.echo!, exec: classic };
  await Promise.all(Object.entries(some).map((each) => assertGivesUp(port, ...each)));
});
