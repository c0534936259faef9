import { assert, assertEquals } from "@std/assert";
import { Ajv2020, type ValidateFunction } from "ajv/2020";
import { SCHEMAS, schemas, textOf } from "../../docs/generate/schema.ts";
import { BAD, bytesOf, GOOD } from "../support/vectors.ts";
import { blocksIn, PROTOCOL } from "./documents.ts";

/** Faults that a JSON Schema sees; the others are of the bytes, of several headers, or of how a number is written. */
const VISIBLE_FAULTS = [
  "filename-number",
  "filename-null",
  "total-size-negative",
  "total-size-fraction",
  "total-size-string",
  "total-size-true",
  "total-size-1e400",
  "md5-upper-case",
  "md5-short",
  "md5-long",
  "md5-not-hexadecimal",
  "md5-line-feed",
  "md5-empty",
  "md5-number",
  "closing-header-missing",
  "closing-header-not-end",
  "closing-header-size-missing",
  "closing-header-size-string",
  "closing-header-size-null",
  "closing-header-md5-missing",
  "closing-header-md5-null",
  "closing-header-md5-upper-case",
  "sized-with-piece",
  "streamed-piece-0",
  "streamed-piece-bare",
  "streamed-piece-null",
  "streamed-piece-negative",
  "streamed-error-not-closing",
];

type Keys = Readonly<Record<string, unknown>>;

const ajv = new Ajv2020({ allErrors: false });
for (const { name } of Deno.readDirSync(SCHEMAS)) {
  ajv.addSchema(JSON.parse(Deno.readTextFileSync(new URL(name, SCHEMAS))));
}

function validator(name: string): ValidateFunction {
  const validate = ajv.getSchema(`${name}.json`);
  assert(validate, `there is no schema ${name}`);
  return validate;
}

/** The headers at the start of some bytes, each with the name of its schema, as far as they can be read. */
function headersIn(bytes: Uint8Array): { schema: string; header: Keys }[] {
  const found: { schema: string; header: Keys }[] = [];
  let body: "none" | "closing-header" | "streamed" = "none";
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getInt32(0, true);
    if (length < 2 || at + 4 + length > bytes.length) break;
    let header: Keys;
    try {
      header = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(bytes.subarray(at + 4, at + 4 + length)));
    } catch {
      break;
    }
    if (typeof header !== "object" || header === null || Array.isArray(header)) break;
    const ends = body === "closing-header" || body === "streamed" && header.end === true;
    found.push({
      schema: body === "none" ? schemaOf(header) : ends ? closingOf(header) : "chunk",
      header,
    });
    const { total_size: total = 0, md5 = null, crc32 = null } = header;
    at += 4 + length + (typeof total === "number" ? total : 0);
    if (ends) body = "none";
    else if (body === "none" && total !== 0 && crc32 === null) {
      body = total === null ? "streamed" : md5 === null ? "closing-header" : "none";
    } else if (body === "none" && total === null) body = "streamed";
  }
  return found;
}

function schemaOf({ op, status, decision }: Keys): string {
  if (typeof op === "string" && ajv.getSchema(`${op}.request.json`)) return `${op}.request`;
  if (status === "error") return "error";
  return decision === undefined ? "framing" : "put.offer";
}

function closingOf({ end, status }: Keys): string {
  return end === true && status === "error" ? "error" : "closing-header";
}

Deno.test("the schemas of docs/protocol/schema are those of the programs", () => {
  const expected = new Map([...schemas()].map(([name, schema]) => [name, textOf(schema)]));
  const names = [...Deno.readDirSync(SCHEMAS)].map(({ name }) => name);
  assertEquals(names.sort(), [...expected.keys()].sort(), "run deno task schema");
  for (const [name, text] of expected) {
    const committed = Deno.readTextFileSync(new URL(name, SCHEMAS));
    assertEquals(committed, text, `${name} is another: run deno task schema`);
  }
});

Deno.test("all headers of the good golden frames satisfy their schemas", () => {
  let headers = 0;
  for (const { name, hex } of GOOD) {
    for (const { schema, header } of headersIn(bytesOf(hex))) {
      headers++;
      const validate = validator(schema);
      assert(validate(header), `${name}: ${schema}: ${ajv.errorsText(validate.errors)}`);
    }
  }
  assert(headers > GOOD.length, `only ${headers} headers were found`);
});

Deno.test("the bad golden frames whose fault is in one header do not satisfy its schema", () => {
  const refused = BAD.filter(({ hex }) =>
    headersIn(bytesOf(hex)).some(({ schema, header }) => !validator(schema)(header))
  );
  assertEquals(refused.map(({ name }) => name).sort(), [...VISIBLE_FAULTS].sort());
});

Deno.test("the headers that the documents show satisfy their schemas", () => {
  let headers = 0;
  for (const { lines } of blocksIn(PROTOCOL, "wire")) {
    const due: string[] = [];
    let current = "";
    for (const line of lines) {
      const header: Keys = JSON.parse(line.slice(2));
      let schema: string;
      if (header.keep_alive === true) schema = "keep-alive";
      else if (header.end === true) {
        schema = closingOf(header) === "closing-header" && "exit_code" in header
          ? "exec.closing-header"
          : closingOf(header);
      } else if (header.stream !== undefined) schema = "exec.chunk";
      else if (Object.keys(header).join() === "total_size") schema = "chunk";
      else if (line.startsWith("> ")) {
        schema = `${header.op}.request`;
        due.push(header.offer === true ? "put.offer" : `${header.op}.reply`);
      } else {
        current = due.shift() ?? current;
        schema = header.status === "error" ? "error" : current;
      }
      const validate = validator(schema);
      assert(validate(header), `${line}: ${schema}: ${ajv.errorsText(validate.errors)}`);
      headers++;
    }
  }
  assert(headers > 40, `only ${headers} headers were found`);
});
