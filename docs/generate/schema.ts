/**
 * Writes the JSON Schemas of all headers of the protocol, and of the lines of a list, into docs/protocol/schema:
 * from the schemas with which the programs check them.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { checksumKeySchemas } from "../../lib/wire/checksum_keys.ts";
import { closing } from "../../lib/wire/closing_header.ts";
import { framing } from "../../lib/wire/codec.ts";
import type { Operation } from "../../lib/wire/operations/operation.ts";
import { OPERATIONS } from "../../lib/wire/operations/operations.ts";

/** Where the schemas lie. */
export const SCHEMAS: URL = new URL("../protocol/schema/", import.meta.url);

/** A JSON Schema, as an object. */
export type JsonSchema = Record<string, unknown>;

/** A schema that is of no operation, and the one that describes its other keys. */
interface Common {
  readonly schema: v.GenericSchema;
  readonly description: string;
  readonly base?: string;
}

const COMMON: Readonly<Record<string, Common>> = {
  framing: { schema: framing, description: "The keys that every header may have." },
  "closing-header": {
    schema: closing,
    description: "The message after a body whose checksum was not known at its start.",
    base: "framing",
  },
  error: {
    schema: v.object({ status: v.literal("error"), code: v.string(), message: v.string() }),
    description:
      "A reply that reports an error. A closing header that reports one has the same keys.",
    base: "framing",
  },
  chunk: {
    schema: v.object({ total_size: v.pipe(v.bigint(), v.minValue(1n)) }),
    description: "The header of a chunk of a streamed body.",
    base: "framing",
  },
  "keep-alive": {
    schema: v.object({ keep_alive: v.literal(true), total_size: v.optional(v.literal(0)) }),
    description: "A message that says that its sender is still there.",
    base: "framing",
  },
};

/** All schemas, by the names of their files. */
export function schemas(): ReadonlyMap<string, JsonSchema> {
  const all = new Map<string, JsonSchema>();
  const add = (name: string, schema: v.GenericSchema, description: string, base?: string) => {
    all.set(`${name}.json`, {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: `${name}.json`,
      description,
      ...onTheWire(convert(schema), base),
    });
  };
  for (const [name, { schema, description, base }] of Object.entries(COMMON)) {
    add(name, schema, description, base);
  }
  const operations: Operation<unknown, unknown>[] = Object.values(OPERATIONS);
  for (const { name, description, request, reply, offer, lines, chunk, closing } of operations) {
    add(`${name}.request`, request, description, "framing");
    add(`${name}.reply`, reply, `The reply to a \`${name}\`.`, "framing");
    if (offer) {
      add(`${name}.offer`, offer, `The reply to a \`${name}\` that is an offer.`, "framing");
    }
    if (chunk) add(`${name}.chunk`, chunk, `A chunk of the reply to a \`${name}\`.`, "chunk");
    if (closing) {
      add(
        `${name}.closing-header`,
        closing,
        `The closing header of the reply to a \`${name}\`.`,
        "closing-header",
      );
    }
    for (const [kind, line] of Object.entries(lines ?? {})) {
      add(`${name}.line.${kind}`, line, `A line of the body of the reply to a \`${name}\`.`);
    }
  }
  return all;
}

/** A schema as text, with integers of any size written exactly. */
export function textOf(schema: JsonSchema): string {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const exact = (_key: string, value: unknown) =>
    typeof value === "bigint" ? rawJSON(value.toString()) : value;
  return `${JSON.stringify(schema, exact, 2)}\n`;
}

function convert(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, description: __, ...converted } = toJsonSchema(schema, {
    target: "draft-2020-12",
    typeMode: "input",
    // Some checks, such as one of a key against another, have no form in JSON Schema.
    errorMode: "ignore",
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      valibotSchema.type === "bigint" ? { type: "integer" } : jsonSchema,
    overrideAction({ valibotAction, jsonSchema }) {
      const { type, requirement } = valibotAction as { type: string; requirement?: number };
      if (type === "min_value") return { ...jsonSchema, minimum: requirement! };
      if (type === "max_value") return { ...jsonSchema, maximum: requirement! };
      return jsonSchema;
    },
  }) as JsonSchema;
  const { entries = {} } = schema as { entries?: Record<string, v.GenericSchema> };
  const { properties = {} } = converted as { properties?: Record<string, JsonSchema> };
  for (const [key, entry] of Object.entries(entries)) {
    // What follows a transformation is of the value that the receiver makes, its description apart.
    const text = v.getDescription(entry);
    if (text !== undefined) properties[key]!.description = text;
  }
  return converted;
}

/**
 * A schema of what a receiver has decoded as one of what is sent. There, two keys tell the checksum: `md5` and
 * `checksum`, which `base` describes.
 */
function onTheWire(decoded: JsonSchema, base: string | undefined): JsonSchema {
  const { properties, required, ...rest } = decoded as {
    properties: Record<string, JsonSchema>;
    required: string[];
  };
  const { algorithm: _, checksum, ...others } = properties;
  // A schema that has the key `md5` describes what is sent already.
  const isSent = "md5" in properties;
  const isKnown = !isSent && checksum?.type === "string" && required.includes("checksum");
  const keys = checksum && base === undefined && !isSent
    ? convert(v.object(checksumKeySchemas)).properties as Record<string, JsonSchema>
    : isSent && checksum
    ? { checksum }
    : {};
  return {
    ...(base === undefined ? {} : { allOf: [{ $ref: `${base}.json` }] }),
    ...rest,
    properties: { ...others, ...keys },
    required: isSent
      ? required
      : required.filter((key) => key !== "algorithm" && key !== "checksum"),
    ...(isKnown ? { anyOf: KNOWN_CHECKSUM } : {}),
  };
}

/** What a header with a known checksum has: an md5 that is not null, or a checksum with its digits. */
const KNOWN_CHECKSUM = [
  { properties: { md5: { type: "string" } }, required: ["md5"] },
  { properties: { checksum: { pattern: ":" } }, required: ["checksum"] },
];

if (import.meta.main) {
  Deno.mkdirSync(SCHEMAS, { recursive: true });
  for (const { name } of Deno.readDirSync(SCHEMAS)) Deno.removeSync(new URL(name, SCHEMAS));
  for (const [name, schema] of schemas()) {
    Deno.writeTextFileSync(new URL(name, SCHEMAS), textOf(schema));
  }
}
