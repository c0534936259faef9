import { assert, assertEquals } from "@std/assert";
import {
  type Browsing,
  type Opened,
  startWithPage,
  testInChromium,
} from "../../support/chromium.ts";
import { md5Of } from "../../support/digests.ts";
import { type Fault, FaultyPeer } from "../../support/faulty_peer.ts";
import type { Pair } from "../../support/pair.ts";
import { Ferryd } from "../../support/programs.ts";
import { writeRandomFile } from "../../support/random_file.ts";

const SIZE = 16 * 1024 * 1024;

/** Where the network fails: behind what the page itself asks for, and before the end of the file. */
const FAILS_AT = 6 * 1024 * 1024;

/** A page that is opened through a network which fails once, and a file to be sent. */
class Interrupted implements AsyncDisposable {
  /** The path of the file. */
  readonly path: string;
  /** Resolves when the network has failed. */
  readonly failed = Promise.withResolvers<void>();
  /** The offsets of the parts that were sent. */
  readonly offsets: number[] = [];
  opened!: Opened;

  private constructor(readonly pair: Pair, readonly network: FaultyPeer) {
    this.path = `${pair.cwd}/large`;
  }

  /** Opens the page, and sends the file until the network fails. */
  static async start(
    browsing: Browsing,
    kind: Fault["kind"],
    { beforeOpen, onReached }: {
      beforeOpen?(opened: Opened): Promise<void>;
      onReached?(interrupted: Interrupted): Promise<void>;
    } = {},
  ): Promise<Interrupted> {
    const { pair } = await startWithPage();
    const reached = async () => {
      await onReached?.(interrupted);
      interrupted.failed.resolve();
    };
    const fault: Fault = { kind, direction: "up", at: FAILS_AT, onReached: reached };
    const network = FaultyPeer.start(pair.server.portOf("http"), { faults: [fault] });
    const interrupted = new Interrupted(pair, network);
    await writeRandomFile(interrupted.path, SIZE);
    const url = `http://${network.address}`;
    const opened = await browsing.open(url, beforeOpen ? { beforeOpen } : {});
    interrupted.opened = opened;
    opened.page.on("request", (request) => {
      const offset = request.headers()["upload-offset"];
      if (offset !== undefined) interrupted.offsets.push(Number(offset));
    });
    await opened.choose("upload-files", interrupted.path);
    await interrupted.failed.promise;
    return interrupted;
  }

  /** Waits until the file has arrived; it must be the same on both sides. */
  async arrived(): Promise<void> {
    await this.opened.waitForUpload("large", "arrived");
    assertEquals(await this.opened.counted(), { here: 1, there: 1 });
    const [here, there] = [this.path, `${this.pair.root}/large`].map((path) =>
      md5Of(Deno.readFileSync(path))
    );
    assertEquals(there, here);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    await this.pair[Symbol.asyncDispose]();
  }
}

testInChromium(
  "an upload goes on after a reload, once the file is chosen again",
  async (browsing) => {
    // The server does not learn that the page has left: another connection takes over.
    await using interrupted = await Interrupted.start(browsing, "stall");
    const { opened, path, offsets } = interrupted;
    await opened.page.reload();
    await opened.part("uploads-unfinished").waitFor();
    await opened.choose("uploads-choose", path);
    await interrupted.arrived();
    assertEquals(offsets[0], 0);
    assert(offsets[1]! > 0, "it began at the first byte again");
    assertEquals(await opened.part("uploads-unfinished").count(), 0);
  },
);

testInChromium(
  "another file of the same name, size and time is not taken for the rest",
  async (browsing) => {
    await using interrupted = await Interrupted.start(browsing, "reset");
    const { opened, path, offsets } = interrupted;
    await opened.page.reload();
    const { mtime, atime } = Deno.statSync(path);
    Deno.removeSync(path);
    await writeRandomFile(path, SIZE, { seed: 2 });
    Deno.utimeSync(path, atime!, mtime!);
    await opened.choose("uploads-choose", path);
    await interrupted.arrived();
    assertEquals(offsets.at(-1), 0);
  },
);

testInChromium(
  "an upload waits while the machine is offline, and goes on by itself",
  async (browsing) => {
    await using interrupted = await Interrupted.start(browsing, "reset", {
      onReached: ({ opened }) => opened.network({ offline: true }),
    });
    const { opened, offsets } = interrupted;
    await opened.waitForUpload("large", "paused");
    await opened.network();
    await interrupted.arrived();
    assert(offsets.at(-1)! > 0, "it began at the first byte again");
  },
);

testInChromium("an upload goes on after the machine was asleep", async (browsing) => {
  await using interrupted = await Interrupted.start(browsing, "stall", {
    beforeOpen: ({ page }) => page.clock.install(),
  });
  const { opened, offsets } = interrupted;
  await opened.page.clock.fastForward("01:00:00");
  await interrupted.arrived();
  assert(offsets.at(-1)! > 0, "it began at the first byte again");
});

testInChromium(
  "an upload goes on after the server was stopped and started again",
  async (browsing) => {
    await using interrupted = await Interrupted.start(browsing, "stall");
    const { pair, network, opened, offsets } = interrupted;
    const port = pair.server.portOf("http");
    const stopped = pair.server.stop();
    network.retarget(port);
    await stopped;
    await opened.waitForUpload("large", "paused");
    pair.server = await Ferryd.start(pair.root, ["--http", "127.0.0.1:0"]);
    network.retarget(pair.server.portOf("http"));
    await interrupted.arrived();
    assert(offsets.at(-1)! > 0, "it began at the first byte again");
  },
);

testInChromium(
  "of a folder that was interrupted by a reload, the rest is sent",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    const top = `${pair.cwd}/top`;
    Deno.mkdirSync(top);
    const names = Array.from({ length: 60 }, (_, n) => `${100 + n}`);
    for (const name of names) Deno.writeTextFileSync(`${top}/${name}`, name.repeat(1000));
    const opened = await browsing.open(url);
    await opened.part("upload-files").first().waitFor();
    // The page is left while the tenth file is being sent.
    let sent = 0;
    const tenth = Promise.withResolvers<void>();
    await opened.page.route("**/.tus/", async (route) => {
      if (++sent < 10) return await route.continue();
      tenth.resolve();
    });
    await opened.drop(top);
    await tenth.promise;
    await opened.page.unroute("**/.tus/");
    await opened.page.reload();

    const left = opened.part("uploads-unfinished").filter({ hasText: "of 60 files" });
    await left.waitFor();
    const before = [...Deno.readDirSync(`${pair.root}/top`)].length;
    assert(before > 0 && before < 60, `${before} had arrived`);
    let created = 0;
    opened.page.on("request", (request) => {
      if (request.method() === "POST") created++;
    });
    await opened.drop(top);
    assertEquals(await opened.counted(), { here: 60, there: 60 });
    assert(created <= 60 - before, `${created} were sent, ${before} were there`);
    assertEquals(await left.count(), 0);
    for (const name of names) {
      assertEquals(Deno.readTextFileSync(`${pair.root}/top/${name}`), name.repeat(1000));
    }
  },
);
