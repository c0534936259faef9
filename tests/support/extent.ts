/**
 * How much is tried of what is too much for each run of all tests.
 *
 * @module
 */

/**
 * A number that a variable of the environment names, or else the first argument, as a task has it; undefined where
 * neither does, as in a run of all tests.
 */
export function extentOf(variable: string): number | undefined {
  const given = Deno.env.get(variable) ?? Deno.args[0];
  if (given === undefined) return undefined;
  const extent = Number(given);
  if (Number.isInteger(extent) && extent > 0) return extent;
  throw new Error(`${variable} is a number from 1 on, not ${JSON.stringify(given)}`);
}
