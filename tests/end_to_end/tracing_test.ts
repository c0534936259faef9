import { assert, assertEquals } from "@std/assert";
import { ferry, Ferryd, TempDir } from "../support/programs.ts";

/** The parts of a span in OTLP that are looked at. */
interface Span {
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string; doubleValue?: number } }[];
  status: { code: number; message: string };
}

/** Takes spans by OTLP over HTTP. */
class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  #arrived = Promise.withResolvers<void>();
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const { resourceSpans = [] } = await request.json();
      for (const { scopeSpans } of resourceSpans) {
        for (const { scope, spans } of scopeSpans) {
          if (scope.name === "ferry") {
            this.spans.push(...spans);
          }
        }
      }
      this.#arrived.resolve();
      return Response.json({});
    },
  );

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Waits until there is a span that ends an operation with this outcome. */
  async span(name: string, code: number): Promise<Span> {
    for (;;) {
      const found = this.spans.find((span) => span.name === name && span.status.code === code);
      if (found) return found;
      this.#arrived = Promise.withResolvers();
      await this.#arrived.promise;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

Deno.test("ferryd makes a span of each operation where OTEL_DENO is set", async () => {
  await using dir = new TempDir();
  await using collector = await Promise.resolve(new Collector());
  Deno.mkdirSync(dir.join("root"));
  await using server = await Ferryd.start(dir.join("root"), [], {
    env: {
      OTEL_DENO: "true",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "100",
    },
  });
  const options = { cwd: dir.path, server: server.address };
  dir.write("file", "content");
  const began = Date.now();
  assertEquals((await ferry(["put", "file"], options)).code, 0);
  assertEquals((await ferry(["get", "missing"], options)).code, 4);
  const put = await collector.span("put", 0);
  const attributes = new Map(put.attributes.map(({ key, value }) => [key, value]));
  assertEquals(attributes.get("ferry.received")?.doubleValue, 7);
  assertEquals(attributes.get("ferry.listener")?.stringValue, "tcp");
  assertEquals(attributes.get("client.address")?.stringValue, "127.0.0.1");
  assertEquals(put.kind, 2);
  const [start, end] = [put.startTimeUnixNano, put.endTimeUnixNano].map((text) =>
    Number(text) / 1e6
  );
  assert(start! >= began - 1000 && end! >= start! && end! <= Date.now() + 1000, `${start} ${end}`);
  const failed = await collector.span("get", 2);
  assert(
    failed.attributes.some(({ key, value }) =>
      key === "error.type" && value.stringValue === "not_found"
    ),
  );
  assertEquals(failed.status.message, "no such file or directory");
  assert(!JSON.stringify(collector.spans).includes("missing"));
});
