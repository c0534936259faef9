/**
 * The config file: a TOML file whose keys are the names of options.
 *
 * @module
 */

import { parse as parseToml } from "@std/toml/parse";
import { FerryError, quote, toFerryError } from "../core/errors.ts";
import type { OptionTable } from "./command_spec.ts";
import { readRegularFile } from "./input_file.ts";
import { raise } from "./option_value.ts";
import { didYouMean } from "./suggestion.ts";

/**
 * The options that a config file sets, by name, written as on the command line.
 *
 * @param configurable the options that it may set
 * @param report called with `usage` if the file cannot be read, is not TOML, or sets an option that does not exist or has
 * another type. What is returned is without that. Default: the first one is thrown.
 */
export function readConfigFile(
  path: string,
  configurable: OptionTable,
  report: (problem: FerryError) => void = raise,
): Map<string, string | boolean | string[]> {
  const action = `read the configuration ${quote(path)}`;
  const wrong = (reason: string, cause?: unknown) =>
    report(new FerryError("usage", reason, { action, cause }));
  let table: Record<string, unknown> = {};
  try {
    table = parseToml(readRegularFile(path));
  } catch (error) {
    // The parser's message names the line and what it expected there.
    const reason = error instanceof SyntaxError ? error.message : toFerryError(error).reason;
    wrong(reason, error);
  }
  for (const [key, value] of Object.entries(table)) {
    const spec = Object.hasOwn(configurable, key) ? configurable[key] : undefined;
    if (!spec) {
      const meant = didYouMean(key, Object.keys(configurable));
      wrong(`there is no option ${quote(key)}${meant}`);
      delete table[key];
      continue;
    }
    if (spec.kind === "list" && isTexts(value)) continue;
    if (spec.implied !== undefined && typeof value === "boolean") {
      table[key] = String(value);
      continue;
    }
    const right = spec.kind === "flag" ? typeof value === "boolean" : typeof value !== "boolean";
    if (!right || typeof value === "object") {
      const wanted = spec.kind === "flag"
        ? "true or false"
        : spec.implied === undefined
        ? "a text or a number"
        : "true or false, a text or a number";
      wrong(`${key} is not ${wanted}`);
      delete table[key];
    } else if (spec.kind !== "flag") table[key] = String(value);
  }
  return new Map(Object.entries(table) as [string, string | boolean | string[]][]);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
