/** Elements as typed functions: `div({ class: "x" }, …)`, and components: `view(Chart, { bars })`. */
import { type ComponentChildren, h, type JSX, type Key, type VNode } from "preact";

/** Attributes of our own. */
type Data = { [Name in `data-${string}`]?: string | number };

/** One function for each element, whose attributes are checked. */
export type Tags = {
  [Name in keyof JSX.IntrinsicElements]: (
    attributes: (JSX.IntrinsicElements[Name] & Data) | null,
    ...children: ComponentChildren[]
  ) => VNode;
};

/** `tags.div({ class: "x" }, …)` is an element of HTML or SVG. */
export const tags = new Proxy({} as Tags, {
  get: (_, name: string) => (attributes: object | null, ...children: ComponentChildren[]) =>
    h(name, attributes as never, ...children),
});

/** A component with its properties. */
export function view<Props extends object>(
  component: (props: Props) => ComponentChildren,
  ...[props]: object extends Props ? [(Props & { key?: Key })?] : [Props & { key?: Key }]
): VNode {
  return h(component as never, props as never);
}
