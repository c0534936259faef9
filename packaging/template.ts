/**
 * Texts with placeholders.
 *
 * @module
 */

/**
 * A text with each `{{name}}` replaced by the value of that name.
 *
 * @throws where there is no such value
 */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the template asks for ${name}`);
    return value;
  });
}
