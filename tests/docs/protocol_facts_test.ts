import { assert, assertEquals } from "@std/assert";
import { OPERATIONS, type Request } from "../../lib/wire/operations/operations.ts";
import { FerryError, isErrorCode } from "../../lib/core/errors.ts";
import { MAX_NAME_BYTES, MAX_PART_BYTES, RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import { PROTOCOL_VERSION } from "../../lib/wire/operations/hello.ts";
import { MAX_HEADER_BYTES, MIN_HEADER_BYTES } from "../../lib/wire/codec.ts";
import { MAX_RANGES, MAX_RANGES_BYTES } from "../../lib/delta/ranges.ts";
import { MAX_RECORDS } from "../../lib/delta/block_sizes.ts";
import { MAX_VERSION_LENGTH, MAX_WIRE_SIZE } from "../../lib/wire/schema.ts";
import { MAX_PIECE_BYTES, MAX_PIECE_GROWTH } from "../../lib/wire/piece_header.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { ALL_BUFFERS, SMALL_BUFFER } from "../../lib/core/buffer_budget.ts";
import { MAX_LINE_BYTES } from "../../lib/wire/lines.ts";
import { MAX_DATAGRAM_BYTES } from "../../lib/udp/datagram.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { CHECKPOINT_BYTES, RESUMABLE_BYTES } from "../../lib/files/partial_file.ts";
import { MAX_DRAIN_BYTES, MAX_UNREAD_INPUT_BYTES } from "../../lib/wire/body.ts";
import { MAX_SCRAM_LENGTH, SCRAM_ITERATIONS } from "../../lib/security/scram.ts";
import { assertAllowed } from "../../server/auth/authorization.ts";
import { grantEverywhere } from "../../server/auth/grants.ts";
import { SCOPES } from "../../lib/core/scope.ts";
import { MemoryStorage, serve } from "../../mod.ts";
import { PROJECT } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { message } from "../support/vectors.ts";
import { SERVE } from "../../server/cli/serve_spec.ts";
import { COMMON } from "../../client/cli/options.ts";
import { PROTOCOL, read, rows, section, words } from "./documents.ts";

const CORE = "docs/protocol/core.md";
const LIMITS = "docs/protocol/limits.md";
const TOKENS = "docs/protocol/extensions/tokens.md";
const RESUME = "docs/protocol/extensions/resume.md";

Deno.test("tokens.md names the limits on proofs that the code has", () => {
  const text = section(TOKENS, "## An exchange");
  assert(text.includes(`ask for ${SCRAM_ITERATIONS} iterations`));
  assert(text.includes(`longer than ${MAX_SCRAM_LENGTH} characters`));
  const source = read("server/auth/login_throttle.ts");
  const [, first, longest] = /PAUSE = \{ first: (\d+), longest: ([\d_]+) \}/.exec(source)!;
  assert(text.includes(`${first} ms`));
  assert(text.includes(`${Number(longest!.replace("_", "")) / 1000} s at most`));
});

Deno.test("core.md lists every error code with its exit status", () => {
  // The source is where the codes stand as values; that each of them is one is checked beside.
  const source = read("lib/core/errors.ts");
  const [, table] = /const EXIT_STATUS = \{([^}]*)\}/.exec(source)!;
  const codes = [...table!.matchAll(/^ {2}(\w+): \d+,$/gm)].map(([, code]) => code!);
  const documented = rows(section(CORE, "### Error codes"));
  assertEquals(documented.map(([code]) => code!).sort(), codes.sort());
  for (const [code, meaning, status] of documented) {
    assert(isErrorCode(code), code);
    assertEquals(new FerryError(code, "").exitStatus, Number(status), code);
    assert(meaning, `${code} has no meaning`);
  }
});

Deno.test("limits.md names the limits that the code has", () => {
  const limits: Record<string, number | bigint> = {
    MIN_HEADER_BYTES,
    MAX_HEADER_BYTES,
    MAX_WIRE_SIZE,
    MAX_NAME_BYTES,
    MAX_PART_BYTES,
    MAX_DRAIN_BYTES,
    MAX_UNREAD_INPUT_BYTES,
    MAX_TIMEOUT_MS,
    MAX_LINE_BYTES,
    RESUMABLE_BYTES,
    CHECKPOINT_BYTES,
    MAX_VERSION_LENGTH,
    MAX_RANGES,
    MAX_RANGES_BYTES,
    MAX_RECORDS,
    MAX_PIECE_BYTES,
    MAX_PIECE_GROWTH,
  };
  const documented = rows(section(LIMITS, "## Limits")).map(([, value, name]) => [name, value]);
  assertEquals(
    Object.fromEntries(documented),
    Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, String(value)])),
  );
  assert(section(CORE, "## Names").includes(`\`${RESERVED_DIRECTORY}\``));
});

