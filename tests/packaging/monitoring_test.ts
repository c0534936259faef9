import { assert, assertEquals } from "@std/assert";
import { outcome, PROJECT, TempDir } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { Scrape } from "../support/scrape.ts";
import { isInstalled } from "../support/tools.ts";

const RULES = `${PROJECT}packaging/prometheus/ferryd.rules.yml`;
const DASHBOARD = `${PROJECT}packaging/grafana/ferryd.json`;
const withPromtool = { ignore: !isInstalled("promtool") };

/** Runs promtool, which says something about each fault that it finds. */
async function promtool(args: string[], input = ""): Promise<void> {
  const child = new Deno.Command("promtool", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = outcome(child);
  await new Blob([input]).stream().pipeTo(child.stdin);
  const { code, stdout, stderr } = await ended;
  assertEquals([code, stderr], [0, ""], stdout);
}

/** The queries of the dashboard, in the order of its panels. */
function queries(): string[] {
  const { panels } = JSON.parse(Deno.readTextFileSync(DASHBOARD));
  return panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr)
  );
}

Deno.test({
  name: "ferryd --metrics writes what promtool accepts, while clients work",
  ...withPromtool,
  async fn() {
    await using p = await Pair.start(["--metrics", "127.0.0.1:0", "--quota", "1GiB"]);
    const address = p.server.listening.get("metrics")!;
    const names = Array.from({ length: 200 }, (_, at) => `many/${at}`);
    Deno.mkdirSync(`${p.cwd}/many`);
    for (const name of names) p.write(name, name);
    let working = true;
    const put = p.run("put", "many").finally(() => working = false);
    const scrapes = [await Scrape.of(address)];
    while (working) scrapes.push(await Scrape.of(address));
    assertEquals((await put).code, 0);
    assertEquals((await p.run("get", "missing")).code, 4);
    const last = await Scrape.of(address);
    assertEquals(last.value("ferry_stored_files_total", '{unchanged="false"}'), 200);
    const received = scrapes.map((scrape) => scrape.value("ferry_received_bytes_total")!);
    assertEquals(received, received.toSorted((a, b) => a - b), "a counter has gone back");
    for (const scrape of [scrapes[0]!, last]) await promtool(["check", "metrics"], scrape.text);
  },
});

Deno.test("the alerts and the dashboard ask for metrics that ferryd has", async () => {
  await using p = await Pair.start(["--metrics", "127.0.0.1:0"]);
  const { metrics } = await Scrape.of(p.server.listening.get("metrics")!);
  const known = new Set(
    [...metrics].flatMap(([name, { type }]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => name + end) : [name]
    ),
  );
  for (
    const [file, text] of [["rules", Deno.readTextFileSync(RULES)], [
      "dashboard",
      queries().join("\n"),
    ]] as const
  ) {
    const code = text.replaceAll(/^ *(#|summary:|description:).*$/gm, "");
    const used = new Set(code.match(/\b(ferry|process)_\w+/g));
    assert(used.size > 5);
    assertEquals([...used].filter((name) => !known.has(name)), [], file);
  }
});

Deno.test({
  name:
    "promtool accepts the alerts and the queries of the dashboard, and alerts fire when they have to",
  ...withPromtool,
  async fn() {
    await using dir = new TempDir();
    await promtool(["check", "rules", RULES]);
    await promtool(["test", "rules", `${PROJECT}tests/packaging/alerts.yml`]);
    const rules = queries().map((expr, at) => ({
      record: `dashboard:query:${at}`,
      expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$__range", "1h"),
    }));
    assert(rules.length > 20);
    const groups = [{ name: "dashboard", rules }];
    await promtool(["check", "rules", dir.write("rules.yml", JSON.stringify({ groups }))]);
  },
});
