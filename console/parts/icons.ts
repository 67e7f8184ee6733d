/** Icons as SVG, drawn on 16 by 16 with strokes in the colour of the text. */
import type { VNode } from "preact";
import { tags } from "../app/tags.ts";

const PATHS = {
  overview: "M2.5 13.5v-4M6.2 13.5v-8M9.8 13.5v-6M13.5 13.5v-11",
  live: "M1.5 8h3l2-5 3 10 2-5h3",
  test: "M3 2.8 13 8 3 13.2V9.4L8 8 3 6.6Z",
  users: "M8 7.6a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2ZM2.8 13.6c.5-2.6 2.6-4 5.2-4s4.7 1.4 5.2 4",
  groups:
    "M5.8 7.400a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.400ZM1.5 13c.4-2.2 2.1-3.4 4.3-3.400s3.9 1.2 4.3 3.400M10.6 3.200a2.2 2.2 0 0 1 0 4.100M12 9.900c1.4.5 2.3 1.6 2.5 3.1",
  audiences:
    "M8 13.800a5.8 5.8 0 1 0 0-11.600 5.8 5.8 0 0 0 0 11.600ZM8 10.800a2.8 2.8 0 1 0 0-5.600 2.8 2.8 0 0 0 0 5.600ZM8 8h.1",
  contracts: "M4 1.800h5.500L12.5 5v9.200H4ZM9.3 2v3.200h3M6.2 9.800l1.4 1.4 2.6-2.9",
  quarantine: "M8 1.8 14.3 13.300H1.700ZM8 6.200v3.400M8 11.500v.1",
  forwarding: "M1.8 8h7.400M6.7 5l3 3-3 3M12 2.500h2.200v11H12",
  transformations:
    "M2 4.500h3.500l5 7H14M2 11.500h3.500l1.400-2M9.1 6.500l1.400-2H14M12 2.500l2 2-2 2M12 9.500l2 2-2 2",
  keys: "M10.3 8.200a2.9 2.9 0 1 0-2.5-2.500L2.2 11.300v2.500h2.500v-1.700h1.700v-1.600h1.600ZM11 5h.1",
  settings:
    "M2 4.500h6M11.5 4.500H14M2 11.500h2.500M8 11.500h6M9.7 6.200a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.400ZM6.2 13.200a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.400Z",
  event: "M3 3h10v10H3Z",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.7 10.7 14 14",
  close: "M3.8 3.800l8.4 8.400M12.2 3.800l-8.4 8.4",
  copy: "M5.5 5.500h8v8h-8ZM10.5 5.500v-3h-8v8h3",
  check: "M3 8.5 6.5 12 13 4.5",
  plus: "M8 3v10M3 8h10",
  more: "M3 8h.1M8 8h.1M13 8h.1",
  pause: "M5.5 3.500v9M10.5 3.500v9",
  play: "M4.5 3v10l8-5Z",
  moon: "M13.5 9.700A6 6 0 0 1 6.3 2.500a6 6 0 1 0 7.2 7.200Z",
  help:
    "M8 14.200A6.2 6.2 0 1 0 8 1.800a6.2 6.2 0 0 0 0 12.400ZM6.2 6.300c.1-1.1.8-1.7 1.8-1.700s1.8.6 1.8 1.600c0 1.3-1.8 1.4-1.8 2.700M8 11.300v.1",
  menu: "M2 4h12M2 8h12M2 12h12",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  up: "M3.5 9.5 8 5l4.5 4.5",
  down: "M3.5 6.5 8 11l4.5-4.5",
  link:
    "M6.7 9.300l2.6-2.600M7.4 4.600l1.5-1.500a2.9 2.9 0 0 1 4.1 4.100l-1.5 1.500M8.6 11.400l-1.5 1.500a2.9 2.9 0 0 1-4.1-4.100l1.5-1.5",
  filter: "M2 3.500h12M4.5 8h7M6.8 12.500h2.4",
  refresh: "M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.800V5h-3.2",
  trash: "M2.5 4.200h11M6 4V2.300h4V4M4 4.200l.7 9.500h6.600l.7-9.5",
  out: "M9.5 11v2.500h-7v-11h7V5M6.5 8h8M12 5.5 14.5 8 12 10.5",
  duplicate: "M3 6h10M3 10h10",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon beside a word: it has no name of its own. */
export function icon(name: IconName): VNode {
  return tags.svg(
    { class: "icon", viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" },
    tags.path({ d: PATHS[name] }),
  );
}
