import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { EventJournal } from "../../../server/hooks/event_journal.ts";
import { TempDir } from "../../support/programs.ts";
import { RecordedLog } from "../../support/recorded_log.ts";

/** A directory for a journal, which a test opens again and again. */
class Kept extends TempDir {
  open(): Promise<EventJournal> {
    return EventJournal.open(() => this.path, { durable: true });
  }

  /** What the next process finds, and its journal, closed again. */
  async left(): Promise<unknown[]> {
    await using journal = await this.open();
    return journal.left.map(({ event }) => event.n);
  }

  /** The files of the journal. */
  get files(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name)
      .filter((name) => name !== "lock").sort();
  }
}

Deno.test("EventJournal keeps what was not dealt with, in order, and numbers go on", async () => {
  await using dir = new Kept();
  {
    await using journal = await dir.open();
    assertEquals(journal.left, []);
    const entries = await Promise.all([1, 2, 3].map((n) => journal.append({ n })));
    journal.done(entries[1]!);
    await assertRejects(() => dir.open(), FerryError, "another ferryd keeps its queue there");
  }
  {
    await using journal = await dir.open();
    assertEquals(journal.left.map(({ event }) => event.n), [1, 3]);
    const { id } = await journal.append({ n: 4 });
    assertEquals(id, 4);
    journal.done(journal.left[0]!);
  }
  assertEquals(await dir.left(), [3, 4]);
});

Deno.test("EventJournal removes files whose events have all been dealt with", async () => {
  await using dir = new Kept();
  const filler = "x".repeat(400_000);
  await using journal = await dir.open();
  const first = await journal.append({ n: 0 });
  for (let n = 1; n < 10; n++) journal.done(await journal.append({ n, filler }));
  await journal.append({ n: 10 });
  // The first one has an event that is left, and so has the last one; those between are gone.
  assertEquals(dir.files.length, 2);
  assertEquals(dir.files[0], "events-1.jsonl");
  journal.done(first);
  await journal.append({ n: 11 });
  assertEquals(dir.files.length, 1);
});

Deno.test("EventJournal goes on after half a line, a damaged one and a file that is gone", async () => {
  await using dir = new Kept();
  await using log = await RecordedLog.start();
  dir.write(
    "events-3.jsonl",
    '{"id":7,"event":{"n":7}}\nnoise\n{"id":8,"event":{"n":8}}\n{"done":7}\n{"id":9,"ev',
  );
  assertEquals(await dir.left(), [8]);
  assert(log.lines.some((line) => line.includes("has a damaged line")));
  await using journal = await dir.open();
  assertEquals((await journal.append({ n: 9 })).id, 9);
  assertEquals(dir.files, ["events-3.jsonl", "events-4.jsonl"]);
});

Deno.test("EventJournal takes events while it cannot write, says so once, and writes later ones", async () => {
  await using dir = new Kept();
  await using log = await RecordedLog.start();
  const journal = await dir.open();
  const away = `${dir.path}-away`;
  Deno.renameSync(dir.path, away);
  const lost = await journal.append({ n: 1 });
  await journal.append({ n: 2 });
  journal.done(lost);
  Deno.renameSync(away, dir.path);
  await journal.append({ n: 3 });
  await journal[Symbol.asyncDispose]();
  const errors = log.lines.filter((line) => line.startsWith("error"));
  assertEquals(errors.length, 1);
  assertEquals(await dir.left(), [3]);
});

Deno.test("EventJournal goes on where its directory, or a file of it, is removed", async () => {
  await using dir = new TempDir();
  await using log = await RecordedLog.start();
  const path = dir.join("queue");
  const place = () => {
    Deno.mkdirSync(path, { recursive: true });
    return path;
  };
  const open = () => EventJournal.open(place, { durable: true });
  {
    await using journal = await open();
    await journal.append({ n: 1 });
    Deno.removeSync(path, { recursive: true });
    const second = await journal.append({ n: 2 });
    await assertRejects(open, FerryError, "another ferryd keeps its queue there");
    for (const { name } of [...Deno.readDirSync(path)]) {
      if (name !== "lock") Deno.removeSync(`${path}/${name}`);
    }
    journal.done(second);
    await journal.append({ n: 3 });
    await journal.append({ n: 4 });
  }
  await using journal = await open();
  assertEquals(journal.left.map(({ event }) => event.n), [3, 4]);
  assertEquals(log.lines, []);
});
