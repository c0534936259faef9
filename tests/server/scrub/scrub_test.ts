import { assert, assertEquals, assertMatch } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { createRuntime } from "../../../lib/runtime/runtime.ts";
import { Scrub, type ScrubOptions } from "../../../server/scrub/scrub.ts";
import { Records } from "../../../server/files/records.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { Fixture } from "../../support/fs_storage.ts";
import { MovableClock } from "../../support/movable_clock.ts";
import { RecordedLog } from "../../support/recorded_log.ts";
import { rot } from "../../support/rot.ts";
import { put } from "../../support/stored_files.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** A storage that is scrubbed by a clock which the test moves. */
class Scrubbed implements AsyncDisposable {
  readonly clock = new MovableClock();
  readonly #runtime = createRuntime({ clock: this.clock });
  readonly f = new Fixture();
  readonly log: RecordedLog;
  scrub: Scrub | undefined;

  private constructor(log: RecordedLog) {
    this.log = log;
  }

  static async open(): Promise<Scrubbed> {
    return new Scrubbed(await RecordedLog.start());
  }

  get records(): Records {
    return new Records(() => this.f.storage.internal(), this.#runtime);
  }

  start(options: Partial<ScrubOptions> = {}): Scrub {
    const runtime = this.#runtime;
    const { f: { storage }, records } = this;
    const common = { storage, runtime, records, interval: DAY_MS, rate: 0 };
    return this.scrub = Scrub.start({ ...common, ...options });
  }

  /** Waits for the end of a pass, and returns what was logged since the end of the last one. */
  async passed(): Promise<string[]> {
    await this.log.until("Scrubbed");
    const { lines } = this.log;
    this.log.records.length = 0;
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scrub?.[Symbol.asyncDispose]();
    await this.f[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
  }
}

Deno.test("Scrub reports damage once in each pass, and changes of programs not at all", async () => {
  await using s = await Scrubbed.open();
  const { f } = s;
  await put(f.storage, "d/good", "content");
  await put(f.storage, "d/rotten", "content");
  await put(f.storage, "changed", "old");
  rot(f.path("d/rotten"));
  Deno.writeTextFileSync(f.path("changed"), "newer");
  const scrub = s.start();
  for (let pass = 0; pass < 2; pass++) {
    const lines = await s.passed();
    assertEquals(lines.filter((line) => line.startsWith("error")).length, 1, lines.join("\n"));
    assertMatch(lines[0]!, /^error: d\/rotten is damaged: .*\(checksum_mismatch\).*Restore it/);
    assertEquals(lines.at(-1), "info: Scrubbed 3 files, 19 B: 1 damaged, 0 not readable");
    const { current, last } = scrub.state;
    assertEquals([current, last?.files, last?.damaged, last?.bytes], [null, 3, 1, 19]);
    if (pass === 0) s.clock.advance(DAY_MS);
  }
});

Deno.test("Scrub goes on where it was, whichever server was at it", async () => {
  await using s = await Scrubbed.open();
  const { f } = s;
  for (const name of ["a", "b", "c"]) await put(f.storage, name, "content");
  const asked: string[] = [];
  const reached = Promise.withResolvers<void>();
  /** A storage in which the file b is never opened. */
  const stuck: Storage = Object.create(f.storage, {
    open: {
      value: (name: string) => {
        asked.push(name);
        if (name !== "b") return f.storage.open(name as never, "md5");
        reached.resolve();
        return s.clock && Promise.reject(new FerryError("closed", "the test has stopped it"));
      },
    },
    find: { value: () => Promise.reject(new FerryError("io", "the disk is gone")) },
    list: { value: f.storage.list.bind(f.storage) },
  });
  const first = s.start({ storage: stuck });
  await reached.promise;
  await first[Symbol.asyncDispose]();
  assertEquals(asked, ["a", "b"]);
  s.start();
  await s.passed();
  assertEquals(s.scrub?.state.last?.files, 3, "it has read a file twice, or left one out");
});

Deno.test("Scrub leaves a pass to the server that is at it, until that is silent", async () => {
  await using s = await Scrubbed.open();
  await put(s.f.storage, "a", "content");
  const pass = {
    started: s.clock.now(),
    ended: null,
    position: "",
    files: 0,
    bytes: 0,
    unrecorded: 0,
    damaged: 0,
    unreadable: 0,
  };
  const kept = { current: pass, last: null, server: "another", saved: s.clock.now() };
  await s.records.write("scrub", "state", kept);
  const scrub = s.start();
  while (scrub.state.current === null) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(scrub.state.current?.files, 0);
  s.clock.advance(10 * 60_000);
  await s.passed();
  assertEquals(scrub.state.last?.files, 1);
});

Deno.test("Scrub begins anew where its record is damaged, and waits no longer than the interval", async () => {
  await using s = await Scrubbed.open();
  await s.records.write("scrub", "state", { current: "garbage" });
  const scrub = s.start();
  await s.passed();
  // As if the clock had been set back by ten years since.
  await scrub[Symbol.asyncDispose]();
  const last = { ...scrub.state.last!, started: s.clock.now() + 3650 * DAY_MS };
  await s.records.write("scrub", "state", { current: null, last, server: null, saved: 0 });
  const again = s.start();
  while (again.state.last?.started !== last.started) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  s.clock.advance(DAY_MS);
  await s.passed();
  assert(again.state.last!.started < last.started);
});

Deno.test("Scrub counts what cannot be read, and goes on", async () => {
  await using s = await Scrubbed.open();
  const { f } = s;
  await put(f.storage, "a", "content");
  await put(f.storage, "b", "content");
  const broken = new FerryError("io", "input/output error");
  const storage: Storage = Object.create(f.storage, {
    open: {
      value: (name: string) =>
        name === "a" ? Promise.reject(broken) : f.storage.open(name as never, "md5"),
    },
    find: { value: f.storage.find.bind(f.storage) },
    list: { value: f.storage.list.bind(f.storage) },
    assertServing: { value: f.storage.assertServing.bind(f.storage) },
  });
  s.start({ storage });
  const lines = await s.passed();
  assertEquals(lines, [
    'error: Cannot read "a": input/output error (io)',
    "info: Scrubbed 1 files, 7 B: 0 damaged, 1 not readable",
  ]);
});

Deno.test("Scrub waits where nothing can be read, and takes nothing for damaged by that", async () => {
  await using s = await Scrubbed.open();
  const { f } = s;
  await put(f.storage, "a", "content");
  Deno.renameSync(f.root, `${f.root}.away`);
  const scrub = s.start();
  await s.log.until("It goes on in a minute");
  Deno.renameSync(`${f.root}.away`, f.root);
  s.clock.advance(60_000);
  await s.log.until("Scrubbed 1 files, 7 B: 0 damaged, 0 not readable");
  assertEquals(scrub.state.last?.unreadable, 0);
});
