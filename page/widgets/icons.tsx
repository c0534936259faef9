/**
 * The icons of the page. A screen reader does not see them: a label beside an icon, or that of its button, says the same.
 *
 * @module
 */

import type { VNode } from "preact";

/** The outlines of the icons, on a square of 24. */
const OUTLINES = {
  folder:
    "M3 7.5A2.5 2.5 0 0 1 5.5 5h3.6c0.6 0 1.2.3 1.6.7L12.5 8h6A2.5 2.5 0 0 1 21 10.5v6A2.5 2.5 0 0 1 18.5 19h-13A2.5 2.5 0 0 1 3 16.5z",
  file: "M13.5 3.5H7.5a2 2 0 0 0-2 2v13a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2v-10zm0 0v5h5",
  image: "M5 4.5h14v15H5zm0 11 4-4 3.5 3.5 2-2 4.5 4.5M15.5 9h0.01",
  video: "M4 6.5h16v11H4zM10.5 9.5v5l4-2.5z",
  audio:
    "M9 17.5V6l9-2v11.5M9 17.5a2.25 2.25 0 1 1-4.5 0 2.25 2.25 0 0 1 4.5 0m9-2a2.25 2.25 0 1 1-4.5 0 2.25 2.25 0 0 1 4.5 0",
  archive: "M5 8.5v9a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-9M3.5 4.5h17v4h-17zM10 12.5h4",
  text: "M13.5 3.5H7.5a2 2 0 0 0-2 2v13a2 2 0 0 0 2 2h9a2 2 0 0 0 2-2v-10zm0 0v5h5M9 13h6m-6 3.5h4",
  other: "M12 4 20 12 12 20 4 12z",
  upload: "M12 15.5v-11m0 0L7.5 9M12 4.5 16.5 9M4.5 15.5v2.5a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-2.5",
  uploadFolder:
    "M3 7.5A2.5 2.5 0 0 1 5.5 5h3.6c0.6 0 1.2.3 1.6.7L12.5 8h6a2.5 2.5 0 0 1 2.5 2.5v6a2.5 2.5 0 0 1-2.5 2.5h-13A2.5 2.5 0 0 1 3 16.5zM12 16v-5m0 0-2.2 2.2M12 11l2.2 2.2",
  newFolder:
    "M3 7.5A2.5 2.5 0 0 1 5.5 5h3.6c0.6 0 1.2.3 1.6.7L12.5 8h6a2.5 2.5 0 0 1 2.5 2.5v6a2.5 2.5 0 0 1-2.5 2.5h-13A2.5 2.5 0 0 1 3 16.5zM12 11v5m-2.5-2.5h5",
  download:
    "M12 4.5v11m0 0 4.5-4.5M12 15.5 7.5 11M4.5 15.5v2.5a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2v-2.5",
  share:
    "M10 14a4 4 0 0 0 6 0.4l3-3a4 4 0 0 0-5.7-5.7l-1.3 1.3M14 10a4 4 0 0 0-6-0.4l-3 3a4 4 0 0 0 5.7 5.7l1.3-1.3",
  rename:
    "M4.5 19.5l0.9-4L15.8 5.1a1.8 1.8 0 0 1 2.5 0l0.6.6a1.8 1.8 0 0 1 0 2.5L8.5 18.6zM13.8 7.1l3.1 3.1",
  remove:
    "M4.5 7h15M9.5 7V5a1 1 0 0 1 1-1h3a1 1 0 0 1 1 1v2M6.5 7l0.8 11.2a2 2 0 0 0 2 1.8h5.4a2 2 0 0 0 2-1.8L17.5 7M10 11v5m4-5v5",
  details: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 11.5V16m0-8h0.01",
  search: "M11 17.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13m4.7-1.8L20 20",
  close: "M6 6l12 12M18 6 6 18",
  more: "M12 6h0.01M12 12h0.01M12 18h0.01",
  reload: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9m0-4.5V9H15",
  theme: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17M12 3.5v17m2-16v15m2-13.5v12m2-10v8",
  keys: "M3.5 6.5h17v11h-17zM7 10h0.01M10.3 10h0.01m3.4 0h0.01M17 10h0.01M8 14h8",
  logOut: "M10 4.5H6.5a2 2 0 0 0-2 2v11a2 2 0 0 0 2 2H10M15.5 16l4-4-4-4M19.5 12H9.5",
  copy: "M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1",
  up: "M12 18.5v-13m0 0L6.5 11M12 5.5l5.5 5.5",
  down: "M12 5.5v13m0 0 5.5-5.5M12 18.5 6.5 13",
  chevron: "M9.5 6.5 15 12l-5.5 5.5",
  alert: "M12 4 21 19.5H3zM12 10v4m0 2.8h0.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  language:
    "M3.5 12a8.5 8.5 0 1 0 17 0 8.5 8.5 0 0 0-17 0m0 0h17M12 3.5c2.5 2.5 3.5 5.3 3.5 8.5s-1 6-3.5 8.5c-2.5-2.5-3.5-5.3-3.5-8.5s1-6 3.5-8.5",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof OUTLINES;

/** An icon. */
export function Icon({ name }: { name: IconName }): VNode {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={OUTLINES[name]} />
    </svg>
  );
}

/** The icon of a kind of file, by how its name ends. */
const KINDS: readonly (readonly [RegExp, IconName])[] = [
  [/\.(png|jpe?g|gif|webp|avif|heic|svg|tiff?|bmp|raw)$/i, "image"],
  [/\.(mp4|mkv|mov|webm|avi|m4v)$/i, "video"],
  [/\.(mp3|flac|wav|ogg|m4a|opus|aac)$/i, "audio"],
  [/\.(zip|tar|t?gz|t?xz|bz2|zst|7z|rar|deb|rpm|iso)$/i, "archive"],
  [/\.(txt|md|pdf|docx?|odt|rtf|csv|xlsx?|json|xml|html?|log|tex)$/i, "text"],
];

/** The icon of an entry of a directory. */
export function iconOf(type: string, name: string): IconName {
  if (type === "directory") return "folder";
  if (type !== "file") return "other";
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? "file";
}
