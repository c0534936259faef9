import { assert, assertEquals } from "@std/assert";
import { Client } from "../../../client/api/client.ts";
import { Connection } from "../../../client/net/connection.ts";
import { DELTA } from "../../../client/net/signatures.ts";
import type { Transferred } from "../../../client/transfer/options.ts";
import { parseServerAddress } from "../../../lib/core/address.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { coarseBlock } from "../../../lib/delta/block_sizes.ts";
import { assertCode } from "../../support/assertions.ts";
import { KIB, md5, MIB } from "../../support/bytes.ts";
import { strongHashes } from "../../support/delta_frames.ts";
import { namesIn } from "../../support/directories.ts";
import { type Fault, FaultyPeer } from "../../support/faulty_peer.ts";
import { InProcess, withFiles } from "../../support/in_process.ts";
import { randomBytes } from "../../support/random_file.ts";
import { token, TokenServer } from "../../support/token_server.ts";

const OPS = ["put", "get"] as const;
type Op = typeof OPS[number];

/** Replaces an older version of a file by a newer one. */
interface Replacement {
  op: Op;
  before: Uint8Array;
  after: Uint8Array;
}

/** Options that replace what is there. */
const REPLACE = { overwrite: "always", durability: "none" } as const;

/** The paths of both versions: where the newer one is, and where it is to be. */
function pathsOf(p: InProcess, op: Op): { source: string; target: string } {
  const [here, there] = [p.dir.join("f"), p.served("f")];
  return op === "put" ? { source: here, target: there } : { source: there, target: here };
}

function write(p: InProcess, { op, before, after }: Replacement): void {
  const { source, target } = pathsOf(p, op);
  Deno.writeFileSync(source, after);
  Deno.writeFileSync(target, before);
}

async function transfer(
  p: InProcess,
  op: Op,
  options: { client?: Client; delta?: boolean; basis?: string; algorithm?: "xxh128" } = {},
): Promise<Transferred> {
  const { client = p.client, ...more } = options;
  return op === "put"
    ? await client.put(p.dir.join("f"), { as: "f", ...REPLACE, ...more })
    : await client.get("f", { out: p.dir.join("f"), ...REPLACE, ...more });
}

/** Replaces a file, and asserts that the result is right. */
async function replace(
  p: InProcess,
  replacement: Replacement,
  options: Parameters<typeof transfer>[2] = {},
): Promise<Transferred> {
  const { op, after } = replacement;
  write(p, replacement);
  const result = await transfer(p, op, options);
  const { target } = pathsOf(p, op);
  assertEquals(md5(Deno.readFileSync(target)), md5(after));
  if (!options.algorithm) assertEquals(result.checksum, md5(after));
  assertEquals(result.transferred + (result.reused ?? 0), after.length);
  assertEquals(p.staged(), []);
  return result;
}

