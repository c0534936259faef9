/**
 * Makes each call that a server makes to its connections, its storage and its commands fail in turn. `deno task faults`
 * tries every call, FERRY_FAULTS=N every N-th, and a run of all tests some of them.
 */

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { existsSync } from "node:fs";
import { ALL_BUFFERS } from "../../lib/core/buffer_budget.ts";
import { createRuntime } from "../../lib/runtime/runtime.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import { FerryError, FsStorage, newToken, parseGrants, serve, tokenTable } from "../../mod.ts";
import type { Server } from "../../mod.ts";
import {
  Faults,
  faultyCommands,
  faultyListeners,
  faultyStorage,
  InjectedFault,
} from "./injection.ts";
import { connector, type Scenario, SCENARIOS, type Scene } from "./scenarios.ts";
import { extentOf } from "../support/extent.ts";
import { TempDir, unrecorded } from "../support/programs.ts";
import { RecordedLog } from "../support/recorded_log.ts";

/** Only every so many calls are made to fail, where that is set. */
const EXTENT = extentOf("FERRY_FAULTS");

/** The same where it is not set: for most transfers, and for large ones. */
const STRIDES = { most: 3, large: 17 };

/** The kinds of failures: an unexpected error, and with more time also an error of the operating system. */
const KINDS: readonly (() => Error)[] = [
  () => new InjectedFault("injected"),
  ...(EXTENT ? [() => systemError("EMFILE"), () => systemError("ECONNRESET")] : []),
];

function systemError(code: string): Error {
  return Object.assign(new Error(`${code} (os error)`), { code });
}

/** How long a client waits for a reply or an end, in milliseconds: what takes longer counts as stuck. */
const STUCK_MS = 120_000;

const { token, record } = await newToken({
  name: "somebody",
  grants: parseGrants(["read,write"], []),
  expires: null,
});

/** A server in this process whose calls fail on demand. */
class Fixture implements AsyncDisposable {
  readonly faults = new Faults();
  readonly #runtime = createRuntime();
  readonly #dir = new TempDir();
  readonly #storage = FsStorage.open(this.#dir.path, {
    durability: "none",
    links: true,
    runtime: this.#runtime,
  });
  readonly #commands = faultyCommands(this.faults);
  readonly #uncaught: unknown[] = [];
  readonly #onUncaught = (event: Event) => {
    event.preventDefault();
    this.#uncaught.push((event as PromiseRejectionEvent).reason ?? (event as ErrorEvent).error);
  };
  #server!: Server;
  scene!: Scene;

  static async start(): Promise<Fixture> {
    const fixture = new Fixture();
    for (const type of UNCAUGHT) addEventListener(type, fixture.#onUncaught);
    using _listeners = faultyListeners(fixture.faults);
    const listen = "127.0.0.1:0";
    const server = await serve({
      storage: faultyStorage(fixture.#storage, fixture.faults),
      listen,
      anonymous: ["read", "write", "delete", "exec", "echo"],
      tokens: tokenTable([record]),
      exec: { cwd: fixture.#dir.path, allow: ["cat"], shell: true },
      classicExec: listen,
      tcpEcho: listen,
      udpEcho: listen,
      http: listen,
      runtime: fixture.#runtime,
    });
    const address = (kind: string) => {
      const { hostname, port } = server.addresses.find((one) => one.kind === kind)!;
      return `${hostname}:${port}`;
    };
    fixture.#server = server;
    fixture.scene = { connect: connector(address("tcp")), address, token };
    return fixture;
  }

  /** Runs a scenario; returns its failure. */
  async run({ run }: Scenario): Promise<Error | undefined> {
    const stuck = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => stuck.reject(new FerryError("timeout", "it is stuck")),
      STUCK_MS,
    );
    try {
      await Promise.race([run(this.scene), stuck.promise]);
      return undefined;
    } catch (error) {
      return error as Error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asserts that nothing was left behind: no memory, no open file, no partial file. */
  async assertClean({ files }: Scenario): Promise<void> {
    const left = async () => ({
      memory: ALL_BUFFERS - this.#runtime.buffers.left,
      staged: unrecorded(`${this.#dir.path}/.ferry/staging`),
      active: (await this.#storage.partialUploads.list()).filter(({ entry }) => entry.active),
    });
    const deadline = Date.now() + STUCK_MS;
    const nothing = { memory: 0, staged: [], active: [] };
    while (JSON.stringify(await left()) !== JSON.stringify(nothing) && Date.now() < deadline) {
      await delay(1);
    }
    assertEquals(await left(), nothing);
    for (const [name, bytes] of Object.entries(files)) {
      const path = `${this.#dir.path}/${name}`;
      if (existsSync(path)) assertEquals(Deno.readFileSync(path).length, bytes.length, name);
    }
    // Unhandled rejections are reported in the next turn of the event loop.
    await delay(0);
    assertEquals(this.#uncaught, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.faults.arm(0);
    await this.#server.close({ drainTimeout: 0 });
    for (const type of UNCAUGHT) removeEventListener(type, this.#onUncaught);
    this.#commands[Symbol.dispose]();
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

const UNCAUGHT = ["unhandledrejection", "error"];

/** Whether a client has to expect this failure. */
function isExpected(error: Error | undefined): boolean {
  if (error === undefined) return true;
  const { code } = toFerryError(error);
  // A client may get an internal error from the server, but not one of its own or of the test.
  return code !== "timeout" && (code !== "internal" || error instanceof FerryError);
}

for (const scenario of SCENARIOS) {
  Deno.test({
    name: `a call that fails ends one request, or one connection: ${scenario.name}`,
    // On Windows, ferryd runs no commands.
    ignore: Deno.build.os === "windows",
    fn: async () => {
      await using log = await RecordedLog.start();
      await using f = await Fixture.start();
      assertEquals(await f.run(scenario), undefined);
      await f.assertClean(scenario);
      for (const [turn, make] of KINDS.entries()) {
        const stride = EXTENT ?? (scenario.large ? STRIDES.large : STRIDES.most);
        for (let at = 1 + turn % stride;; at += stride) {
          log.records.splice(0);
          f.faults.arm(at, make);
          const failure = await f.run(scenario);
          const { struck, count } = f.faults;
          const what = `call ${at} of ${count}, ${struck}: ${failure}\n${log.lines.join("\n")}`;
          f.faults.arm(0);
          assert(isExpected(failure), what);
          try {
            await f.assertClean(scenario);
            // Another client can run the same scenario at once.
            const again = await f.run(scenario);
            if (again) throw again;
          } catch (error) {
            throw new Error(`after ${what}`, { cause: error });
          }
          if (struck === undefined) {
            assertEquals(failure, undefined);
            break;
          }
        }
      }
    },
  });
}
