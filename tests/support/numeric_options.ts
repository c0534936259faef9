/**
 * Command lines of the test tasks, whose options are all numbers.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";

/**
 * Reads options of the form `--name NUMBER`.
 *
 * @param defaults each option and its default value
 * @returns undefined where `--help` asks for the help text
 * @throws where an option is unknown, or is not a number of at most 10 digits
 */
export function parseNumbers<Defaults extends Readonly<Record<string, number | undefined>>>(
  argv: string[],
  defaults: Defaults,
): Defaults | undefined {
  const names = Object.keys(defaults);
  const given: Record<string, unknown> = parseArgs(argv, {
    boolean: ["help"],
    string: names,
    unknown: (arg) => {
      throw new Error(`${arg} is not known (see --help)`);
    },
  });
  if (given.help) return undefined;
  const values = names.map((name): [string, number | undefined] => {
    const text = given[name];
    if (text === undefined) return [name, defaults[name]];
    if (typeof text === "string" && /^\d{1,10}$/.test(text)) return [name, Number(text)];
    throw new Error(`--${name} takes a number`);
  });
  return Object.fromEntries(values) as Defaults;
}

/** A random seed of 32 bits. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
