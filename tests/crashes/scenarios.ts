/**
 * The operations that are interrupted by kills, and the servers that are killed.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { type Client, connect } from "../../mod.ts";
import { MIB } from "../support/bytes.ts";
import { Ferryd, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";
import type { Tree } from "./tracer.ts";

/** An operation that is interrupted by a kill. */
export interface Scenario {
  /** The files before the operation. */
  before: Tree;
  /** The content that each file may have after a kill, and after the operation is repeated. */
  names: Record<string, readonly (Uint8Array | undefined)[]>;
  /** Names of which exactly one exists at any moment. */
  oneOf?: readonly string[];
  /** The states of all files together, if each file alone does not show whether they are whole. */
  oneState?: readonly Tree[];
  /** Prepares the operation. */
  prepare?(lane: Lane): Promise<void>;
  /** The operation. */
  act(client: Client, lane: Lane): Promise<unknown>;
  /** The files at the end, after the operation was repeated. */
  after: Tree;
  /** The codes with which the repeated operation may fail, since the first one took effect. */
  done?: readonly string[];
}

const SMALL = randomBytes(1000, 1);
export const OLD = randomBytes(1000, 2);
export const LARGE = randomBytes(9 * MIB + 123, 3);
const OLD_LARGE = randomBytes(9 * MIB + 123, 4);
const HUGE = randomBytes(33 * MIB, 5);
const CHANGED = LARGE.map((byte, at) => at === 5 * MIB ? byte ^ 1 : byte);

function putting(content: Uint8Array, old?: Uint8Array): Scenario {
  return {
    before: old ? { "d/f": old } : {},
    names: { "d/f": [old, content] },
    act: (client, lane) => {
      return client.put(lane.local(content), { as: "d/f", overwrite: old ? "always" : "never" });
    },
    after: { "d/f": content },
  };
}

export const SCENARIOS: Record<string, Scenario> = {
  "put of a small file": putting(SMALL),
  "put of a small file over another": putting(SMALL, OLD),
  "put of a large file": putting(LARGE),
  "put of a large file over another": putting(LARGE, OLD_LARGE),
  "put of the rest of a file": {
    ...putting(LARGE),
    async prepare(lane) {
      using peer = await RawPeer.connect(lane.server.port);
      const put = { op: "put", filename: "d/f", md5: null, total_size: LARGE.length };
      await peer.send(put, LARGE.subarray(0, 6 * MIB));
      await peer.end();
      assertEquals(await peer.code(), "closed");
    },
  },
  "put of a large file in pieces": {
    ...putting(HUGE),
    act: (client, lane) => client.put(lane.local(HUGE), { as: "d/f", streams: 3 }),
  },
  "put of what has changed in a file": putting(CHANGED, LARGE),
  "put of a directory with a file that was renamed": {
    before: { "d/f": LARGE },
    names: { "d/f": [LARGE], "e/g": [LARGE, undefined] },
    act: (client, lane) => client.putTree(lane.locals({ g: LARGE }), { as: "e" }),
    after: { "d/f": LARGE, "e/g": LARGE },
  },
  "mv of a file": {
    before: { "d/f": SMALL },
    names: { "d/f": [SMALL, undefined], "e/g": [SMALL, undefined] },
    oneOf: ["d/f", "e/g"],
    act: (client) => client.move("d/f", "e/g"),
    after: { "e/g": SMALL },
    done: ["not_found", "exists"],
  },
  "mv of a file over another": {
    before: { "d/f": SMALL, "e/g": OLD },
    names: { "d/f": [SMALL, undefined], "e/g": [OLD, SMALL] },
    act: (client) => client.move("d/f", "e/g", { overwrite: "always" }),
    after: { "e/g": SMALL },
    done: ["not_found"],
  },
  "mv of a directory": {
    before: { "d/f": SMALL, "d/d/g": OLD },
    names: {
      "d/f": [SMALL, undefined],
      "d/d/g": [OLD, undefined],
      "e/d/f": [SMALL, undefined],
      "e/d/d/g": [OLD, undefined],
    },
    oneOf: ["d/f", "e/d/f"],
    act: (client) => client.move("d", "e/d"),
    after: { "e/d/f": SMALL, "e/d/d/g": OLD },
    done: ["not_found"],
  },
  "rm of a file": {
    before: { "d/f": SMALL, "d/g": OLD },
    names: { "d/f": [SMALL, undefined], "d/g": [OLD] },
    act: (client) => client.remove("d/f"),
    after: { "d/g": OLD },
    done: ["not_found"],
  },
  "rm -r of a directory": {
    before: { "d/a": SMALL, "d/b": OLD, "d/d/c": SMALL, "e/f": OLD },
    names: {
      "d/a": [SMALL, undefined],
      "d/b": [OLD, undefined],
      "d/d/c": [SMALL, undefined],
      "e/f": [OLD],
    },
    act: (client) => client.remove("d", { recursive: true }),
    after: { "e/f": OLD },
    done: ["not_found"],
  },
  "publication of a directory": {
    before: { "e/f": OLD },
    names: { "d/a": [SMALL, undefined], "d/d/c": [LARGE, undefined], "e/f": [OLD] },
    oneState: [{ "e/f": OLD }, { "d/a": SMALL, "d/d/c": LARGE, "e/f": OLD }],
    act: (client, lane) => {
      return client.putTree(lane.locals({ a: SMALL, "d/c": LARGE }), { as: "d", atomic: true });
    },
    after: { "d/a": SMALL, "d/d/c": LARGE, "e/f": OLD },
    done: ["exists"],
  },
  "publication of a directory over another": {
    before: { "d/a": OLD, "d/b": SMALL },
    names: { "d/a": [OLD, SMALL], "d/b": [SMALL, undefined], "d/d/c": [LARGE, undefined] },
    oneState: [{ "d/a": OLD, "d/b": SMALL }, { "d/a": SMALL, "d/d/c": LARGE }],
    act: (client, lane) => {
      const local = lane.locals({ a: SMALL, "d/c": LARGE });
      return client.putTree(local, { as: "d", atomic: true, overwrite: "always" });
    },
    after: { "d/a": SMALL, "d/d/c": LARGE },
  },
};

/** A server that is killed again and again. */
export class Lane implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = this.#dir.join("root");
  server!: Ferryd;

  static async start(): Promise<Lane> {
    const lane = new Lane();
    Deno.mkdirSync(lane.root);
    await lane.restart();
    return lane;
  }

  async restart(): Promise<void> {
    this.server = await Ferryd.start(this.root);
  }

  /** A path outside of the root. */
  path(name: string): string {
    return this.#dir.join(name);
  }

  /** Writes a local file with some content, and returns its path. */
  local(content: Uint8Array): string {
    return this.#dir.write("local", content);
  }

  /** Writes a local directory with these files and no others, and returns its path. */
  locals(tree: Tree): string {
    const path = this.path("locals");
    if (isTaken(path)) Deno.removeSync(path, { recursive: true });
    write(path, tree);
    return path;
  }

  /** Replaces all files in the root. */
  fill(tree: Tree): void {
    for (const { name } of [...Deno.readDirSync(this.root)]) {
      if (name !== ".ferry") Deno.removeSync(`${this.root}/${name}`, { recursive: true });
    }
    write(this.root, tree);
  }

  connect(): Promise<Client> {
    return connect(this.server.address, { retries: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Writes files into a directory. */
function write(directory: string, tree: Tree): void {
  for (const [name, content] of Object.entries(tree)) {
    Deno.mkdirSync(`${directory}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(`${directory}/${name}`, content);
  }
}
