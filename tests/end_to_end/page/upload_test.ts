import { assert, assertEquals } from "@std/assert";
import { startWithPage, testInChromium } from "../../support/chromium.ts";
import { md5Of } from "../../support/digests.ts";
import { writeRandomFile } from "../../support/random_file.ts";

/** The size of the large file in MiB: 1024 by `deno task page:large`. */
const LARGE_MIB = Number(Deno.env.get("FERRY_PAGE_MIB") ?? 64);

/** The paths of all files below a directory, with their MD5s. */
function digests(directory: string, below = ""): Record<string, string> {
  return Object.fromEntries(
    [...Deno.readDirSync(directory)].filter(({ name }) => name !== ".ferry").flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      return entry.isDirectory
        ? Object.entries(digests(path, `${below}${entry.name}/`))
        : [[below + entry.name, md5Of(Deno.readFileSync(path))]];
    }).sort(),
  );
}

testInChromium(
  "a folder with 500 files is dropped, arrives, and is counted on both sides",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    const top = `${pair.cwd}/top`;
    for (let n = 0; n < 500; n++) {
      const directory = `${top}/${n % 9}/${n % 4}`;
      Deno.mkdirSync(directory, { recursive: true });
      Deno.writeTextFileSync(`${directory}/ü ${n}.txt`, `${n}`.repeat(n));
    }
    Deno.mkdirSync(`${top}/empty`);
    const opened = await browsing.open(url);
    await opened.part("upload-files").first().waitFor();
    await opened.drop(top);
    assertEquals(await opened.counted(), { here: 500, there: 500 });
    assertEquals(digests(pair.root), digests(pair.cwd));
    assert(Deno.statSync(`${pair.root}/top/empty`).isDirectory);
    await opened.shows("top");
  },
);

testInChromium(
  `a file of ${LARGE_MIB} MiB arrives, and is shown to have the same MD5`,
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    const path = `${pair.cwd}/large.bin`;
    await writeRandomFile(path, LARGE_MIB * 1024 * 1024);
    const md5 = md5Of(Deno.readFileSync(path));
    const opened = await browsing.open(url);
    await opened.choose("upload-files", path);
    await opened.waitForUpload("large.bin", "arrived");
    const state = opened.page.locator('[data-upload="large.bin"] [title^="MD5"]');
    assertEquals(await state.getAttribute("title"), `MD5 ${md5}`);
    assertEquals(await opened.counted(), { here: 1, there: 1 });
    assertEquals(md5Of(Deno.readFileSync(`${pair.root}/large.bin`)), md5);
    const { mtime } = Deno.statSync(path);
    assertEquals(Deno.statSync(`${pair.root}/large.bin`).mtime, mtime);
  },
);

testInChromium("what a browser cannot send is named before the upload ends", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  const top = `${pair.cwd}/top`;
  Deno.mkdirSync(`${top}/empty`, { recursive: true });
  Deno.mkdirSync(`${top}/a`);
  Deno.writeTextFileSync(`${top}/a/b`, "one");
  Deno.writeTextFileSync(`${top}/a\\b`, "two");
  Deno.writeTextFileSync(`${top}/c`, "three");
  // A name that is not UTF-8 can only be made by other programs.
  const make = `printf x >"$1/$(printf 'n\\377')"; ln -s c "$1/link"`;
  await new Deno.Command("sh", { args: ["-c", make, "sh", top] }).output();

  const opened = await browsing.open(url);
  await opened.choose("upload-folder", top);
  await opened.part("uploads-missing").filter({ hasText: "top/a/b" }).waitFor();
  assertEquals(await opened.counted(), { here: 1, there: 1 });
  assertEquals(Object.keys(digests(pair.root)), ["top/c"]);
  await opened.part("uploads-clear").click();

  // A folder that is dropped is listed completely, but for links.
  await opened.drop(top);
  await opened.part("uploads-missing").filter({ hasText: "not Unicode" }).waitFor();
  assertEquals(await opened.counted(), { here: 3, there: 3 });
  await opened.part("uploads-perhaps").filter({ hasText: "links" }).waitFor();
  const names = Object.keys(digests(pair.root)).sort();
  assertEquals(names, ["top/a/b", "top/a\\b", "top/c"]);
  assert(Deno.statSync(`${pair.root}/top/empty`).isDirectory);
});

testInChromium(
  "a file whose name is taken replaces the other one if somebody says so",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    for (const name of ["a", "b"]) pair.dir.write(`root/${name}`, "old");
    pair.dir.write("root/c", "same");
    const opened = await browsing.open(url);
    const content = { a: "new", b: "newer", c: "same" };
    await opened.choose(
      "upload-files",
      ...Object.entries(content).map(([n, c]) => pair.write(n, c)),
    );
    await opened.waitForUpload("c", "arrived");
    await opened.waitForUpload("b", "exists");
    const a = opened.page.locator('[data-upload="a"][data-state="exists"]');
    await a.getByRole("button", { name: "Skip" }).click();
    await opened.part("uploads-replace-all").click();
    await opened.waitForUpload("b", "arrived");
    assertEquals(Deno.readTextFileSync(`${pair.root}/a`), "old");
    assertEquals(Deno.readTextFileSync(`${pair.root}/b`), "newer");
  },
);

testInChromium(
  "an empty folder is made, and the panel speaks the language of the page",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    Deno.mkdirSync(`${pair.cwd}/empty`);
    const opened = await browsing.open(url, { language: "zh-CN" });
    await opened.part("upload-files").first().waitFor();
    await opened.drop(`${pair.cwd}/empty`);
    await opened.page.getByText("其中没有文件").waitFor();
    await opened.shows("empty");
    assert(Deno.statSync(`${pair.root}/empty`).isDirectory);
    await opened.choose("upload-files", pair.write("a", "a"));
    await opened.page.getByText("MD5 一致").first().waitFor();
  },
);

testInChromium("a cancelled upload leaves nothing on the server", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  await writeRandomFile(`${pair.cwd}/large`, 32 * 1024 * 1024);
  const opened = await browsing.open(url);
  await opened.network({ bytesPerSecond: 1024 * 1024 });
  await opened.choose("upload-files", `${pair.cwd}/large`);
  await opened.waitForUpload("large", "sending");
  const removed = opened.page.waitForResponse((response) =>
    response.request().method() === "DELETE"
  );
  await opened.part("uploads-cancel").click();
  assertEquals((await removed).status(), 204);
  await opened.waitForUpload("large", "skipped");
  const { stdout } = await pair.run("ls", "--partial");
  assertEquals(stdout, "");
  assertEquals(digests(pair.root), {});
});