Deno.test("limits.md names the timeouts that the programs have", () => {
  const [idle, rate, greeting, handshake, begin, part, command] = rows(
    section(LIMITS, "## Timeouts"),
  );
  assertEquals(idle!.slice(1), [SERVE.options["idle-timeout"].default, COMMON.timeout.default]);
  assertEquals(rate![1], SERVE.options["min-rate"].default);
  assertEquals(greeting![2], COMMON["connect-timeout"].default);
  assertEquals(handshake![1], SERVE.options["handshake-timeout"].default);
  assertEquals(begin![1], SERVE.options["handshake-timeout"].default);
  assertEquals(part![1], SERVE.options["partial-ttl"].default);
  assertEquals(command![1], SERVE.options["exec-timeout"].default);
  assert(
    section(LIMITS, "## Timeouts").includes(
      `kills a command after ${SERVE.options["exec-timeout"].default} unless`,
    ),
  );
  const source = read("server/files/upload_locks.ts");
  const [, stalled] = /const STALLED_MS = (\d+);/.exec(source)!;
  assert(section(RESUME, "## One writer").includes(`${Number(stalled) / 1000} seconds`));
});

Deno.test("echo.md names the limits that the echo over UDP has", () => {
  const text = section("docs/protocol/echo.md", "## Over UDP");
  const source = read("server/protocols/echo/reflection_limit.ts");
  const constant = (name: string) => {
    const [, value] = new RegExp(`const ${name} = ([\\d_]+);`).exec(source)!;
    return Number(value!.replaceAll("_", ""));
  };
  const stated = [
    `0 to ${MAX_DATAGRAM_BYTES} bytes`,
    `a port below ${constant("WELL_KNOWN_PORTS")}`,
    `${SERVE.options["echo-rate"].default} packets a second`,
    `every ${constant("PACKET_BYTES")} bytes`,
    `the ${constant("LOOP_LENGTH")}th time`,
    `every ${constant("LOOP_MEMORY_MS") / 1000} seconds`,
  ];
  const said = words(text);
  for (const limit of stated) assert(said.includes(limit), limit);
});

Deno.test("the documents of the protocol describe every operation and no other", () => {
  const ops = Object.keys(OPERATIONS).sort();
  assertEquals(rows(section(CORE, "## Operations")).map(([op]) => op!).sort(), ops);
  const headings = PROTOCOL.flatMap((path) => [...read(path).matchAll(/^##+ `(\w+)`$/gm)]);
  assertEquals(headings.map(([, op]) => op!).sort(), ops);
});

Deno.test("core.md lists every feature with its document, and each extension lists its own", async () => {
  await using storage = new MemoryStorage();
  await using server = await serve({
    storage,
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    exec: { cwd: PROJECT, allow: ["true"] },
  });
  using peer = await RawPeer.connect(server.addresses[0]!.port);
  // A storage in memory keeps no links.
  const features = ["header-crc32", "keep-alive", "links", "zstd"];
  await peer.send(message(`{"op":"hello","versions":[1],"features":["keep-alive"]}`));
  const { header } = (await peer.receive())!;
  const announced = new Set([...header.features as string[], ...features]);
  const documented = rows(section(CORE, "## Extensions")).flatMap(([names, document]) => {
    const [, target] = /\(extensions\/(.*)\)/.exec(document!) ?? [];
    return names!.split(", ").filter((name) => !name.startsWith("(")).map((name) => {
      const says = target === undefined ||
        new RegExp(`^Features?: .*\`${name}\``, "m").test(
          read(`docs/protocol/extensions/${target}`),
        );
      assert(says, `${target} does not name its feature ${name}`);
      return name;
    });
  });
  assertEquals(documented.sort(), [...announced].sort());
});

Deno.test("core.md describes every overwrite policy and no other", () => {
  const documented = rows(section(CORE, "### Overwrite policies")).map(([policy]) => policy!);
  assertEquals(documented, [...OVERWRITE_POLICIES]);
});

Deno.test("core.md says which scopes each operation needs, as the server does", () => {
  for (const [op, needs] of rows(section(CORE, "## Operations"))) {
    const needed = SCOPES.filter((scope) => {
      try {
        const grants = grantEverywhere(SCOPES.filter((other) => other !== scope));
        assertAllowed({ grants, mayAuthenticate: false }, { op: op as Request["op"] });
        return false;
      } catch {
        return true;
      }
    });
    assertEquals(needs, needed.join(", ") || "–", op);
  }
});

Deno.test("PROTOCOL.md is about the version that the code speaks", () => {
  const title = `he ferry protocol, version ${PROTOCOL_VERSION}\n`;
  assert(read("PROTOCOL.md").startsWith(`# T${title}`));
  assert(read(CORE).startsWith(`# The core of t${title}`));
});

Deno.test("SECURITY.md names the limits that ferryd has", () => {
  const text = read("SECURITY.md").replace(/ +/g, " ");
  const { options } = SERVE;
  const count = options["max-connections"].default;
  const ofSource = options["max-connections-per-source"].default;
  const seconds = (time: string) => time.replace("s", " s");
  const output = options["exec-output-limit"].default.replace("MiB", " MiB");
  for (
    const row of [
      `| connections | ${count}, of one address elsewhere ${ofSource} |`,
      `| TLS handshake, and then the first request or the token | ${
        seconds(options["handshake-timeout"].default)
      } |`,
      `| silence | ${seconds(options["idle-timeout"].default)} |`,
      `| bytes a second in the middle of a message | ${options["min-rate"].default}, on`,
      `| a command | ${seconds(options["exec-timeout"].default)} and ${output} of output |`,
      `after ${options["partial-ttl"].default.replace("d", " days")}`,
      `${options["echo-rate"].default} a second |`,
      `${ALL_BUFFERS / 1024 ** 2} MiB; beyond that each gets ${SMALL_BUFFER / 1024} KiB |`,
    ]
  ) assert(text.includes(row), row);
});
