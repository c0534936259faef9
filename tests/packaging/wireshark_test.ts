import { assert, assertEquals } from "@std/assert";
import { concat } from "../support/vectors.ts";
import { utf8 } from "../support/bytes.ts";
import { ferry, Ferryd, PROJECT, spawnFerry, TempDir } from "../support/programs.ts";
import { frame } from "../support/raw_peer.ts";
import {
  type Capture,
  packetFile,
  Recorder,
  resegmented,
  type Segment,
} from "../support/recorder.ts";
import { isInstalled, runTool } from "../support/tools.ts";

const DISSECTOR = `${PROJECT}packaging/wireshark/ferry.lua`;

/** What the dissector says of one packet: of each message in it where there are several. */
interface Packet {
  protocol: string;
  info: string;
  headers: string[];
  kinds: string[];
  body: string;
  compressed: string;
  replyTo: string[];
  complaints: string;
}

/** Stands between several values of a field: no header has one. */
const SEPARATOR = "~";

const FIELDS = [
  "tcp.stream",
  "_ws.col.Protocol",
  "_ws.col.Info",
  "ferry.header",
  "ferry.kind",
  "ferry.body",
  "ferry.compressed",
  "ferry.reply_to",
  "_ws.expert.message",
];

/** What tshark shows of connections, by connection. */
async function dissect(captures: readonly Capture[], dir: TempDir): Promise<Packet[][]> {
  const file = dir.write("capture.pcap", packetFile(captures));
  const format = ["-T", "fields", "-E", `aggregator=${SEPARATOR}`, "-E", "separator=/t"];
  const { code, stdout, stderr } = await runTool(
    "tshark",
    [
      ...["-2", "-r", file, "-X", `lua_script:${DISSECTOR}`, ...format],
      ...FIELDS.flatMap((name) => ["-e", name]),
    ],
    dir.path,
  );
  assertEquals(code, 0, stderr);
  assert(!stderr.includes("ferry.lua"), stderr);
  const result: Packet[][] = captures.map(() => []);
  for (const line of stdout.replace(/\n$/, "").split("\n")) {
    const [stream, protocol, info, header, kind, body, compressed, reply, complaints] = line
      .split("\t") as [string, string, string, string, string, string, string, string, string];
    const list = (text: string) => text === "" ? [] : text.split(SEPARATOR);
    const bytes = (text: string) => text.replaceAll(SEPARATOR, "");
    result[Number(stream)]!.push({
      protocol,
      info,
      headers: list(header),
      kinds: list(kind),
      body: bytes(body),
      compressed: bytes(compressed),
      replyTo: list(reply),
      complaints,
    });
  }
  return result;
}

/** The headers of one direction, and the bytes between them. */
function messagesIn(segments: readonly Segment[], fromClient: boolean) {
  const bytes = concat(
    segments.filter((segment) => segment.fromClient === fromClient).map(({ bytes }) => bytes),
  );
  const view = new DataView(bytes.buffer);
  const headers: string[] = [];
  let body = 0;
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + view.getInt32(at, true);
    const header = new TextDecoder().decode(bytes.subarray(at + 4, end));
    headers.push(header);
    const size = JSON.parse(header).total_size ?? 0;
    body += size;
    at = end + size;
  }
  return { headers, body };
}

