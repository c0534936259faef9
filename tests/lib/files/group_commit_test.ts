import { setImmediate } from "node:timers";
import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../../lib/core/remote_name.ts";
import { ParentDirectories } from "../../../server/storage/fs/parent_directories.ts";
import { Root } from "../../../server/storage/fs/root.ts";
import {
  GroupCommit,
  type GroupCommitOptions,
  type Publication,
} from "../../../lib/files/group_commit.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { directoryAt } from "../../../lib/files/directory_flush.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import type { Committed } from "../../../lib/files/commit.ts";
import { TempDir } from "../../support/programs.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5 } from "../../support/bytes.ts";

/** A publisher over a temporary root whose flushes the test holds back and lets go. */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = Deno.realPathSync(this.#dir.path) + "/root";
  readonly publisher: GroupCommit;
  /** What happened, in order: `flush a`, `flushed a`. */
  readonly events: string[] = [];
  readonly #staged: StagedFile[] = [];
  readonly #root: Root;

  constructor(
    { parents = ParentDirectories, ...options }: Partial<GroupCommitOptions> & {
      parents?: typeof ParentDirectories;
    } = {},
  ) {
    Deno.mkdirSync(this.root);
    this.#root = Root.open(this.root);
    this.publisher = new GroupCommit({
      rooms: () => new parents(this.#root),
      durable: true,
      onTaken: () => Promise.reject(new FerryError("exists", "it is taken")),
      ...options,
    });
  }

  /** A staged file whose flush waits for `gate`. */
  async stage(name: string, content: string, gate?: Promise<void>): Promise<Publication> {
    const staged = StagedFile.create(this.#dir.path, RUNTIME);
    this.#staged.push(staged);
    await staged.write(new TextEncoder().encode(content));
    staged.sync = async () => {
      this.events.push(`flush ${content}`);
      await gate;
      this.events.push(`flushed ${content}`);
    };
    return { name: parseFileName(name), staged, checksum: md5(content), replace: true };
  }

  /** Publishes a file whose flush waits until it is let go; `asked` resolves when that has begun. */
  async publishGated(name: string, content: string) {
    const gate = Promise.withResolvers<void>();
    const publication = await this.stage(name, content, gate.promise);
    const begun = Promise.withResolvers<void>();
    const { sync } = publication.staged;
    publication.staged.sync = () => {
      begun.resolve();
      return sync();
    };
    const published = this.publisher.publish(publication);
    await begun.promise;
    return { published, open: gate.resolve, fail: gate.reject };
  }

  text(name: string): string | undefined {
    return isTaken(`${this.root}/${name}`)
      ? Deno.readTextFileSync(`${this.root}/${name}`)
      : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const staged of this.#staged) await staged[Symbol.asyncDispose]();
    this.#root[Symbol.dispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

function committed(content: string): Committed {
  return { checksum: md5(content), size: content.length, unchanged: false };
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  // What needs no file system has happened after a turn of the event loop. A timer may ring before a group begins, which
  // is at the end of a turn.
  await new Promise((done) => setTimeout(() => setImmediate(done)));
  const pending = Symbol();
  return await Promise.race([promise.catch(() => {}), Promise.resolve(pending)]) === pending;
}

Deno.test("publish() flushes, then gives the name, then acknowledges", async () => {
  await using f = new Fixture();
  const { published, open } = await f.publishGated("d/a", "content");
  assert(await isPending(published), "it was acknowledged before it was flushed");
  assertEquals(f.text("d/a"), undefined, "it was visible before it was flushed");
  open();
  assertEquals(await published, committed("content"));
  assertEquals(f.text("d/a"), "content");
});

Deno.test("publish() stamps time and mode before the flush", async () => {
  await using f = new Fixture();
  const publication = await f.stage("a", "content");
  const { staged } = publication;
  let atFlush: Deno.FileInfo | undefined;
  staged.sync = () => Promise.resolve(void (atFlush = Deno.statSync(staged.path)));
  await f.publisher.publish({ ...publication, mtime: 1_234_567_890_123, mode: 0o640 });
  assertEquals(atFlush?.mtime?.getTime(), 1_234_567_890_123);
  assertEquals(atFlush!.mode! & 0o777, 0o640);
});

Deno.test("publish() groups what is asked for while a flush is under way", async () => {
  await using f = new Fixture();
  const first = await f.publishGated("a", "a");
  const gate = Promise.withResolvers<void>();
  const later = await Promise.all(["b", "c", "d"].map((name) => f.stage(name, name, gate.promise)));
  const others = later.map((publication) => f.publisher.publish(publication));
  assert(await isPending(Promise.race(others)));
  assertEquals(f.events, ["flush a"], "the next group did not wait");

  first.open();
  await first.published;
  assert(await isPending(Promise.race(others)));
  assertEquals(f.events, ["flush a", "flushed a", "flush b", "flush c", "flush d"]);
  assertEquals(f.text("b"), undefined);

  gate.resolve();
  assertEquals(await Promise.all(others), ["b", "c", "d"].map(committed));
  assertEquals(["b", "c", "d"].map((name) => f.text(name)), ["b", "c", "d"]);
});

Deno.test("publish() groups what is asked for in one turn", async () => {
  await using f = new Fixture();
  const gate = Promise.withResolvers<void>();
  const staged = await Promise.all(["a", "b"].map((name) => f.stage(name, name, gate.promise)));
  const both = staged.map((publication) => f.publisher.publish(publication));
  assert(await isPending(Promise.race(both)));
  assertEquals(f.events, ["flush a", "flush b"], "the second one waited for the first");
  gate.resolve();
  assertEquals(await Promise.all(both), ["a", "b"].map(committed));
});

Deno.test("publish() begins anew after it had nothing to do", async () => {
  await using f = new Fixture();
  for (const name of ["a", "b", "c"]) {
    assertEquals(await f.publisher.publish(await f.stage(name, name)), committed(name));
  }
});

Deno.test("publish() does not let a failing member fail the others", async () => {
  await using f = new Fixture();
  Deno.mkdirSync(`${f.root}/directory`);
  Deno.writeTextFileSync(`${f.root}/file`, "in the way");
  const first = await f.publishGated("a", "a");
  const gate = Promise.withResolvers<void>();
  const failing = Promise.reject(new FerryError("no_space", "the disk is full"));
  failing.catch(() => {});
  const unset = await f.stage("unset", "u");
  unset.staged.setAttributes = () => {
    throw new FerryError("io", "it cannot be stamped");
  };
  const members = [
    f.publisher.publish(await f.stage("good", "1")),
    f.publisher.publish(await f.stage("unflushed", "2", failing)),
    f.publisher.publish(unset),
    f.publisher.publish(await f.stage("directory", "3")),
    f.publisher.publish(await f.stage("file/below", "4")),
    f.publisher.publish(await f.stage("good/too", "5")),
    f.publisher.publish(await f.stage("last", "6", gate.promise)),
  ];
  first.open();
  gate.resolve();
  const outcomes = await Promise.allSettled(members);
  assertEquals(
    outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? "published" : (outcome.reason as FerryError).code
    ),
    ["published", "no_space", "io", "not_a_file", "not_a_file", "not_a_file", "published"],
  );
  assertEquals([f.text("good"), f.text("last"), f.text("file")], ["1", "6", "in the way"]);
  assertEquals([f.text("unflushed"), f.text("unset")], [undefined, undefined]);
  // And the one behind them is published as if nothing had been.
  assertEquals(await f.publisher.publish(await f.stage("after", "7")), committed("7"));
});

Deno.test("publish() gives one name in the order of the calls, whatever is flushed first", async () => {
  await using f = new Fixture();
  const first = await f.publishGated("a", "a");
  const slow = Promise.withResolvers<void>();
  const publications = await Promise.all([
    f.stage("same", "slow", slow.promise),
    f.stage("same", "middle"),
    f.stage("same", "last"),
  ]);
  const all = publications.map((publication) => f.publisher.publish(publication));
  first.open();
  await first.published;
  assert(await isPending(Promise.race(all)));
  slow.resolve();
  assertEquals(await Promise.all(all), ["slow", "middle", "last"].map(committed));
  assertEquals(f.text("same"), "last");
});

Deno.test("publish() asks what becomes of a taken name, and nobody waits for the answer", async () => {
  const answer = Promise.withResolvers<Committed>();
  const asked: FileName[] = [];
  await using f = new Fixture({
    onTaken({ name }) {
      asked.push(name);
      return answer.promise;
    },
  });
  Deno.writeTextFileSync(`${f.root}/taken`, "old");
  const first = await f.publishGated("a", "a");
  const taken = f.publisher.publish({ ...await f.stage("taken", "new"), replace: false });
  const beside = f.publisher.publish({ ...await f.stage("beside", "b"), replace: false });
  first.open();
  assertEquals(await beside, committed("b"));
  assertEquals(await f.publisher.publish(await f.stage("next", "n")), committed("n"));
  assertEquals(asked, [parseFileName("taken")]);
  assert(await isPending(taken));
  const unchanged = { checksum: md5("new"), size: 3, unchanged: true };
  answer.resolve(unchanged);
  assertEquals(await taken, unchanged);
  assertEquals(f.text("taken"), "old");
});

Deno.test("publish() fails as the answer to a taken name does", async () => {
  await using f = new Fixture();
  Deno.writeTextFileSync(`${f.root}/taken`, "old");
  const publication = await f.stage("taken", "new");
  await assertCode("exists", () => f.publisher.publish({ ...publication, replace: false }));
  assertEquals(f.text("taken"), "old");
});

Deno.test("publish() acknowledges nothing where a changed directory cannot be flushed", async () => {
  class LosingParents extends ParentDirectories {
    override room(name: FileName): ReturnType<ParentDirectories["room"]> {
      const room = super.room(name);
      return name === "broken" ? { ...room, made: [directoryAt("/no/such/directory")] } : room;
    }
  }
  await using f = new Fixture({ parents: LosingParents });
  const first = await f.publishGated("a", "a");
  const group = [
    f.publisher.publish(await f.stage("beside", "b")),
    f.publisher.publish(await f.stage("broken", "x")),
  ];
  first.open();
  for (const member of group) await assertCode("not_found", () => member);
  assertEquals(await first.published, committed("a"));
  assertEquals(await f.publisher.publish(await f.stage("next", "n")), committed("n"));
});

Deno.test("publish() flushes nothing where it is not durable", async () => {
  await using f = new Fixture({ durable: false });
  const never = Promise.withResolvers<void>();
  const published = f.publisher.publish(await f.stage("a", "a", never.promise));
  assertEquals(await published, committed("a"));
  assertEquals(f.events, []);
  assertEquals(f.text("a"), "a");
});

const BREAKING: Record<
  string,
  () => Partial<GroupCommitOptions> & { parents?: typeof ParentDirectories }
> = {
  "no room can be made": () => {
    class Broken extends ParentDirectories {
      constructor(root: Root) {
        super(root);
        if (broken) throw new FerryError("io", "broken");
      }
    }
    return { parents: Broken };
  },
  "the rooms cannot be let go of": () => {
    class Broken extends ParentDirectories {
      override [Symbol.dispose](): void {
        super[Symbol.dispose]();
        if (broken) throw new FerryError("io", "broken");
      }
    }
    return { parents: Broken };
  },
  "nobody can say what becomes of a taken name": () => ({
    onTaken() {
      throw new FerryError("io", "broken");
    },
  }),
};

let broken = false;

for (const [what, options] of Object.entries(BREAKING)) {
  Deno.test(`publish() settles all of a group, and goes on, where ${what}`, async () => {
    await using f = new Fixture(options());
    Deno.writeTextFileSync(`${f.root}/taken`, "old");
    const publications = [
      await f.stage("a", "a"),
      { ...await f.stage("taken", "b"), replace: false },
      await f.stage("c", "c"),
    ];
    broken = true;
    const outcomes = await Promise.allSettled(publications.map((one) => f.publisher.publish(one)));
    broken = false;
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assert(["io", "exists"].includes(outcome.reason.code));
    }
    assert(outcomes.some(({ status }) => status === "rejected"));
    await f.publisher.settle();
    assertEquals(await f.publisher.publish(await f.stage("next", "n")), committed("n"));
  });
}

Deno.test("publish() tells when a file is about to get its name and when it has it", async () => {
  await using f = new Fixture();
  const seen: (string | undefined)[] = [];
  const look = () => void seen.push(f.text("a"));
  await f.publisher.publish({ ...await f.stage("a", "a"), onNaming: look, onNamed: look });
  assertEquals(seen, [undefined, "a"]);
  const onNaming = () => {
    throw new FerryError("io", "its record stays");
  };
  await assertCode("io", async () => f.publisher.publish({ ...await f.stage("b", "b"), onNaming }));
  assertEquals(f.text("b"), undefined);
});
