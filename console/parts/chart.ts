/** Counts over time as stacked bars of SVG, and the same as a table. Arrow keys walk the bars. */
import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { zone } from "../app/preferences.ts";
import { tags, view } from "../app/tags.ts";
import { compact, count } from "../core/text.ts";
import { long, type Period, PERIOD_MS, short } from "../core/time.ts";
import { action } from "./basics.ts";

const {
  defs,
  div,
  figcaption,
  figure,
  g,
  line,
  pattern,
  path,
  rect,
  span,
  svg,
  table,
  tbody,
  td,
  text,
  th,
  thead,
  tr,
} = tags;

/** The counts of a period. */
export interface Bar {
  at: number;
  accepted: number;
  duplicate: number;
  rejected: number;
}

/** What is drawn. */
export interface ChartProps {
  title: string;
  bars: readonly Bar[];
  per: Period;
  /** The moment up to which counts are known: a later bar is not over. */
  nowMs: number;
  onOpen(bar: Bar): void;
}

const SERIES = ["accepted", "duplicate", "rejected"] as const;
const WIDTH = 960;
const HEIGHT = 190;
const LEFT = 44;
const BOTTOM = 22;
const TOP = 8;

/** The chart. */
export function Chart({ title, bars, per, nowMs, onOpen }: ChartProps): VNode {
  const [isTable, setTable] = useState(false);
  const [at, setAt] = useState(-1);
  const area = useRef<SVGSVGElement>(null);
  const max = niceMax(Math.max(1, ...bars.map(sumOf)));
  const step = (WIDTH - LEFT) / bars.length;
  const y = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / max);
  const current = bars[at];
  const chosen = current === undefined ? "" : `${long(current.at, zone())}: ${wordsOf(current)}`;
  const under = (event: PointerEvent) => {
    const box = area.current!.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * WIDTH - LEFT;
    setAt(x < 0 ? -1 : Math.min(bars.length - 1, Math.floor(x / step)));
  };
  const drawing = svg(
    {
      ref: area,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `${title}. ${chosen || "Arrow keys walk the bars, Enter opens what a bar counts."}`,
      tabIndex: 0,
      class: "chart",
      onPointerMove: under,
      onPointerLeave: () => setAt(-1),
      onBlur: () => setAt(-1),
      onClick: () => current && onOpen(current),
      onKeyDown(event: KeyboardEvent) {
        if (event.key === "ArrowRight") setAt(Math.min(bars.length - 1, at + 1));
        else if (event.key === "ArrowLeft") setAt(at < 0 ? bars.length - 1 : Math.max(0, at - 1));
        else if (event.key === "Enter" && current) onOpen(current);
        else return;
        event.preventDefault();
      },
    },
    defs(
      null,
      pattern(
        {
          id: "hatch",
          width: "5",
          height: "5",
          patternUnits: "userSpaceOnUse",
          patternTransform: "rotate(45)",
        },
        rect({ width: "2", height: "5", class: "hatch" }),
      ),
    ),
    [0, 0.5, 1].map((share) =>
      g(
        { key: share },
        line({
          x1: String(LEFT),
          x2: String(WIDTH),
          y1: String(y(share * max)),
          y2: String(y(share * max)),
          class: "rule",
        }),
        text({ x: String(LEFT - 8), y: String(y(share * max) + 4), class: "axis end" }, compact(share * max)),
      )
    ),
    current !== undefined &&
      rect({
        x: String(LEFT + at * step),
        y: String(TOP),
        width: String(step),
        height: String(HEIGHT - TOP - BOTTOM),
        class: "under",
      }),
    bars.map((bar, n) =>
      barOf(bar, { x: LEFT + n * step, step, y, isOpen: bar.at + PERIOD_MS[per] > nowMs })
    ),
    ticksOf(bars, per, nowMs).map(({ n, words }) =>
      text({ key: n, x: String(LEFT + (n + 0.5) * step), y: String(HEIGHT - 6), class: "axis" }, words)
    ),
  );
  return figure(
    { class: "chart-figure" },
    div(
      { class: "row between" },
      figcaption(
        { class: "legend" },
        SERIES.map((name) =>
          span({ key: name, class: "row" }, span({ class: `swatch ${name}`, "aria-hidden": "true" }), name)
        ),
      ),
      span({ class: "soft chart-chosen" }, chosen),
      action(isTable ? "As a chart" : "As a table", () => setTable(!isTable), { kind: "quiet" }),
    ),
    isTable ? view(BarTable, { bars }) : drawing,
  );
}

function barOf(
  bar: Bar,
  { x, step, y, isOpen }: { x: number; step: number; y: (value: number) => number; isOpen: boolean },
): VNode {
  const gap = step > 5 ? Math.min(3, step * 0.22) : 0;
  let below = 0;
  const pieces = SERIES.flatMap((name) => {
    const value = bar[name];
    if (value === 0) return [];
    const [top, bottom] = [y(below + value), y(below)];
    below += value;
    const height = Math.max(1, bottom - top);
    return [
      rect({
        key: name,
        x: String(x + gap / 2),
        width: String(Math.max(1, step - gap)),
        y: String(bottom - height),
        height: String(height),
        class: `bar ${name}`,
      }),
    ];
  });
  return g(
    { key: bar.at },
    pieces,
    isOpen && below > 0 &&
      path({
        d: `M${x + gap / 2} ${y(0)}V${y(below)}h${Math.max(1, step - gap)}V${y(0)}Z`,
        fill: "url(#hatch)",
      }),
  );
}

function BarTable({ bars }: { bars: readonly Bar[] }): VNode {
  return div(
    { class: "scroll bar-table", tabIndex: 0, role: "region", "aria-label": "Counts as a table" },
    table(
      { class: "list" },
      thead(
        null,
        tr(
          null,
          th({ scope: "col" }, "from"),
          SERIES.map((name) => th({ key: name, scope: "col", class: "number" }, name)),
        ),
      ),
      tbody(
        null,
        bars.toReversed().map((bar) =>
          tr(
            { key: bar.at, "data-at": new Date(bar.at).toISOString() },
            td(null, long(bar.at, zone())),
            SERIES.map((name) => td({ key: name, class: "number" }, count(bar[name]))),
          )
        ),
      ),
    ),
  );
}

const sumOf = ({ accepted, duplicate, rejected }: Bar) => accepted + duplicate + rejected;

function wordsOf(bar: Bar): string {
  return SERIES.map((name) => `${count(bar[name])} ${name}`).join(", ");
}

/** Some six moments below the bars. */
function ticksOf(bars: readonly Bar[], per: Period, nowMs: number): { n: number; words: string }[] {
  const every = Math.max(1, Math.ceil(bars.length / 6));
  return bars.flatMap(({ at }, n) => {
    if (n % every !== Math.floor(every / 2)) return [];
    const words = short(at, zone(), nowMs);
    return [{ n, words: per === "day" ? words.replace(/ \d\d:\d\d$/, "") : words }];
  });
}

/** 1, 2 or 5 times a power of ten, at least the value. */
function niceMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 5, 10].find((each) => each * power >= value)!;
  return Math.max(2, factor * power);
}
