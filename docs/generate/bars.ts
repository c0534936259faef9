/**
 * Figures as bars.
 *
 * @module
 */

/** What a picture of figures shows; less is better. */
export interface Figures {
  /** The line above all. */
  title: string;
  /** The unit of the values, as it stands behind them. */
  unit: string;
  /** How the figures were measured. */
  note: string;
  /** What was measured. */
  cases: {
    /** What was done. */
    name: string;
    /** By whom, and the median. */
    bars: { name: string; value: number }[];
  }[];
}

const WIDTH = 760;
const LABEL = 190;
const BAR = 420;
const ROW = 24;

/** A picture of figures. The longest bar of each case has the full length. */
export function bars({ title, unit, note, cases }: Figures): string {
  const lines: string[] = [];
  let y = 28;
  const text = (x: number, at: number, value: string, more = "") =>
    `<text x="${x}" y="${at}" fill="#1f2328" ${more}>${escape(value)}</text>`;
  lines.push(text(16, y, title, 'font-size="16" font-weight="bold"'));
  for (const { name, bars } of cases) {
    y += 34;
    lines.push(text(16, y, name, 'font-weight="bold"'));
    y += 8;
    const longest = Math.max(...bars.map(({ value }) => value));
    for (const { name, value } of bars) {
      const width = Math.max(2, Math.round(BAR * value / longest));
      const fill = name.startsWith("ferry") ? "#0969da" : "#8c959f";
      lines.push(
        text(LABEL - 8, y + 16, name, 'text-anchor="end"'),
        `<rect x="${LABEL}" y="${y + 3}" width="${width}" height="${
          ROW - 6
        }" rx="3" fill="${fill}"/>`,
        text(LABEL + width + 8, y + 16, `${value} ${unit}`),
      );
      y += ROW;
    }
  }
  y += 26;
  lines.push(`<text x="16" y="${y}" fill="#59636e" font-size="11">${escape(note)}</text>`);
  const height = y + 16;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
    `viewBox="0 0 ${WIDTH} ${height}" font-family="Helvetica,Arial,sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`,
    ...lines,
    "</svg>",
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
