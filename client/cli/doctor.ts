/**
 * Examines the way to a server and back, phase by phase.
 *
 * @module
 */

import type { Address } from "../../lib/core/address.ts";
import { equals } from "@std/bytes/equals";
import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { FerryError, printable, toFerryError } from "../../lib/core/errors.ts";
import { pinOf } from "../../lib/security/certificate_pin.ts";
import { mismatch } from "../../lib/udp/echo_reply.ts";
import type { HelloReply } from "../../lib/wire/operations/hello.ts";
import type { Client } from "../api/client.ts";
import { tlsClient } from "../api/connect.ts";
import { openExchange } from "../echo/exchange.ts";
import { Connection } from "../net/connection.ts";
import { dial } from "../net/dial.ts";
import { SilentServerProbe } from "../net/silent_server.ts";
import { certificateOf, type TlsClient } from "../net/tls.ts";
import type { Context } from "./command.ts";
import type { Shown } from "./credentials.ts";
import { adviceFor, type Phase } from "./doctor_advice.ts";
import { roundMilliseconds } from "./echo_output.ts";

/** The size of the file that is put, in bytes: it takes packets as large as the way allows. */
const FILE_BYTES = 64 * 1024;

/** Clocks that differ by no more than this, in milliseconds, count as equal. */
const CLOCK_TOLERANCE_MS = 5000;

/** How often the echo is asked. */
const ECHOES = 5;

/** How long the echo of one datagram is waited for, in milliseconds. */
const ECHO_TIMEOUT_MS = 2000;

/** The size of those datagrams in bytes. */
const ECHO_BYTES = 64;

/**
 * The sizes of packets that are tried, in bytes: those of Ethernet, of PPPoE, of common tunnels, and the smallest that
 * every link for IPv6 takes.
 */
const PACKET_BYTES = [1500, 1492, 1420, 1280];

/** What the headers of IP and UDP take of a packet, in bytes. */
const HEADER_BYTES = { ipv4: 28, ipv6: 48 };

/** What is examined. */
export interface Examined {
  /** The server. */
  address: Address;
  /** An echo over UDP; undefined for none. */
  echo: Address | undefined;
  /** The directory that is listed and takes a file. */
  dir: string;
  /** Milliseconds without a sign of life after which a server is given up. */
  timeout: number;
  /** Milliseconds for connecting. */
  connectTimeout: number;
}

/** One run of `ferry doctor`. */
export class Doctor {
  readonly #context: Context;
  readonly #examined: Examined;
  readonly #failed: Phase[] = [];
  #status = 0;

  /** An examination that has not begun. */
  constructor(context: Context, examined: Examined) {
    this.#context = context;
    this.#examined = examined;
  }

  /**
   * Goes through all phases, and prints each as it ends.
   *
   * @returns the exit status: that of the first failure, or 0
   * @throws {FerryError} if the credentials cannot be read
   */
  async examine(): Promise<number> {
    const { output } = this.#context;
    const shown = await this.#context.credentials();
    const hello = await this.#reach(shown);
    if (hello) await this.#use(hello, shown);
    await this.#echo();
    const failed = this.#failed;
    output.line(failed.length === 0 ? "all is well" : `failed: ${failed.join(", ")}`);
    return this.#status;
  }

