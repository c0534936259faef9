/**
 * The haproxy of docs/operating.md, in front of servers on this machine.
 *
 * @module
 */

import { blocksIn } from "../docs/documents.ts";
import { freePorts } from "../support/free_ports.ts";

const PAGE = "docs/operating.md";

/** How long haproxy may take to find a server up or down, in milliseconds. */
const CHECK_MS = 120_000;

const POLL_MS = 50;

/** A running haproxy. */
export class Haproxy implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: Promise<string>;
  readonly #socket: string;
  /** `127.0.0.1:PORT` */
  readonly address: string;

  private constructor(
    child: Deno.ChildProcess,
    { socket, port }: { socket: string; port: number },
  ) {
    this.#child = child;
    this.#log = new Response(child.stderr).text();
    this.#socket = socket;
    this.address = `127.0.0.1:${port}`;
  }

  /**
   * Starts it, and waits until it can reach one of the servers.
   *
   * @param dir where its files go
   * @param servers the ports of the servers, by their names
   */
  static async start(dir: string, servers: ReadonlyMap<string, number>): Promise<Haproxy> {
    const port = freePorts(1);
    const socket = `${dir}/haproxy.sock`;
    const path = `${dir}/haproxy.cfg`;
    Deno.writeTextFileSync(path, configuration({ socket, port, servers }));
    const child = new Deno.Command("haproxy", {
      args: ["-db", "-f", path],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const haproxy = new Haproxy(child, { socket, port });
    try {
      await haproxy.until((states) => [...states.values()].includes("UP"));
      return haproxy;
    } catch (error) {
      await haproxy[Symbol.asyncDispose]();
      throw new Error(`haproxy did not start: ${await haproxy.#log}`, { cause: error });
    }
  }

  /** Runs a command of its socket, and returns what it answers. */
  async tell(command: string): Promise<string> {
    using conn = await Deno.connect({ transport: "unix", path: this.#socket });
    await conn.write(new TextEncoder().encode(`${command}\n`));
    const chunks = await Array.fromAsync(conn.readable);
    return await new Blob(chunks).text();
  }

  /** The states of the servers by their names, as haproxy writes them: `UP`, `DOWN`, `DRAIN`, `UP 1/2`. */
  async states(): Promise<Map<string, string>> {
    const lines = (await this.tell("show stat")).split("\n").map((line) => line.split(","));
    const columns = lines[0]!;
    const [name, state] = [columns.indexOf("svname"), columns.indexOf("status")];
    return new Map(
      lines.slice(1)
        .filter(([backend]) => backend === "ferryds")
        .map((cells) => [cells[name]!, cells[state]!] as const)
        .filter(([server]) => server !== "BACKEND"),
    );
  }

  /** Waits for states of the servers. */
  async until(isRight: (states: ReadonlyMap<string, string>) => boolean): Promise<void> {
    const deadline = Date.now() + CHECK_MS;
    let last: unknown;
    do {
      try {
        const states = await this.states();
        if (isRight(states)) return;
        last = [...states].join(" ");
      } catch (error) {
        last = error;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } while (Date.now() < deadline);
    throw new Error(`haproxy sees its servers as ${last}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await this.#log;
  }
}

/** The configuration in the document, with the addresses of this machine. */
function configuration(
  { socket, port, servers }: {
    socket: string;
    port: number;
    servers: ReadonlyMap<string, number>;
  },
): string {
  const [block, ...others] = blocksIn([PAGE], "haproxy");
  if (!block || others.length > 0) throw new Error(`${PAGE} has not one haproxy block`);
  const rest = block.lines.filter((line) => !/^ +server /.test(line)).join("\n");
  const text = rest
    .replace("/run/haproxy/admin.sock", socket)
    .replace("bind :9900", `bind 127.0.0.1:${port}`);
  const lines = [...servers].map(([name, port]) => `    server ${name} 127.0.0.1:${port}`);
  if (!text.includes(socket) || !text.includes(`:${port}`)) {
    throw new Error(`${PAGE} has another haproxy block than is expected`);
  }
  return [text, ...lines, ""].join("\n");
}
