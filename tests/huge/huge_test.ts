/**
 * A file of more than 2^32 bytes there and back. `deno task huge` moves all of it, twice; without that it goes
 * on behind a partial upload, and a partial download, that are almost as long.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { statfsSync } from "node:fs";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import { writeRecord } from "../../lib/files/partial_file.ts";
import { type Direction, FaultyPeer } from "../support/faulty_peer.ts";
import { Mount, whyLeftOut } from "../support/mount.ts";
import { Pair } from "../support/pair.ts";
import { ferry, Ferryd, filesBelow } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

/** More than 2^32 bytes, and no multiple of anything: zeros, and at the end "end". */
const SIZE = 2 ** 32 + 12345;

/** What md5sum says of them. */
const MD5 = "ce6b87cf77d29f6289d575cd8e534b79";

/** How many of them need not be moved. */
const HELD = Deno.env.get("FERRY_HUGE") === "all" ? 0 : 2 ** 32 - 4 * MIB;

/** The words A, B, C and D of md5 behind 2^32 bytes less 4 MiB, all zeros. */
const STATE = "4ae0865146f0b733bc795e9699823306";

/** Room for both copies, of which no more is on a disk than was moved, and for whoever else is at work. */
const NEEDED = 2 * (SIZE - HELD) + 2 ** 30;

function freeBytes(): number {
  const probe = Deno.makeTempDirSync();
  const { bavail, bsize } = statfsSync(probe);
  Deno.removeSync(probe);
  return bavail * bsize;
}

/** What a record says of them. */
async function heldPrefix(): Promise<SavedPrefix> {
  const digest = await PrefixDigest.create({ algorithm: "xxh128", proof: true });
  const zeros = new Uint8Array(4 * MIB);
  while (digest.size < HELD) digest.update(zeros);
  return { ...digest.save()!, md5: STATE };
}

/** Makes the part in a directory longer, by zeros that are on no disk. */
function lengthen(directory: string, prefix: SavedPrefix): void {
  const part = filesBelow(directory).find((name) => name.endsWith(".part"))!;
  const path = `${directory}/${part}`;
  const record = JSON.parse(Deno.readTextFileSync(path.replace(/part$/, "json")));
  Deno.truncateSync(path, HELD);
  writeRecord(path, { ...record, prefix });
}

/** Runs ferry until the connection is lost in the middle. */
async function cut(p: Pair, direction: Direction, ...args: string[]): Promise<void> {
  const faults = [{ kind: "close", direction, at: 12 * MIB } as const];
  await using cutting = FaultyPeer.start(p.server.port, { faults });
  const options = { cwd: p.cwd, server: cutting.address };
  assertEquals((await ferry([...args, "--retries", "0"], options)).code, 6);
}

/** Runs ferry to its end, and gives its event. */
async function move(p: Pair, ...args: string[]) {
  const { code, stdout } = await p.run(...args, "--json");
  assertEquals(code, 0, stdout);
  return JSON.parse(stdout);
}

const hasRoom = freeBytes() >= NEEDED;

Deno.test({
  name: "ferry put and get move what lies in front of 2^32 bytes and behind" +
    (hasRoom ? "" : ` (ignored: ${NEEDED} bytes of room are needed)`),
  ignore: !hasRoom,
  async fn() {
    const options = ["--durability", "none"];
    // Bytes that are on no disk cost least to read where all files are in memory.
    await using memory = HELD > 0 && whyLeftOut([]) === undefined ? new Mount("size=10g") : null;
    await using p = await Pair.start(options, memory?.path);
    const source = p.write("source", "");
    Deno.truncateSync(source, SIZE - 3);
    Deno.writeTextFileSync(source, "end", { append: true });
    const put = ["put", "source", "--as", "huge"];
    const get = ["get", "huge", ...options];
    const prefix = HELD > 0 ? await heldPrefix() : undefined;
    if (prefix) {
      await cut(p, "up", ...put);
      await p.server.stop();
      lengthen(`${p.root}/.ferry/staging`, prefix);
      p.server = await Ferryd.start(p.root, options);
    }
    const sent = await move(p, ...put);
    assertEquals([sent.resumed_from, sent.bytes_sent, sent.md5], [HELD, SIZE - HELD, MD5]);
    if (prefix) {
      await cut(p, "down", ...get);
      lengthen(p.cwd, prefix);
    }
    const received = await move(p, ...get);
    assertEquals([received.resumed_from, received.total_size, received.md5], [HELD, SIZE, MD5]);
    for (const path of [`${p.root}/huge`, `${p.cwd}/huge`]) {
      if (!prefix) {
        const { stdout } = await new Deno.Command("md5sum", { args: [path] }).output();
        assertEquals(new TextDecoder().decode(stdout), `${MD5}  ${path}\n`);
      }
      using file = Deno.openSync(path);
      file.seekSync(SIZE - 5, Deno.SeekMode.Start);
      const end = new Uint8Array(10);
      assertEquals([file.readSync(end), new TextDecoder().decode(end)], [5, "\0\0end\0\0\0\0\0"]);
    }
  },
});