/** Bytes with others at some places. */
function changedAt(bytes: Uint8Array, size: number, ...places: number[]): Uint8Array {
  const changed = bytes.slice();
  places.forEach((at, place) => changed.set(randomBytes(size, 100 + place), at));
  return changed;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const OLD = randomBytes(3 * MIB + 77, 21);
const BIG = randomBytes(12 * MIB + 5, 22);

Deno.test("put and get move only what has changed, whatever has", async () => {
  const some = randomBytes(1000, 23);
  const changes: [what: string, before: Uint8Array, after: Uint8Array, most: number][] = [
    ["places", OLD, changedAt(OLD, 100, 0, MIB, 2 * MIB + 77, 3 * MIB - 40), 20 * KIB],
    ["places of a larger file", BIG, changedAt(BIG, 4 * KIB, 5 * MIB, 9 * MIB + 7), 60 * KIB],
    ["an insertion", OLD, joined(some, OLD), 20 * KIB],
    ["an insertion in the middle", BIG, joined(BIG.slice(0, MIB), some, BIG.slice(MIB)), 60 * KIB],
    ["a deletion", OLD, joined(OLD.slice(0, MIB), OLD.slice(MIB + 300)), 20 * KIB],
    ["more at the end", OLD, joined(OLD, some), 20 * KIB],
    ["less at the end", OLD, OLD.slice(0, 2 * MIB + 1), 20 * KIB],
    ["other order", OLD, joined(OLD.slice(2 * MIB), OLD.slice(0, 2 * MIB)), 20 * KIB],
    ["nothing", OLD, OLD, 0],
  ];
  await using p = await InProcess.start();
  for (const op of OPS) {
    for (const [what, before, after, most] of changes) {
      const { transferred } = await replace(p, { op, before, after });
      assert(transferred <= most, `${op}, ${what}: ${transferred} bytes crossed`);
    }
  }
});

Deno.test("put and get move the whole file where nothing is to be reused", async () => {
  await using p = await InProcess.start();
  const other = randomBytes(3 * MIB, 24);
  const after = changedAt(OLD, 100, MIB);
  for (const op of OPS) {
    for (const before of [other, new Uint8Array(), new Uint8Array(1)]) {
      const { reused } = await replace(p, { op, before, after });
      assertEquals(reused, undefined, `${op} onto ${before.length} bytes`);
    }
    const plain = await replace(p, { op, before: OLD, after }, { delta: false });
    assertEquals([plain.transferred, plain.reused], [after.length, undefined]);
    // A small file is not worth the requests.
    const small = OLD.slice(0, MIB);
    assertEquals((await replace(p, { op, before: small, after: small })).reused, undefined);
  }
});

Deno.test("a delta is verified by each checksum, and md5 of a large file is computed meanwhile", async () => {
  await using p = await InProcess.start();
  const before = randomBytes(33 * MIB, 25);
  const after = changedAt(before, 50, 7 * MIB, 31 * MIB);
  for (const op of OPS) {
    for (const options of [{}, { algorithm: "xxh128" } as const]) {
      const { transferred } = await replace(p, { op, before, after }, options);
      assert(transferred < 100 * KIB, `${op}: ${transferred}`);
    }
  }
});

Deno.test("the server makes a large file while it is searched, if the client gets another connection", async () => {
  await using p = await InProcess.start();
  const piece = randomBytes(MIB, 26);
  const before = new Uint8Array(130 * MIB + 9);
  for (let at = 0, i = 0; at < before.length; at += MIB, i++) {
    piece.set([i], 5);
    before.set(piece.subarray(0, before.length - at), at);
  }
  const places = changedAt(before, 50, 7 * MIB, 31 * MIB, 90 * MIB, 129 * MIB);
  const inserted = joined(
    places.subarray(0, 70 * MIB),
    piece.subarray(0, 99),
    places.subarray(70 * MIB),
  );
  let [others, conversing] = [0, 0];
  await using client = await clientWith(p, (connection) => {
    const { another } = connection;
    connection.another = async () => {
      others++;
      const side = await another!();
      // Whoever asks nothing for long has to give signs of life, or the server hangs up.
      const { channel } = side;
      const { converse } = channel;
      channel.converse = ((run) => (conversing++, converse.call(channel, run))) as typeof converse;
      return side;
    };
  });
  await using alone = await clientWith(p, (connection) => {
    connection.another = () => Promise.reject(new FerryError("busy", "there are too many"));
  });
  for (
    const [after, options] of [
      [places, { client }],
      [inserted, { client, algorithm: "xxh128" }],
      [places, { client: alone, algorithm: "xxh128" }],
    ] as const
  ) {
    const { transferred } = await replace(p, { op: "put", before, after }, options);
    assert(transferred < 100 * KIB, `${transferred}`);
  }
  assertEquals([others, conversing], [2, 2]);
});

/** A client whose connections are changed before they are used. */
async function clientWith(p: InProcess, change: (connection: Connection) => void): Promise<Client> {
  const address = parseServerAddress(p.address);
  const dial = async (signal?: AbortSignal) => {
    const options = { connectTimeout: 10_000, timeout: 60_000, signal };
    const connection = await Connection.open(address, options);
    change(connection);
    return connection;
  };
  return new Client(await dial(), { dial, retries: 0 });
}

Deno.test("a server without deltas gets and sends whole files, but takes no basis", async () => {
  await using p = await InProcess.start();
  await using client = await clientWith(p, ({ hello: { features } }) => {
    features.splice(features.indexOf(DELTA), 1);
  });
  for (const op of OPS) {
    const { reused } = await replace(p, { op, before: OLD, after: changedAt(OLD, 9, 9) }, {
      client,
    });
    assertEquals(reused, undefined);
    const basis = op === "put" ? "f" : p.dir.join("f");
    await assertCode("bad_version", () => transfer(p, op, { client, basis }), "does not offer");
  }
});

Deno.test("put and get build upon another file that is named, also for a small one", async () => {
  await using p = await InProcess.start();
  for (const bytes of [OLD, OLD.slice(0, 100 * KIB)]) {
    const after = changedAt(bytes, 64, bytes.length >> 1);
    Deno.writeFileSync(p.served("basis"), bytes);
    Deno.writeFileSync(p.dir.join("basis"), bytes);
    for (const op of OPS) {
      const { source, target } = pathsOf(p, op);
      Deno.writeFileSync(source, after);
      if (namesIn(p.dir.path).includes("f") && op === "get") Deno.removeSync(target);
      const basis = op === "put" ? "basis" : p.dir.join("basis");
      const { reused = 0 } = await transfer(p, op, { basis });
      assert(reused > bytes.length - 4 * KIB, `${op}: ${reused} of ${bytes.length}`);
      assertEquals(md5(Deno.readFileSync(target)), md5(after));
      for (const name of ["f"]) Deno.removeSync(p.served(name));
    }
  }
});

Deno.test("a basis that is of no use is an error, also in a dry run", async () => {
  await using p = await InProcess.start();
  Deno.writeFileSync(p.dir.join("f"), OLD);
  Deno.writeFileSync(p.served("f"), changedAt(OLD, 9, 9));
  Deno.mkdirSync(p.served("d"));
  const [as, out] = ["new", p.dir.join("new")];
  for (const dryRun of [false, true]) {
    const put = (basis: string) => p.client.put(p.dir.join("f"), { as, basis, dryRun });
    const get = (basis: string) => p.client.get("f", { out, basis, dryRun });
    await assertCode("not_found", () => put("missing"), 'the basis "missing" cannot be used');
    await assertCode("not_a_file", () => put("d"), 'the basis "d" cannot be used');
    await assertCode("not_found", () => get("missing"), 'the basis "missing" cannot be used');
    await assertCode("not_a_file", () => get(p.served("d")));
  }
  assertEquals(namesIn(p.served("")), [".ferry", "d", "f"]);
  const stream = () => new Blob([OLD]).stream();
  await assertCode("usage", () => p.client.put(stream(), { as, basis: "f" }));
  await assertCode("usage", () => p.client.put(OLD, { as, basis: "f", delta: false }));
  await assertCode("usage", () => p.client.get("f", { out: new WritableStream(), basis: "f" }));
});

Deno.test("where the older version vanishes, changes or shrinks meanwhile, the whole file crosses", async () => {
  const disturb: ((path: string) => void)[] = [
    (path) => Deno.removeSync(path),
    (path) => Deno.writeFileSync(path, randomBytes(2 * MIB, 26)),
    (path) => Deno.truncateSync(path, 1000),
  ];
  const after = changedAt(OLD, 100, MIB);
  await using p = await InProcess.start();
  // The older version is disturbed before this request: the local one also while it is searched.
  for (const [op, before] of [["put", "put"], ["get", "signature"], ["get", "get"]] as const) {
    for (const [index, change] of disturb.entries()) {
      let pending = true;
      await using client = await clientWith(p, ({ channel }) => {
        const { target } = pathsOf(p, op);
        const spoil = () => {
          if (pending) change(target);
          pending = false;
        };
        const { send, fetch } = channel;
        if (op === "put") {
          channel.send = ((...args: Parameters<typeof send>) => {
            spoil();
            return send.apply(channel, args);
          }) as typeof send;
        } else {
          channel.fetch = ((...args: Parameters<typeof fetch>) => {
            if (args[0].op === before) spoil();
            return fetch.apply(channel, args);
          }) as typeof fetch;
        }
      });
      const { reused } = await replace(p, { op, before: OLD, after }, { client });
      assertEquals(pending, false);
      // A local file that is open stays what it was when its name is taken away.
      if (op === "put" || index > 0) assertEquals(reused, undefined, `${before}, ${index}`);
    }
  }
});

Deno.test("where a block is taken for another one, the whole file crosses, and is right", async () => {
  const before = OLD;
  const after = changedAt(OLD, 100, MIB, 2 * MIB);
  const block = coarseBlock(OLD.length);
  const changed = Math.floor(MIB / block);
  for (const op of OPS) {
    const [there, here] = op === "put" ? [before, after] : [after, before];
    // The server's hash of one block that differs is that of the client's block.
    const hashes = await strongHashes(there, block, 8);
    const others = await strongHashes(here, block, 8);
    hashes.set(others.subarray(changed * 8, (changed + 1) * 8), changed * 8);
    let given = 0;
    const findHashes = () => {
      given++;
      return Promise.resolve({ block, hashes });
    };
    await using p = await InProcess.start(withFiles(() => ({ findHashes })));
    const done = await replace(p, { op, before, after });
    assert(given > 0, `${op}: no delta was tried`);
    assertEquals([done.reused, done.transferred], [undefined, after.length], op);
  }
});

Deno.test("a token that may not read sends whole files", async () => {
  const { token: text, record } = await token("write", "inbox");
  await using server = await TokenServer.start([record]);
  await using client = await server.connect({ token: text });
  for (const bytes of [OLD, changedAt(OLD, 9, 9)]) {
    const options = { as: "inbox/f", overwrite: "always" } as const;
    const { checksum, reused } = await client.put(bytes, options);
    assertEquals([checksum, reused], [md5(bytes), undefined]);
  }
  const options = { as: "inbox/g", basis: "inbox/f" };
  await assertCode("denied", () => client.put(OLD, options), 'the basis "inbox/f"');
});

Deno.test("a delta that is cut goes on there, and again moves only what has changed", async () => {
  // So much has changed that there is something to cut.
  const before = randomBytes(30 * MIB, 27);
  const after = joined(randomBytes(14 * MIB, 28), before.slice(14 * MIB));
  after.set(randomBytes(4 * MIB, 29), 20 * MIB);
  await using p = await InProcess.start();
  for (const op of OPS) {
    write(p, { op, before, after });
    const direction = op === "put" ? "up" : "down";
    const fault: Fault = { kind: "close", direction, at: 13 * MIB };
    {
      await using peer = FaultyPeer.start(p.server.addresses[0]!.port, { faults: [fault] });
      const address = parseServerAddress(peer.address);
      const dial = (signal?: AbortSignal) =>
        Connection.open(address, { connectTimeout: 10_000, timeout: 60_000, signal });
      await using client = new Client(await dial(), { dial, retries: 0 });
      await assertCode("closed", () => transfer(p, op, { client }));
    }
    await p.uploadsEnded();
    const { target } = pathsOf(p, op);
    assertEquals(md5(Deno.readFileSync(target)), md5(before));
    const { resumedFrom, transferred, reused = 0 } = await transfer(p, op);
    assertEquals(md5(Deno.readFileSync(target)), md5(after));
    assert(resumedFrom >= 4 * MIB, `${op}: from ${resumedFrom}`);
    assert(reused > 10 * MIB, `${op}: ${reused} reused`);
    assertEquals(resumedFrom + transferred + reused, after.length, op);
    assertEquals(p.staged(), []);
  }
});

Deno.test("a delta download builds upon no part that is of another file", async () => {
  const before = randomBytes(30 * MIB, 27);
  const after = joined(randomBytes(14 * MIB, 28), before.slice(14 * MIB));
  await using p = await InProcess.start();
  write(p, { op: "get", before, after });
  const fault: Fault = { kind: "close", direction: "down", at: 10 * MIB };
  {
    await using peer = FaultyPeer.start(p.server.addresses[0]!.port, { faults: [fault] });
    const address = parseServerAddress(peer.address);
    const dial = (signal?: AbortSignal) =>
      Connection.open(address, { connectTimeout: 10_000, timeout: 60_000, signal });
    await using client = new Client(await dial(), { dial, retries: 0 });
    await assertCode("closed", () => transfer(p, "get", { client }));
  }
  const newer = changedAt(after, 100, 3 * MIB);
  Deno.writeFileSync(p.served("f"), newer);
  const { resumedFrom, checksum, reused = 0 } = await transfer(p, "get");
  assertEquals([resumedFrom, checksum], [0, md5(newer)]);
  assert(reused > 15 * MIB, `${reused} reused`);
});

Deno.test("progress counts what need not cross, and ends with the whole file", async () => {
  await using p = await InProcess.start();
  const after = changedAt(BIG, 4 * KIB, MIB, 5 * MIB);
  for (const op of OPS) {
    write(p, { op, before: BIG, after });
    const seen: number[] = [];
    const onProgress = ({ bytes, total }: { bytes: number; total: number | null }) => {
      assertEquals(total, after.length);
      seen.push(bytes);
    };
    if (op === "put") await p.client.put(p.dir.join("f"), { as: "f", ...REPLACE, onProgress });
    else await p.client.get("f", { out: p.dir.join("f"), ...REPLACE, onProgress });
    assertEquals(seen, seen.toSorted((a, b) => a - b), op);
    assertEquals(seen.at(-1), after.length);
  }
});

Deno.test("directories move only what has changed of their large files", async () => {
  await using p = await InProcess.start();
  const [before, after] = [OLD, changedAt(OLD, 100, MIB)];
  for (const op of OPS) {
    const [here, there] = [p.dir.join("t"), p.served("t")];
    for (const path of [here, there]) Deno.mkdirSync(path, { recursive: true });
    const [source, target] = op === "put" ? [here, there] : [there, here];
    Deno.writeFileSync(`${source}/large`, after);
    Deno.writeFileSync(`${target}/large`, before);
    const results: Transferred[] = [];
    const onFile = (result: Transferred) => void results.push(result);
    if (op === "put") await p.client.putTree(here, { ...REPLACE, onFile });
    else await p.client.getTree("t", { out: here, ...REPLACE, onFile });
    assertEquals(md5(Deno.readFileSync(`${target}/large`)), md5(after));
    assert((results[0]?.reused ?? 0) > 3 * MIB - 20 * KIB, op);
  }
});