  /** All until the server has said who it is. Returns what it said. */
  async #reach(shown: Shown): Promise<HelloReply | undefined> {
    const { address } = this.#examined;
    if (!await this.#phase("resolve", () => this.#resolve())) return undefined;
    let conn: Deno.TcpConn | Deno.TlsConn | undefined;
    const connected = await this.#phase("connect", async () => {
      conn = await dial(address, { timeout: this.#examined.connectTimeout, signal: this.#signal });
      return "";
    });
    if (!connected) return undefined;
    const tls = tlsClient(shown.tls);
    if (!tls) this.#leaveOut("tls", "neither --tls nor --ca nor --pin asks for it");
    else if (
      !await this.#phase("tls", async () => {
        const [secured, detail] = await this.#secure(conn as Deno.TcpConn, tls);
        conn = secured;
        return detail;
      })
    ) return undefined;
    let connection: Connection | undefined;
    await this.#phase("hello", async () => {
      connection = await this.#greet(conn!, tls);
      const { agent, auth, scopes } = connection.hello;
      const login = auth === "none"
        ? "it asks nobody for a token"
        : scopes.length === 0
        ? "it wants a token"
        : `without a token: ${scopes.join(", ")}`;
      return `${printable(agent)}; ${login}`;
    });
    if (!connection) return undefined;
    const { hello } = connection;
    await this.#phase("ping", async () => {
      const { problem, shortcomings } = await connection!.ping();
      if (problem !== undefined) throw new FerryError("io", `it cannot serve: ${problem}`);
      return ["it can serve", ...shortcomings.map(printable)].join("; ");
    });
    connection.close();
    return hello;
  }

  async #resolve(): Promise<string> {
    const { hostname } = this.#examined.address;
    const { lookup } = await import("node:dns/promises");
    const found = await lookup(hostname, { all: true });
    if (found[0]?.address === hostname) return "it is an address";
    return `${hostname} is ${found.map(({ address }) => address).join(", ")}`;
  }

  async #secure(conn: Deno.TcpConn, tls: TlsClient): Promise<[Deno.TlsConn, string]> {
    const { address, connectTimeout } = this.#examined;
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(connectTimeout)]);
    try {
      const pinned = await tls.prepare(address, signal);
      const secured = await tls.secure(conn, address, { pinned, signal });
      const { der, validTo } = await certificateOf(address, signal);
      return [secured, `${await pinOf(der)}, valid until ${validTo}`];
    } catch (error) {
      closeQuietly(conn);
      if (!signal.aborted || this.#signal.aborted) throw error;
      throw new FerryError("timeout", `no answer for ${connectTimeout / 1000} s`);
    }
  }

  /** Does the handshake without a token. */
  async #greet(
    stream: Deno.TcpConn | Deno.TlsConn,
    tls: TlsClient | undefined,
  ): Promise<Connection> {
    const { address, connectTimeout, timeout } = this.#examined;
    using probe = new SilentServerProbe(address, { timeout: connectTimeout, tls });
    try {
      return await Connection.over(stream, {
        deadline: performance.now() + connectTimeout,
        timeout,
        mayBeNobody: true,
        signal: AbortSignal.any([this.#signal, probe.foreign]),
      });
    } catch (error) {
      throw probe.foreign.aborted ? probe.foreign.reason : error;
    }
  }

  /** Logs in, and does what the client may do. */
  async #use(hello: HelloReply, { token }: Shown): Promise<void> {
    let client: Client | undefined;
    const logsIn = token !== undefined || hello.auth !== "none" && hello.scopes.length === 0;
    const login = async () => {
      client = await this.#context.connected();
      const { auth, scopes } = client.hello;
      return auth === "none" ? "" : `may ${scopes.join(", ")}`;
    };
    if (logsIn) await this.#phase("login", login);
    else {
      this.#leaveOut("login", "no token was given, and none is needed");
      client = await this.#context.connected();
    }
    if (client) await this.#transfer(client);
  }

  async #transfer(client: Client): Promise<void> {
    const directory = this.#examined.dir.replace(/^\.?\/*|\/+$/g, "");
    const { signal } = this.#context;
    const { auth, scopes } = client.hello;
    const may = (scope: string) => auth === "none" || scopes.includes(scope);
    if (!may("read")) this.#leaveOut("list", "the token may not read");
    else {
      const listed = await this.#phase("list", async () => {
        for await (const { filename } of client.list(directory, { signal })) {
          return `${printable(filename)} is the first entry`;
        }
        return "there is nothing in it";
      });
      // A put would make a directory that is missing, and leave it.
      if (!listed) return this.#leaveOut("put", "the directory could not be listed");
    }
    const name = `ferry-doctor-${crypto.randomUUID()}`;
    const filename = directory === "" ? name : `${directory}/${name}`;
    const why = may("write") ? await this.#whyKept(client, filename) : "the token may not write";
    if (why !== undefined) return this.#leaveOut("put", why);
    const bytes = crypto.getRandomValues(new Uint8Array(FILE_BYTES));
    const before = Date.now();
    const stored = await this.#phase("put", async () => {
      await client.put(bytes, { as: filename, signal });
      return `${FILE_BYTES} bytes as ${printable(filename)}`;
    });
    if (!stored) return;
    const after = Date.now();
    if (may("read")) {
      await this.#phase("clock", () => this.#compareClocks(client, filename, { before, after }));
      await this.#phase("get", async () => {
        const received = await client.get(filename, { signal }).bytes();
        if (equals(received, bytes)) return `${received.length} bytes, the same`;
        throw new FerryError("checksum_mismatch", "what came back is not what was put");
      });
    } else this.#leaveOut("get", "the token may not read");
    await this.#phase("remove", async () => {
      await client.remove(filename, { signal });
      return "";
    });
  }

  /** Why a file could not be removed after it was put; undefined if it could. */
  async #whyKept(client: Client, filename: string): Promise<string | undefined> {
    try {
      await client.remove(filename, { signal: this.#signal });
      return undefined;
    } catch (error) {
      const { code, reason } = toFerryError(error);
      if (code === "not_found") return undefined;
      return `it could not be removed again: ${reason}`;
    }
  }

  /** The time that the server gave a file which it stored between two moments of this machine's clock. */
  async #compareClocks(
    client: Client,
    filename: string,
    { before, after }: { before: number; after: number },
  ): Promise<string> {
    const { mtime } = await client.stat(filename, { signal: this.#signal });
    const difference = mtime < before ? mtime - before : mtime > after ? mtime - after : 0;
    const seconds = (Math.abs(difference) / 1000).toFixed(1);
    const relation = difference < 0 ? "behind" : "ahead of";
    const detail = difference === 0
      ? "the clocks agree"
      : `the server's clock is ${seconds} s ${relation} this one`;
    if (Math.abs(difference) <= CLOCK_TOLERANCE_MS) return detail;
    throw new FerryError("io", detail);
  }

  /** Asks the echo over UDP, first with small datagrams, then with large ones. */
  async #echo(): Promise<void> {
    const { echo } = this.#examined;
    if (!echo) return this.#leaveOut("udp", "no --udp HOST:PORT names an echo");
    const answered = await this.#phase("udp", async () => {
      let slowest = 0;
      let lost: FerryError | undefined;
      let received = 0;
      for (let turn = 0; turn < ECHOES; turn++) {
        try {
          slowest = Math.max(slowest, await this.#askEcho(echo, ECHO_BYTES));
          received++;
        } catch (error) {
          this.#signal.throwIfAborted();
          lost = toFerryError(error);
          if (received === 0 && turn > 0) break;
        }
      }
      if (received === 0) throw lost!;
      return `${received} of ${ECHOES} came back, the slowest after ${slowest.toFixed(1)} ms`;
    });
    if (answered) await this.#phase("mtu", () => this.#largest(echo));
  }

  async #largest(echo: Address): Promise<string> {
    const { lookup } = await import("node:dns/promises");
    const { family } = await lookup(echo.hostname);
    const header = family === 6 ? HEADER_BYTES.ipv6 : HEADER_BYTES.ipv4;
    for (const packet of PACKET_BYTES) {
      const rtt = await this.#askEcho(echo, packet - header).catch((error) => {
        if (toFerryError(error).code !== "timeout") throw error;
      });
      if (rtt === undefined) continue;
      const detail = `packets of ${packet} bytes pass`;
      if (packet === PACKET_BYTES[0]) return detail;
      throw new FerryError("timeout", `${detail}, and those of ${PACKET_BYTES[0]} bytes do not`);
    }
    throw new FerryError("timeout", `packets of ${PACKET_BYTES.at(-1)} bytes do not pass`);
  }

  /** Sends a datagram of that size. Returns the milliseconds until the echo. */
  async #askEcho(address: Address, size: number): Promise<number> {
    const { timeout, connectTimeout } = this.#examined;
    const destination = { protocol: "udp", address, connectTimeout, signal: this.#signal } as const;
    using exchange = openExchange(destination, Math.min(timeout, ECHO_TIMEOUT_MS));
    const sent = crypto.getRandomValues(new Uint8Array(size));
    const { bytes, rtt } = await exchange.ask(sent);
    if (mismatch(sent, bytes) === undefined) return rtt;
    throw new FerryError("checksum_mismatch", "what came back is no echo");
  }

  get #signal(): AbortSignal {
    return this.#context.signal;
  }

  /** Runs a phase, and prints how it ended. Returns whether it succeeded. */
  async #phase(phase: Phase, run: () => Promise<string>): Promise<boolean> {
    const { output, signal } = this.#context;
    const started = performance.now();
    try {
      const detail = await run();
      this.#print(phase, "ok", { ms: performance.now() - started, detail });
      return true;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const ms = performance.now() - started;
      const failure = toFerryError(error);
      const { code, reason: detail } = failure;
      const advice = adviceFor(phase, failure, this.#examined);
      this.#failed.push(phase);
      this.#status ||= failure.exitStatus;
      this.#print(phase, "failed", { ms, detail, code, advice });
      if (output.quiet || output.json) output.error("doctor", failure.during(`pass ${phase}`));
      return false;
    }
  }

  #leaveOut(phase: Phase, reason: string): void {
    this.#print(phase, "left_out", { detail: reason });
  }

  #print(
    phase: Phase,
    state: "ok" | "failed" | "left_out",
    { ms, detail, code, advice }: { ms?: number; detail: string; code?: string; advice?: string },
  ): void {
    const { output } = this.#context;
    const shown = { ok: "ok", failed: "FAILED", left_out: "left out" }[state];
    const time = ms === undefined ? "" : `${ms.toFixed(1)} ms`;
    const line = `${phase.padEnd(8)}${shown.padEnd(9)}${time.padStart(10)}  ${detail}`.trimEnd();
    output.say(advice === undefined ? line : `${line}\n${" ".repeat(29)}${advice}`, {
      event: "phase",
      op: "doctor",
      phase,
      state,
      ms: ms === undefined ? null : roundMilliseconds(ms),
      detail,
      ...(code === undefined ? {} : { code, advice }),
    });
  }
}
