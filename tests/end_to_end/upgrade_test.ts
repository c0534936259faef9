/**
 * An upgrade as docs/operating.md describes it: a new ferryd starts beside the one that serves, which then ends, while
 * clients go on putting and getting files.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { ferry, Ferryd, ferryd, filesBelow, stagedIn, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";

/** Two processes can listen at one address on Linux only. */
const ignore = Deno.build.os !== "linux";

/** What each client puts in each of its rounds: the sizes of files in bytes. */
const CLIENTS: Readonly<Record<string, readonly number[]>> = {
  small: [1000],
  large: [9 * MIB],
  directory: Array.from({ length: 20 }, () => 3000),
};

/** A client that puts something, gets it back, and begins again. */
class BusyClient {
  readonly #name: string;
  readonly #sizes: readonly number[];
  readonly #cwd: string;
  readonly #address: string;
  #rounds = 0;
  #round = Promise.withResolvers<void>();
  /** The MD5 of each file that a server has acknowledged, by its name. */
  readonly acknowledged = new Map<string, string>();
  /** What went wrong. */
  readonly failures: string[] = [];

  constructor(name: string, { cwd, address }: { cwd: string; address: string }) {
    this.#name = name;
    this.#sizes = CLIENTS[name]!;
    this.#cwd = cwd;
    this.#address = address;
  }

  /** Works until the signal is aborted. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#putAndGet(`${this.#name}-${this.#rounds++}`);
      this.#round.resolve();
      this.#round = Promise.withResolvers();
    }
  }

  /** Waits for the end of a round that begins after the call. */
  async wholeRound(): Promise<void> {
    await this.#round.promise;
    await this.#round.promise;
  }

  async #putAndGet(name: string): Promise<void> {
    Deno.mkdirSync(`${this.#cwd}/${name}`);
    const sums = new Map<string, string>();
    for (const [at, size] of this.#sizes.entries()) {
      const bytes = randomBytes(size, this.#rounds * 100 + at + 1);
      Deno.writeFileSync(`${this.#cwd}/${name}/${at}`, bytes);
      sums.set(`${name}/${at}`, md5(bytes));
    }
    const what = sums.size > 1 ? name : `${name}/0`;
    if (!await this.#succeeds("put", what, "--as", what)) return;
    for (const [file, sum] of sums) this.acknowledged.set(file, sum);
    Deno.renameSync(`${this.#cwd}/${name}`, `${this.#cwd}/${name}-sent`);
    if (!await this.#succeeds("get", what, "--out", what)) return;
    for (const [file, sum] of sums) {
      const got = md5(Deno.readFileSync(`${this.#cwd}/${file}`));
      if (got !== sum) this.failures.push(`${file} was got with the MD5 ${got}, not ${sum}`);
    }
  }

  /** Runs `ferry` with the number of retries that users have by default. */
  async #succeeds(...args: string[]): Promise<boolean> {
    const { code, stderr } = await ferry(args, { cwd: this.#cwd, server: this.#address });
    if (code !== 0) this.failures.push(`ferry ${args.join(" ")}: status ${code}: ${stderr}`);
    return code === 0;
  }
}

/** Connects to a port again and again, until the signal is aborted. Returns how often, and how often nobody listened. */
async function connectAgainAndAgain(
  port: number,
  stop: AbortSignal,
): Promise<{ connected: number; refused: number }> {
  let [connected, refused] = [0, 0];
  while (!stop.aborted) {
    try {
      using peer = await RawPeer.connect(port);
      connected++;
      await peer.ask({ op: "ping" });
    } catch (error) {
      // A server that ends closes connections that have asked nothing yet, and resets those that it has not accepted.
      if (error instanceof Deno.errors.ConnectionRefused) refused++;
    }
  }
  return { connected, refused };
}

/** How an operator may end the old server. */
const ENDS: Readonly<Record<string, (old: Ferryd) => Promise<void>>> = {
  "ferryd drain": async ({ root, pid }) => {
    const args = ["drain", "--root", root, "--pid", `${pid}`, "--timeout", "10m"];
    const { code, stderr } = await ferryd(args);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `ferryd: process ${pid} has ended\n`);
  },
  SIGTERM: async (old) => {
    assertEquals((await old.stop()).code, 0);
  },
};

for (const [how, end] of Object.entries(ENDS)) {
  Deno.test({
    name:
      `an upgrade beside the old ferryd, which ends by ${how}, fails no client and loses no file`,
    ignore,
    async fn() {
      await using dir = new TempDir();
      for (const name of ["root", "cwd"]) Deno.mkdirSync(dir.join(name));
      const root = dir.join("root");
      // However busy the machine is, nothing but the end of a server cuts a connection.
      const patience = ["--drain-timeout", "10m", "--idle-timeout", "10m", "--min-rate", "0"];
      const args = ["--together", ...patience];
      await using old = await Ferryd.start(root, args);
      const { address, port } = old;
      // An upload that the old server accepts, and that ends after the old server has begun to end.
      using slow = await RawPeer.connect(port);
      const bytes = randomBytes(4 * MIB);
      const put = { op: "put", filename: "slow", md5: md5(bytes), total_size: bytes.length };
      await slow.send(put, bytes.subarray(0, MIB));
      // A connection on which nothing is asked any more: a server that ends closes it.
      using idle = await RawPeer.connect(port);
      assertEquals(await idle.ask({ op: "ping" }), "ok");
      const clients = Object.keys(CLIENTS).map((name) => {
        return new BusyClient(name, { cwd: dir.join("cwd"), address });
      });
      const stop = new AbortController();
      const working = clients.map((client) => client.run(stop.signal));
      const wholeRounds = () =>
        Promise.race([
          Promise.all(clients.map((client) => client.wholeRound())),
          Promise.all(working),
        ]);
      try {
        await using fresh = await Ferryd.start(root, [...args, "--listen", address]);
        assertEquals(fresh.address, address);
        const connecting = connectAgainAndAgain(port, stop.signal);
        await slow.send(bytes.subarray(MIB, 2 * MIB));
        await wholeRounds();
        const ended = end(old);
        assertEquals(await idle.code(), "ended");
        await slow.send(bytes.subarray(2 * MIB));
        assertEquals(await slow.code(), "ok");
        await ended;
        await wholeRounds();
        stop.abort();
        await Promise.all(working);
        const { connected, refused } = await connecting;
        assertEquals(refused, 0, `of ${connected + refused} connections`);
        assertEquals((await fresh.stop()).code, 0);
      } finally {
        stop.abort();
        await Promise.all(working);
      }
      assertEquals(clients.flatMap(({ failures }) => failures), []);
      const expected = new Map(clients.flatMap(({ acknowledged }) => [...acknowledged]));
      expected.set("slow", md5(bytes));
      const stored = filesBelow(root).filter((name) => !name.startsWith(".ferry/"));
      assertEquals(stored.sort(), [...expected.keys()].sort());
      for (const name of stored) {
        assertEquals([name, md5(Deno.readFileSync(`${root}/${name}`))], [name, expected.get(name)]);
      }
      assertEquals(stagedIn(root), []);
    },
  });
}
