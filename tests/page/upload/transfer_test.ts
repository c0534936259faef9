/// <reference lib="dom" />
import { assertEquals, assertRejects } from "@std/assert";
import { Digests } from "../../../page/upload/digests.ts";
import { UploadFailure } from "../../../page/upload/failure.ts";
import { type Phase, Transfer, WHOLE_BYTES } from "../../../page/upload/transfer.ts";
import { Tus } from "../../../page/upload/tus.ts";
import { Waits } from "../../../page/upload/waits.ts";
import { md5Of } from "../../support/digests.ts";
import { UploadDoor } from "../../support/upload_door.ts";

const OFFLINE = new UploadFailure("offline");
const BUSY = new UploadFailure("busy", { status: 503, retryAfter: 1 });

/** More than one request carries. */
const LARGE = WHOLE_BYTES + 1000;

function bytes(size: number, seed = 0): Uint8Array<ArrayBuffer> {
  return new Uint8Array(size).fill(seed + 1);
}

/** A file on its way into a door. */
class Sent {
  readonly phases: Phase[] = [];
  readonly offsets: number[] = [];
  readonly addresses: (string | undefined)[] = [];
  readonly stop = new AbortController();
  logins = 0;
  readonly waits: Waits;

  constructor(readonly door: UploadDoor) {
    this.waits = new Waits(() => {
      this.logins++;
      queueMicrotask(() => this.waits.loggedIn());
    });
  }

  /** Sends bytes as the file `name`. */
  async run(name: string, content: Uint8Array<ArrayBuffer>, earlier?: string): Promise<string> {
    const workers: Worker[] = [];
    const digests = new Digests(() => {
      const url = new URL("../../../page/upload/md5_worker.ts", import.meta.url);
      workers.push(new Worker(url, { type: "module" }));
      return workers[0]!;
    }, 1);
    const blob = new Blob([content]);
    const file = { blob, name, mtime: 1, overwrite: "never" as const };
    try {
      return await new Transfer(file, {
        tus: new Tus(this.door.send, ""),
        digest: digests.of(blob),
        signal: this.stop.signal,
        waits: this.waits,
        earlier,
        onAddress: (url) => this.addresses.push(url),
        onPhase: (phase) => this.phases.push(phase),
        onOffset: (offset) => this.offsets.push(offset),
      }).run();
    } finally {
      for (const worker of workers) worker.terminate();
    }
  }
}

Deno.test("a small file is sent by one request, with its MD5", async () => {
  const sent = new Sent(new UploadDoor());
  assertEquals(await sent.run("ä b/c", bytes(10)), md5Of(bytes(10)));
  assertEquals(sent.door.requests, ["POST /.tus/"]);
  assertEquals(sent.door.files.get("ä b/c"), bytes(10));
});

Deno.test("an empty file is sent", async () => {
  const sent = new Sent(new UploadDoor());
  assertEquals(await sent.run("empty", bytes(0)), md5Of(new Uint8Array()));
  assertEquals(sent.door.files.get("empty"), bytes(0));
});

Deno.test("a large file can be continued as soon as its upload exists", async () => {
  const sent = new Sent(new UploadDoor());
  await sent.run("large", bytes(LARGE));
  assertEquals(sent.door.requests, ["POST /.tus/", "PATCH /.tus/1"]);
  assertEquals(sent.addresses, ["/.tus/1", undefined]);
  assertEquals(sent.door.files.get("large"), bytes(LARGE));
});

Deno.test("what was cut goes on at the offset that the server tells", async () => {
  const sent = new Sent(new UploadDoor());
  let cuts = 0;
  sent.door.disturb = ({ method }) =>
    method === "PATCH" && cuts++ < 2 ? { failure: OFFLINE, after: 400 } : undefined;
  const running = sent.run("large", bytes(LARGE));
  const hurry = setInterval(() => sent.waits.hurry(), 10);
  await running;
  clearInterval(hurry);
  assertEquals(sent.door.requests.filter((request) => request.startsWith("PATCH")).length, 3);
  assertEquals(sent.phases.filter((phase) => phase === "paused").length, 2);
  assertEquals(sent.offsets.at(-1), LARGE);
  assertEquals(sent.door.files.get("large"), bytes(LARGE));
});

