/** A list of any length of which only the rows in sight are drawn. Rows have one height. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { tags } from "../app/tags.ts";

const { div } = tags;

/** A list and how its rows are drawn. */
export interface WindowListProps {
  /** What the list holds, for readers who cannot see it. */
  label: string;
  /** Rows in all. */
  count: number;
  /** Height of a row in pixels. */
  rowHeight: number;
  /** The names of the columns. */
  columns: readonly string[];
  /** The cells of a row; a single one spans all columns. */
  row(index: number): { cells: ComponentChildren[]; class?: string; isWhole?: boolean };
  /** The chosen row; -1 for none. */
  active: number;
  onActive(index: number): void;
  onOpen(index: number): void;
  /** Called when the reader leaves the top, and when they return to it. */
  onTop?(isAtTop: boolean): void;
  class: string;
}

/** Rows drawn above and below those in sight. */
const MARGIN_ROWS = 6;

/** The list: one stop of the Tab key; arrows choose a row, Enter opens it. */
export function WindowList(props: WindowListProps): VNode {
  const { label, count, rowHeight, columns, row, active, onActive, onOpen, onTop } = props;
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ top: 0, height: 600 });
  useEffect(() => {
    const element = box.current!;
    const look = () => setRange({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const element = box.current!;
    if (active < 0) return;
    const [from, to] = [active * rowHeight, (active + 1) * rowHeight];
    if (from < element.scrollTop) element.scrollTop = from;
    else if (to > element.scrollTop + element.clientHeight) element.scrollTop = to - element.clientHeight;
  }, [active]);
  const first = Math.max(0, Math.floor(range.top / rowHeight) - MARGIN_ROWS);
  const last = Math.min(count, Math.ceil((range.top + range.height) / rowHeight) + MARGIN_ROWS);
  const pool = Math.ceil(range.height / rowHeight) + 2 * MARGIN_ROWS + 2;
  const rows = [];
  for (let index = first; index < last; index++) {
    const { cells, class: look = "", isWhole = false } = row(index);
    rows.push({
      key: index % pool,
      node: rowOf(index, { cells, look, isWhole, active, rowHeight, onActive, onOpen }),
    });
  }
  rows.sort((a, b) => a.key - b.key);
  const move = (to: number) => count > 0 && onActive(Math.max(0, Math.min(count - 1, to)));
  return div(
    { class: `window ${props.class}`, role: "grid", "aria-label": label, "aria-rowcount": count + 1 },
    div(
      { class: "window-head", role: "row", "aria-rowindex": 1 },
      columns.map((name) => div({ key: name, role: "columnheader", class: "cell" }, name)),
    ),
    div(
      {
        ref: box,
        class: "window-body",
        role: "rowgroup",
        tabIndex: 0,
        "aria-label": label,
        ...active >= first && active < last && { "aria-activedescendant": `row-${active}` },
        onScroll(event: Event) {
          const { scrollTop, clientHeight } = event.currentTarget as HTMLElement;
          setRange({ top: scrollTop, height: clientHeight });
          onTop?.(scrollTop < rowHeight / 2);
        },
        onKeyDown(event: KeyboardEvent) {
          const page = Math.max(1, Math.floor(range.height / rowHeight) - 1);
          const steps: Record<string, number> = {
            ArrowDown: active + 1,
            j: active + 1,
            ArrowUp: active - 1,
            k: active - 1,
            PageDown: active + page,
            PageUp: active - page,
            End: count - 1,
            Home: 0,
          };
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          if (event.key === "Enter" && active >= 0) onOpen(active);
          else if (event.key in steps) move(steps[event.key]!);
          else return;
          event.preventDefault();
        },
      },
      div(
        { class: "window-space", role: "presentation", style: { height: `${count * rowHeight}px` } },
        rows.map(({ node }) => node),
      ),
    ),
  );
}

interface RowProps {
  cells: ComponentChildren[];
  look: string;
  isWhole: boolean;
  active: number;
  rowHeight: number;
  onActive(index: number): void;
  onOpen(index: number): void;
}

function rowOf(
  index: number,
  { cells, look, isWhole, active, rowHeight, onActive, onOpen }: RowProps,
): VNode {
  return div(
    {
      key: index,
      id: `row-${index}`,
      role: "row",
      "aria-rowindex": index + 2,
      "aria-selected": index === active ? "true" : "false",
      class: `window-row ${look}${isWhole ? " whole" : ""}`,
      style: { top: `${index * rowHeight}px`, height: `${rowHeight}px` },
      onClick() {
        onActive(index);
        onOpen(index);
      },
    },
    cells.map((cell, column) => div({ key: column, role: "gridcell", class: "cell" }, cell)),
  );
}
