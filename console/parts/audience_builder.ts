/** The builder of an audience: nested groups of conditions, each a row of fields. It changes the same JSON that is saved. */
import type { ComponentChildren, VNode } from "preact";
import { tags, view } from "../app/tags.ts";
import {
  blank,
  comparison,
  COMPARISONS,
  fieldText,
  type Kind,
  KIND_NAMES,
  kindOf,
  matchOf,
  NUMBERS,
  sentence,
  singleTrait,
  valueOf,
} from "../core/audience.ts";
import type { Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action } from "./basics.ts";

const { code, div, fieldset, input, legend, option, select, span } = tags;

/** A condition that is built. */
export interface BuilderProps {
  node: Json;
  onChange(node: Json): void;
  onRemove?(): void;
  /** Names of other audiences. */
  audiences: readonly string[];
}

/** A condition, and all in it. */
export function Builder(props: BuilderProps): VNode {
  const { node, onChange, onRemove, audiences } = props;
  const kind = kindOf(node);
  if (kind === "all" || kind === "any") return groupOf(props, kind);
  if (kind === "not") {
    return fieldset(
      { class: "conditions" },
      legend(null, "NOT"),
      view(Builder, { node: node.not, onChange: (not) => onChange({ not }), audiences }),
      removal(props),
    );
  }
  return div(
    { class: "row condition" },
    select({
      "aria-label": "Kind of condition",
      value: kind,
      onChange: (event: Event) => onChange(blank((event.target as HTMLSelectElement).value as Kind)),
    }, Object.entries(KIND_NAMES).map(([value, name]) => option({ key: value, value }, name))),
    fieldsOf(kind, props),
    onRemove && removal(props),
  );
}

function removal({ node, onRemove }: BuilderProps): ComponentChildren {
  return onRemove &&
    action("", onRemove, { icon: "close", kind: "quiet", label: `Remove: ${visible(sentence(node))}` });
}

function groupOf(props: BuilderProps, kind: "all" | "any"): VNode {
  const { node, onChange, audiences } = props;
  const parts: Json[] = node[kind];
  const changed = (next: Json[]) => onChange({ [kind]: next });
  return fieldset(
    { class: "conditions" },
    legend(null, kind === "all" ? "ALL of these" : "ANY of these"),
    parts.map((part, index) =>
      view(Builder, {
        key: index,
        node: part,
        audiences,
        onChange: (next) => changed(parts.with(index, next)),
        ...parts.length > 1 && { onRemove: () => changed(parts.toSpliced(index, 1)) },
      })
    ),
    div(
      { class: "row" },
      action("Condition", () => changed([...parts, blank("trait")]), { icon: "plus", kind: "quiet" }),
      action("Group", () => changed([...parts, blank(kind === "all" ? "any" : "all")]), {
        icon: "plus",
        kind: "quiet",
      }),
      action(
        kind === "all" ? "Make it ANY of" : "Make it ALL of",
        () => onChange({ [kind === "all" ? "any" : "all"]: parts }),
        { kind: "quiet" },
      ),
      removal(props),
    ),
  );
}

function fieldsOf(kind: Kind, { node, onChange, audiences }: BuilderProps): ComponentChildren {
  const event = text("Event", node.event ?? "", (event) => onChange({ ...node, event }));
  const within = text("Within, empty for ever", node.within ?? "", (within) => {
    const { within: _, ...rest } = node;
    onChange(within === "" ? rest : { ...rest, within });
  }, "30d");
  if (kind === "trait") return traitFields(node.traits, (traits) => onChange({ traits }));
  if (kind === "group") {
    return [
      choice(
        "Which groups",
        matchOf(node),
        { ["any"]: "any group", all: "all groups", none: "no group" },
        (match) => onChange({ ...node, match }),
      ),
      traitFields(node.group.traits, (traits) => onChange({ ...node, group: { traits } })),
    ];
  }
  if (kind === "audience") {
    const names = audiences.includes(node.audience) ? audiences : [node.audience, ...audiences];
    return choice(
      "Audience",
      node.audience,
      Object.fromEntries(names.map((name) => [name, visible(name)])),
      (audience) => onChange({ audience }),
    );
  }
  if (kind === "last") {
    return [
      event,
      span(null, "longer ago than"),
      text(
        "Longer ago than",
        node.last.moreThan,
        (moreThan) => onChange({ ...node, last: { moreThan } }),
        "14d",
      ),
    ];
  }
  if (kind === "sum") {
    return [
      text("Sum of", node.sum, (sum) => onChange({ ...node, sum }), "properties.total"),
      event,
      numberFields(node.value, (value) => onChange({ ...node, value })),
      within,
    ];
  }
  if (kind === "event") {
    return [
      event,
      numberFields(node.count ?? { $gte: 1 }, (count) => onChange({ ...node, count })),
      span(null, "times within"),
      within,
    ];
  }
  return code({ class: "grow" }, visible(JSON.stringify(node)));
}

function traitFields(traits: Json, onTraits: (traits: Json) => void): ComponentChildren {
  const { key, operator, operand } = singleTrait(traits)!;
  const change = (name: string, operator: string, operand: Json) =>
    onTraits({ [name]: operator === "$eq" ? operand : { [operator]: operand } });
  return [
    text("Trait", key, (name) => change(name, operator, operand)),
    choice(
      "Comparison",
      operator,
      COMPARISONS,
      (next) => change(key, next, next === "$exists" ? true : operator === "$exists" ? "" : operand),
    ),
    text("Value", fieldText(operand), (value) => change(key, operator, valueOf(value))),
  ];
}

function numberFields(condition: Json, onCondition: (condition: Json) => void): ComponentChildren {
  const [operator, operand] = comparison(condition)!;
  return [
    choice("How many", operator, NUMBERS, (next) => onCondition({ [next]: operand })),
    input({
      "aria-label": "Number",
      type: "number",
      class: "narrow",
      value: String(operand),
      onInput: (event: Event) => {
        const value = (event.target as HTMLInputElement).valueAsNumber;
        if (Number.isFinite(value)) onCondition({ [operator]: value });
      },
    }),
  ];
}

function text(label: string, value: string, onText: (text: string) => void, placeholder = ""): VNode {
  return input({
    key: label,
    "aria-label": label,
    type: "text",
    value,
    placeholder,
    onInput: (event: Event) => onText((event.target as HTMLInputElement).value),
  });
}

function choice(
  label: string,
  value: string,
  names: Readonly<Record<string, string>>,
  onChoice: (value: string) => void,
): VNode {
  return select({
    key: label,
    "aria-label": label,
    value,
    onChange: (event: Event) => onChoice((event.target as HTMLSelectElement).value),
  }, Object.entries(names).map(([value, name]) => option({ key: value, value }, name)));
}