Deno.test("a server that is busy, and one that asks for a login, are waited for", async () => {
  const sent = new Sent(new UploadDoor());
  const failures = [BUSY, new UploadFailure("auth_required", { status: 401 })];
  sent.door.disturb = () => {
    const failure = failures.shift();
    return failure && { failure };
  };
  await sent.run("small", bytes(10));
  assertEquals(sent.logins, 1);
  assertEquals(sent.door.files.get("small"), bytes(10));
});

Deno.test("an earlier upload is continued if its first bytes are those of the file", async () => {
  const door = new UploadDoor();
  const earlier = new Sent(door);
  door.disturb = ({ method }) => method === "PATCH" ? { failure: OFFLINE, after: 5000 } : undefined;
  const cut = earlier.run("large", bytes(LARGE));
  while (earlier.addresses.length === 0 || earlier.phases.at(-1) !== "paused") {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  earlier.stop.abort(new DOMException("", "AbortError"));
  await assertRejects(() => cut, DOMException);
  door.disturb = () => undefined;

  const sent = new Sent(door);
  await sent.run("large", bytes(LARGE), "/.tus/1");
  assertEquals(sent.phases[0], "reading");
  assertEquals(sent.offsets[0], 5000);
  assertEquals(door.requests.slice(-2), ["HEAD /.tus/1", "PATCH /.tus/1"]);
  assertEquals(door.files.get("large"), bytes(LARGE));
});

Deno.test("an earlier upload of other bytes is removed, and the file sent from its first byte", async () => {
  const door = new UploadDoor();
  door.pending.set("/.tus/old", {
    name: "large",
    size: LARGE,
    md5: undefined,
    overwrite: "never",
    bytes: bytes(5000, 1),
  });
  const sent = new Sent(door);
  await sent.run("large", bytes(LARGE), "/.tus/old");
  assertEquals(door.pending.has("/.tus/old"), false);
  assertEquals(sent.offsets[0], 0);
  assertEquals(door.files.get("large"), bytes(LARGE));
});

Deno.test("an upload that the server has lost, or whose bytes were damaged, is begun anew", async () => {
  for (
    const failure of [
      new UploadFailure("not_found", { status: 404 }),
      new UploadFailure("gone", { status: 410 }),
      new UploadFailure("checksum_mismatch", { status: 422 }),
    ]
  ) {
    const sent = new Sent(new UploadDoor());
    let failures = 0;
    sent.door.disturb = ({ method }) =>
      method === "PATCH" && failures++ === 0 ? { failure } : undefined;
    await sent.run("large", bytes(LARGE));
    assertEquals(sent.addresses, ["/.tus/1", undefined, "/.tus/2", undefined]);
  }
});

Deno.test("a wrong offset is asked for and corrected", async () => {
  const sent = new Sent(new UploadDoor());
  let failures = 0;
  sent.door.disturb = ({ method }) =>
    method === "PATCH" && failures++ === 0
      ? { failure: new UploadFailure("usage", { status: 409 }), after: 70 }
      : undefined;
  await sent.run("large", bytes(LARGE));
  assertEquals(sent.door.requests.slice(-2), ["HEAD /.tus/1", "PATCH /.tus/1"]);
});

Deno.test("a file of which the server has stored other bytes has not arrived", async () => {
  const sent = new Sent(new UploadDoor());
  sent.door.damage = () => bytes(10, 9);
  const failure = await assertRejects(() => sent.run("small", bytes(10)), UploadFailure);
  assertEquals(failure.code, "differs");
});

Deno.test("what waiting does not change is reported", async () => {
  for (const [code, status] of [["denied", 403], ["quota", 507], ["exists", 412]] as const) {
    const sent = new Sent(new UploadDoor());
    sent.door.disturb = () => ({ failure: new UploadFailure(code, { status }) });
    const failure = await assertRejects(() => sent.run("small", bytes(10)), UploadFailure);
    assertEquals([failure.code, sent.door.requests.length], [code, 1]);
  }
});

Deno.test("an error of the server's own is tried again some times, and then reported", async () => {
  const sent = new Sent(new UploadDoor());
  sent.door.disturb = () => ({ failure: new UploadFailure("io", { status: 500, retryAfter: 1 }) });
  const failure = await assertRejects(() => sent.run("small", bytes(10)), UploadFailure);
  assertEquals([failure.code, sent.door.requests.length], ["io", 5]);
});