Deno.test({
  name: "Wireshark shows the messages of a transfer, however they are cut into segments",
  ignore: !isInstalled("tshark"),
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    await using server = await Ferryd.start(dir.join("root"));
    const recorder = Recorder.start(server.port);
    {
      await using _ = recorder;
      const options = { cwd: dir.path, server: recorder.address, ownProcess: true };
      dir.write("small.txt", "small\n".repeat(300));
      dir.write("large.bin", new Uint8Array(200_000));
      assertEquals((await ferry(["put", "small.txt", "large.bin"], options)).code, 0);
      assertEquals((await ferry(["get", "small.txt", "no", "--out", "back"], options)).code, 4);
      const streamed = spawnFerry(["put", "-", "--as", "streamed"], { ...options, stdin: "piped" });
      const writer = streamed.stdin.getWriter();
      await writer.write(utf8.encode("a stream\n"));
      await writer.close();
      assertEquals((await streamed.output()).code, 0);
    }
    const [put, get, streamed] = recorder.connections as [Segment[], Segment[], Segment[]];
    const captures: Capture[] = [put, get, streamed].flatMap((segments) => [
      { port: 9900, segments },
      { port: 9901, segments },
      { port: 9900, segments: resegmented(segments, 32_768) },
    ]);
    for (const segments of [get, streamed]) {
      captures.push({ port: 9900, segments: resegmented(segments, 7) });
    }
    const shown = await dissect(captures, dir);
    for (const [index, { segments, port }] of captures.entries()) {
      const packets = shown[index]!;
      const [up, down] = [true, false].map((side) => messagesIn(segments, side));
      const wanted = [...up!.headers, ...down!.headers].sort();
      const name = `${index} on ${port}`;
      assertEquals(packets.flatMap(({ headers }) => headers).sort(), wanted, name);
      const body = packets.map(({ body }) => body).join("").length / 2;
      assertEquals(body, up!.body + down!.body, name);
      assertEquals(
        packets.map(({ complaints }) => complaints).filter((x) => /length|JSON/.test(x)),
        [],
      );
      const replies = packets.flatMap(({ kinds }) =>
        kinds
      ).filter((kind) => kind === "reply").length;
      assertEquals(packets.flatMap(({ replyTo }) => replyTo).length, replies, name);
    }
    const infos = (index: number) => shown[index]!.map(({ info }) => info).join("; ");
    for (const said of ["hello", "put small.txt", "put: ok small.txt", "put large.bin", "body"]) {
      assert(infos(0).includes(said), infos(0));
    }
    assert(infos(3).includes("get: ok small.txt"), infos(3));
    assert(infos(3).includes("error not_found"), infos(3));
    assert(/put streamed.*chunk.*closing header/.test(infos(6)), infos(6));
  },
});

Deno.test({
  name: "Wireshark tells what it cannot understand, and finds connections on other ports",
  ignore: !isInstalled("tshark"),
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    await using server = await Ferryd.start(dir.join("root"));
    const recorder = Recorder.start(server.port);
    {
      await using _ = recorder;
      dir.write("zeros", new Uint8Array(100_000));
      const options = { cwd: dir.path, server: recorder.address, ownProcess: true };
      assertEquals((await ferry(["put", "zeros", "-z"], options)).code, 0);
      // The server has no certificate.
      assertEquals((await ferry(["ping", "--tls"], options)).code === 0, false);
    }
    const client = (...parts: Uint8Array<ArrayBuffer>[]) =>
      parts.map((bytes): Segment => ({ fromClient: true, bytes }));
    const ping = frame({ op: "ping" });
    const handshake = recorder.connections[1]!.filter(({ fromClient }) => fromClient);
    const shown = await dissect([
      { port: 9900, segments: recorder.connections[0]! },
      { port: 9900, segments: client(Uint8Array.of(255, 255, 255, 255, 65, 66)) },
      { port: 9900, segments: client(frame("[1,2")) },
      { port: 9900, segments: handshake },
      { port: 47123, segments: client(ping) },
      // The length and the header in segments of their own: no segment begins with both.
      { port: 47123, segments: client(ping.slice(0, 4), ping.slice(4)) },
      { port: 47123, segments: client(frame({ other: "JSON" })) },
      {
        port: 47123,
        segments: client(utf8.encode("GET / HTTP/1.1\r\n\r\n") as Uint8Array<ArrayBuffer>),
      },
    ], dir);
    const [zipped, length, json, tls, found, apart, other, http] = shown.map((packets) => ({
      protocols: packets.map(({ protocol }) => protocol),
      infos: packets.map(({ info }) => info).join("; "),
      complaints: packets.map(({ complaints }) => complaints).join(" "),
      compressed: packets.map(({ compressed }) => compressed).join("").length / 2,
      headers: packets.flatMap(({ headers }) => headers),
    }));
    assert(zipped!.infos.startsWith("hello"), zipped!.infos);
    assert(/piece \(first\); compressed/.test(zipped!.infos), zipped!.infos);
    assertEquals([zipped!.headers.length, /length|piece/.test(zipped!.complaints)], [2, false]);
    assert(zipped!.compressed > 0);
    assert(length!.complaints.includes("This is no length of a header"), length!.complaints);
    assert(json!.complaints.includes("The header is not a JSON object"), json!.complaints);
    assert(tls!.protocols[0]!.startsWith("TLS"), tls!.protocols[0]);
    assertEquals([found!.protocols, found!.infos], [["ferry"], "ping"]);
    for (const unknown of [apart!, other!, http!]) assert(!unknown.protocols.includes("ferry"));
  },
});
