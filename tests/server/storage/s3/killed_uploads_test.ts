import { assert, assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { parseFileName } from "../../../../lib/core/remote_name.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { FaultProxy, shiftedDate } from "../../../support/fault_proxy.ts";
import { TempDir } from "../../../support/programs.ts";
import { type BucketPlace, Instance, newBucket, TestFile } from "../../../support/served_bucket.ts";
import { startUploading, type Uploading } from "../../../support/uploading_process.ts";

const NAME = parseFileName("d/file");

/** Longer than a lease and a claim last, in milliseconds. */
const LATER = 90_000;

/** How often a process is killed for each engine. `FERRY_KILLS=N` sets it. */
const KILLS = Number(Deno.env.get("FERRY_KILLS") ?? 6);

/** Lets an instance that meets everything after its time finish the upload. */
async function finish(place: BucketPlace, file: TestFile, never: boolean): Promise<number> {
  await using proxy = FaultProxy.start(place.endpoint, () => ({ change: shiftedDate(LATER) }));
  await using instance = await Instance.open({ ...place, endpoint: proxy.url });
  const { partialUploads } = instance.writes;
  const { size } = file;
  let from = 0;
  if (await instance.served.lookup.head(NAME) === undefined || !never) {
    const [found] = await partialUploads.find(NAME, { size });
    await using write = found && await partialUploads.resume(found.id, { algorithm: "md5" }) ||
      await partialUploads.create(NAME, { size, replace: !never });
    from = write.prefix?.size ?? 0;
    await file.writeTo(write);
    await write.commit({ checksum: file.md5, replace: !never });
  }
  assertEquals(md5((await instance.content(NAME))!), file.md5);
  await partialUploads.expire(-1);
  assertEquals(await instance.leftovers(), []);
  return from;
}

/** Lets a process upload until its record tells of two parts, and no further. Returns the lines that it goes on to print. */
async function untilRecorded(
  child: Deno.ChildProcess,
  told: WritableStreamDefaultWriter<Uint8Array>,
  { writes: { partialUploads } }: Instance,
): Promise<ReadableStream<string>> {
  const lines = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines.values({ preventCancel: true })) {
    if (Number(line) >= 18 * MIB) break;
    await told.write(new Uint8Array(1));
  }
  const received = async () => (await partialUploads.list())[0]?.entry.received ?? 0;
  while (await received() < 16 * MIB) await new Promise((done) => setTimeout(done, 200));
  return lines;
}

/** Whether a request completes a multipart upload. */
function completes({ method, path }: { method: string; path: string }): boolean {
  return method === "POST" && /[?&]uploadId=/.test(path);
}

for (const kind of [CEPH, SWIFT]) {
  testWithEngine(
    kind,
    `an upload into ${kind.name} goes on at another instance, at whatever request its process is killed`,
    async () => {
      const engine = await Engine.shared(kind);
      await using dir = new TempDir();
      const file = new TestFile(28 * MIB + 5);
      const path = `${dir.path}/content`;
      await Deno.writeFile(path, file.bytes);
      let points = 40;
      const froms: number[] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        const place = await newBucket(engine);
        await using proxy = FaultProxy.start(engine.endpoint);
        await using trial = await Instance.open(place);
        const never = kill % 2 === 1;
        const abilities = trial.served.engine;
        // The requests of an upload that nobody kills are counted first.
        const at = kill === 0 ? Infinity : Math.floor(points * (kill - 0.5) / (KILLS - 1));
        const child = startUploading({
          place: { ...place, endpoint: proxy.url },
          filename: NAME,
          path,
          never,
          abilities,
        });
        // The last one is killed where everything but the completion is done, and two parts are recorded.
        const isLast = kill === KILLS - 1;
        proxy.rule = (request) => {
          if (isLast ? !completes(request) : request.index !== at) return undefined;
          child.kill("SIGKILL");
          // Either the store never sees the request, or it does what nobody learns of.
          return isLast || kill % 3 === 0 ? { answer: { status: 500 } } : {};
        };
        const told = child.stdin.getWriter();
        const lines = isLast ? await untilRecorded(child, told, trial) : undefined;
        await told.close();
        if (lines) { for await (const _ of lines); }
        const stdout = lines ? "" : await new Response(child.stdout).text();
        await child.status;
        if (kill === 0) {
          assertEquals(stdout.trim().split("\n").at(-1), "committed");
          points = proxy.requests.length;
        }
        const there = await trial.served.lookup.head(NAME);
        if (there) assertEquals(md5((await trial.content(NAME))!), file.md5, "a part is visible");
        froms.push(await finish(place, file, never));
      }
      assert(froms.at(-1)! >= 16 * MIB, `too little was gone on with: ${froms}`);
    },
  );

  testWithEngine(
    kind,
    `a process that uploads into ${kind.name} and is stopped longer than its lease loses it, and spoils nothing`,
    async () => {
      const engine = await Engine.shared(kind);
      await using dir = new TempDir();
      const file = new TestFile(40 * MIB);
      const path = `${dir.path}/content`;
      await Deno.writeFile(path, file.bytes);
      const place = await newBucket(engine);
      await using instance = await Instance.open(place);
      const abilities = instance.served.engine;
      const uploading: Uploading = { place, filename: NAME, path, never: true, abilities };
      const child = startUploading(uploading);
      const told = child.stdin.getWriter();
      const lines = await untilRecorded(child, told, instance);
      const { partialUploads } = instance.writes;
      child.kill("SIGSTOP");
      const [found] = await partialUploads.find(NAME, { size: file.size });
      // Its lease is waited for.
      await using write = (await partialUploads.resume(found!.id, { algorithm: "md5" }))!;
      assertEquals(write.prefix?.size, 16 * MIB);
      await file.writeTo(write, 33 * MIB);
      child.kill("SIGCONT");
      await told.close();
      const rest = await Array.fromAsync(lines);
      await child.status;
      assertEquals(rest.at(-1), "busy");
      await file.writeTo(write);
      await write.commit({ checksum: file.md5, replace: false });
      assertEquals(md5((await instance.content(NAME))!), file.md5);
      assertEquals(await instance.leftovers(), []);
    },
  );
}
