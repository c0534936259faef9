import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { sha256 } from "../support/bytes.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { type Outcome } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import { isInstalled, runTool } from "../support/tools.ts";

const CONTENT = randomBytes(3_000_000);

/** A server with the file `large.bin`, and a tool that is run in a directory of its own. */
class Download implements AsyncDisposable {
  readonly pair: Pair;
  readonly url: string;
  readonly #tool: string;

  private constructor(pair: Pair, tool: string) {
    this.pair = pair;
    this.url = `http://${pair.server.listening.get("http")}`;
    this.#tool = tool;
    pair.dir.write("root/large.bin", CONTENT);
    const time = new Date("2024-02-29T12:00:00Z");
    Deno.utimeSync(`${pair.root}/large.bin`, time, time);
  }

  static async with(tool: string): Promise<Download> {
    return new Download(await Pair.shared(["--http", "127.0.0.1:0", "--anonymous", "read"]), tool);
  }

  run(...args: string[]): Promise<Outcome> {
    return runTool(this.#tool, args, this.pair.cwd);
  }

  async runWell(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    assertEquals(code, 0, stdout + stderr);
    return stdout;
  }

  read(name: string): Uint8Array<ArrayBuffer> {
    return Deno.readFileSync(`${this.pair.cwd}/${name}`);
  }

  /** Asserts that a file in the tool's directory has the content. */
  assertWhole(name: string): void {
    assertEquals(sha256(this.read(name)), sha256(CONTENT));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair[Symbol.asyncDispose]();
  }
}

function testWith(tool: string, name: string, fn: (download: Download) => Promise<void>): void {
  Deno.test({
    name: `${tool} ${name}`,
    ignore: !isInstalled(tool),
    async fn() {
      await using download = await Download.with(tool);
      await fn(download);
    },
  });
}

testWith("curl", "goes on with a download that was cut", async (download) => {
  const cut = { cutAnswer: 1_000_000 };
  await using proxy = FaultProxy.start(download.url, ({ index }) => index === 0 ? cut : undefined);
  const url = `${proxy.url}/large.bin`;
  assertEquals((await download.run("-sO", url)).code, 18);
  await download.runWell("-sOC", "-", url);
  download.assertWhole("large.bin");
  const [, { status, headers }] = proxy.requests as [unknown, typeof proxy.requests[0]];
  assertEquals([status, headers.get("range")], [206, "bytes=1000000-"]);
});

testWith(
  "curl",
  "asks whether a file has changed, by its tag and by its time",
  async (download) => {
    const url = `${download.url}/large.bin`;
    const status = ["-sS", "-o", "again", "-w", "%{http_code}"];
    await download.runWell("-sRO", "--etag-save", "tag", url);
    assertEquals(await download.runWell(...status, "--etag-compare", "tag", url), "304");
    assertEquals(await download.runWell(...status, "-z", "large.bin", url), "304");
    download.pair.dir.write("root/large.bin", "another");
    assertEquals(await download.runWell(...status, "--etag-compare", "tag", url), "200");
    assertEquals(await download.runWell(...status, "-z", "large.bin", url), "200");
  },
);

testWith("curl", "gets several ranges, and a directory through a redirection", async (download) => {
  const ranges = ["-r", "0-99,1000-1099", `${download.url}/large.bin`, "-o", "parts"];
  await download.runWell("-sS", ...ranges);
  const parts = new TextDecoder("latin1").decode(download.read("parts"));
  for (const start of [0, 1000]) {
    const part = new TextDecoder("latin1").decode(CONTENT.subarray(start, start + 100));
    assertStringIncludes(
      parts,
      `content-range: bytes ${start}-${start + 99}/3000000\r\n\r\n${part}`,
    );
  }
  Deno.mkdirSync(`${download.pair.root}/d`);
  download.pair.dir.write("root/d/f", "x");
  const listed = await download.runWell("-sSL", `${download.url}/d`);
  assertEquals(JSON.parse(listed).entries[0].name, "f");
});

testWith("wget", "goes on with a part, and takes a name that is not of ASCII", async (download) => {
  download.pair.write("large.bin", CONTENT.subarray(0, 1_000_000));
  await download.runWell("-qc", `${download.url}/large.bin`);
  download.assertWhole("large.bin");
  download.pair.dir.write("root/größe 1.txt", "x");
  const url = `${download.url}/gr%C3%B6%C3%9Fe%201.txt?download`;
  await download.runWell("-q", "--content-disposition", "--restrict-file-names=nocontrol", url);
  assertEquals(download.read("größe 1.txt"), Uint8Array.of(120));
});

testWith("wget", "does not get again what has not changed", async (download) => {
  const url = `${download.url}/large.bin`;
  await download.runWell("-qN", url);
  download.assertWhole("large.bin");
  const { stderr } = await download.run("-N", url);
  assertStringIncludes(stderr, "304 Not Modified");
});

testWith("aria2c", "downloads over several connections, and verifies", async (download) => {
  const args = ["-q", "-x4", "-s4", "-k1M", "--log=log", "--log-level=info"];
  await download.runWell(...args, `${download.url}/large.bin`);
  download.assertWhole("large.bin");
  const log = new TextDecoder().decode(download.read("log"));
  assertStringIncludes(log, "Verification finished successfully.");
  assert(/Range: bytes=[1-9]\d*-/.test(log), "it has asked for one part only");
});

testWith("aria2c", "refuses a file that has another digest", async (download) => {
  const wrong = { digest: (value: string) => value.replace(/SHA-256=../, "SHA-256=AA") };
  await using proxy = FaultProxy.start(download.url, () => ({ change: wrong }));
  const { code, stdout } = await download.run("--log=log", "-x1", `${proxy.url}/large.bin`);
  // Its exit status for a checksum that does not match.
  assertEquals(code, 32, stdout);
});

testWith(
  "aria2c",
  "goes on with a download that was cut, from several places",
  async (download) => {
    const cut = { cutAnswer: 300_000 };
    await using proxy = FaultProxy.start(download.url, ({ index }) => index < 6 ? cut : undefined);
    const often = ["--retry-wait=0", "--max-tries=20", "-x3", "-s3", "-k1M"];
    await download.runWell("-q", ...often, `${proxy.url}/large.bin`);
    download.assertWhole("large.bin");
  },
);
