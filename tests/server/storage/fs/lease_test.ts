import { assert, assertEquals, assertThrows } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { Lease, LEASE_MS, type LeaseOptions } from "../../../../server/storage/fs/lease.ts";
import { bootTime } from "../../../../lib/files/partial_file.ts";
import { Clock } from "../../../support/clock.ts";
import { TempDir } from "../../../support/programs.ts";

/** A directory for leases. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly leases = Directory.open(Deno.realPathSync(this.dir.path));
  readonly waits: number[] = [];

  take(options: LeaseOptions = {}): Lease {
    return Lease.take(this.leases, { onWaiting: (ms) => void this.waits.push(ms), ...options });
  }

  names(): string[] {
    return [...Deno.readDirSync(this.dir.path)].map(({ name }) => name);
  }

  /** The lease of another process, as it left it or still renews it. */
  write(name: string, said: Record<string, unknown>): string {
    return this.dir.write(name, JSON.stringify({ version: 1, boot: bootTime(), beat: 1, ...said }));
  }

  inode(name: string): string {
    const { dev, ino } = Deno.lstatSync(this.dir.join(name));
    return `${dev}:${ino}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leases.close();
    await this.dir[Symbol.asyncDispose]();
  }
}

function assertBusy(run: () => unknown, includes: string): void {
  const error = assertThrows(run, FerryError, includes);
  assertEquals(error.code, "busy");
}

Deno.test("Lease.take() leaves a file while it lasts, and waits for nobody", async () => {
  await using f = new Fixture();
  {
    using lease = f.take();
    assertEquals(f.names(), [lease.id]);
    lease.assertHeld();
  }
  assertEquals([f.names(), f.waits], [[], []]);
});

Deno.test("Lease.take() is refused while another one lasts that it sees as its holder does", async () => {
  await using f = new Fixture();
  using lease = f.take();
  assertBusy(() => f.take(), "another ferryd serves it");
  assertEquals([f.names(), f.waits], [[lease.id], []]);
  lease.assertHeld();
});

Deno.test("Lease.take() takes over at once where the holder has ended that it would have seen", async () => {
  await using f = new Fixture();
  f.write("dead", {});
  f.write("dead", { inode: f.inode("dead") });
  f.dir.write("abandoned.new", "");
  using lease = f.take();
  assertEquals([f.names(), f.waits], [[lease.id], []]);
});

const FOREIGN: Record<string, Record<string, unknown>> = {
  "another mount": { inode: "1:2" },
  "another machine, or an earlier run of this one": { boot: 1 },
  "a system that does not say when it was started": { boot: null },
};

for (const [where, said] of Object.entries(FOREIGN)) {
  Deno.test(`Lease.take() watches a holder of ${where}, and takes over when it has said nothing`, async () => {
    await using f = new Fixture();
    using _clock = new Clock();
    f.write("other", {});
    f.write("other", { inode: f.inode("other"), ...said });
    const begun = Date.now();
    using lease = f.take();
    assertEquals([f.names(), f.waits], [[lease.id], [LEASE_MS]]);
    // The time that the test itself takes counts, too.
    const waited = Date.now() - begun;
    assert(waited >= LEASE_MS, `after ${waited} ms`);
  });

  Deno.test(`Lease.take() is refused by a holder of ${where} that speaks`, async () => {
    await using f = new Fixture();
    using clock = new Clock();
    f.write("other", {});
    f.write("other", { inode: f.inode("other"), ...said });
    clock.onPause = () => {
      if (clock.ahead >= LEASE_MS / 2) f.write("other", { ...said, beat: 2 });
    };
    assertBusy(() => f.take(), "by another path, or on another machine");
    assertEquals(f.names(), ["other"]);
  });
}

Deno.test("Lease.take() does not wait to the end for a holder that lets go", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  const other = f.write("other", FOREIGN["another mount"]!);
  clock.onPause = () => clock.ahead === 300 && Deno.removeSync(other);
  using lease = f.take();
  assertEquals([f.names(), clock.ahead], [[lease.id], 300]);
});

Deno.test("Lease.take() speaks while it watches: another one that comes sees it", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  f.write("other", FOREIGN["another mount"]!);
  const said = new Set<string>();
  clock.onPause = () => {
    const mine = f.names().find((name) => name !== "other")!;
    said.add(Deno.readTextFileSync(f.dir.join(mine)));
  };
  using _lease = f.take();
  assert(said.size >= 3, `it spoke ${said.size} times`);
});

Deno.test("Lease.take() takes no file for a lease that was removed while it was open", async () => {
  await using f = new Fixture();
  f.dir.write(".fuse_hidden0000000900000002", "no lease");
  using _lease = f.take();
  assertEquals(f.waits, []);
});

Deno.test("Lease.take() watches what it cannot understand", async () => {
  await using f = new Fixture();
  using _clock = new Clock();
  f.dir.write("garbage", "no lease");
  using lease = f.take();
  assertEquals([f.names(), f.waits], [[lease.id], [LEASE_MS]]);
});

Deno.test("Lease.assertHeld() fails for who was stopped while another one took over", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  using stopped = f.take();
  // It has been seen from elsewhere, and has said nothing for long.
  Deno.removeSync(f.dir.join(stopped.id));
  f.write("another", {});
  clock.ahead += LEASE_MS;
  assertBusy(() => stopped.assertHeld(), "has taken the directory over");
  assertBusy(() => stopped.assertHeld(), "start this one anew");
  assertEquals(f.names(), ["another"]);
});

Deno.test("Lease.assertHeld() fails for who was stopped while another one came, though its own file is still shown", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  f.write("former", FOREIGN["another mount"]!);
  using stopped = f.take();
  // A file that an earlier holder has left says nothing.
  f.write("former", {});
  clock.ahead += LEASE_MS;
  stopped.assertHeld();
  f.write("another", {});
  clock.ahead += LEASE_MS / 2 + 100;
  stopped.assertHeld();
  clock.ahead += LEASE_MS;
  assertBusy(() => stopped.assertHeld(), "has taken the directory over");
});

Deno.test("Lease.assertHeld() looks for nobody else where no other machine can write", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  using lease = f.take({ shared: false });
  f.write("another", {});
  clock.ahead += LEASE_MS;
  lease.assertHeld();
});

Deno.test("Lease.take() takes a new time of the same bytes for a renewal", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  const other = f.write("other", FOREIGN["another mount"]!);
  // As ceph-fuse shows a file that another machine holds open.
  clock.onPause = () => Deno.utimeSync(other, 1, 1 + clock.ahead);
  assertBusy(() => f.take(), "by another path, or on another machine");
});

Deno.test("Lease.take() fails where the directory cannot be listed", async () => {
  await using f = new Fixture();
  const { readDirSync } = Deno;
  // The runtime reports a directory that cannot be read as one that ends early.
  Deno.readDirSync = () => [].values();
  try {
    const error = assertThrows(() => f.take(), FerryError, "does not list a file");
    assertEquals(error.code, "io");
  } finally {
    Deno.readDirSync = readDirSync;
  }
  assertEquals(f.names(), []);
});

Deno.test("Lease.assertHeld() looks again, and goes on, for who was stopped while nobody came", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  using stopped = f.take();
  const before = Deno.readTextFileSync(f.dir.join(stopped.id));
  clock.ahead += 10 * LEASE_MS;
  stopped.assertHeld();
  assert(Deno.readTextFileSync(f.dir.join(stopped.id)) !== before, "it has not said so");
});

Deno.test("Lease.assertHeld() fails while the lease cannot be renewed, and goes on after that", async () => {
  await using f = new Fixture();
  using clock = new Clock();
  using lease = f.take();
  const { writeSync } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.writeSync = () => {
    throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  };
  try {
    clock.ahead += LEASE_MS;
    assertBusy(() => lease.assertHeld(), "cannot be renewed");
  } finally {
    Deno.FsFile.prototype.writeSync = writeSync;
  }
  lease.assertHeld();
});
