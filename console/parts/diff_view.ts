/** Differences of texts, below and beside each other, and the versions of something that is saved. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../app/api.ts";
import { useApi, useLoad } from "../app/load.ts";
import { tags } from "../app/tags.ts";
import { lineChanges, type Row, rowsOf } from "../core/diff.ts";
import type { Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action, failure, loaded, when } from "./basics.ts";

const { div, h2, li, pre, section, span, ul } = tags;

/** Lines around a difference that are shown. */
const AROUND = 2;

/** Whether something that differs is near the place `n`. */
function isNear<Line>(lines: readonly Line[], n: number, differs: (line: Line) => boolean): boolean {
  return lines.slice(Math.max(0, n - AROUND), n + AROUND + 1).some(differs);
}

/** Two texts line by line. */
export function diffView(before: string, after: string): VNode {
  const changes = lineChanges(before, after);
  const differs = ({ sign }: { sign: string }) => sign !== " ";
  return pre(
    { class: "diff", tabIndex: 0, "aria-label": "Differences" },
    changes.some(differs)
      ? changes.map(({ sign, text }, n) =>
        isNear(changes, n, differs) &&
        span({ key: n, class: sign === "+" ? "added" : sign === "-" ? "removed" : "" }, `${sign} ${text}\n`)
      )
      : "The same.",
  );
}

/** A text and its title. */
export interface Side {
  title: string;
  text: string;
}

/** Two texts side by side; on a narrow page the second one is below the first. */
export function sidesView(before: Side, after: Side): VNode {
  const rows = rowsOf(lineChanges(before.text, after.text));
  const near = rows.filter((_, n) => isNear(rows, n, ({ isSame }) => !isSame));
  const side = ({ title }: Side, name: "before" | "after") =>
    div(
      { class: "side" },
      span({ class: "hint" }, title),
      pre(
        {
          class: "diff",
          tabIndex: 0,
          role: "group",
          "aria-label": `${name === "before" ? "Before" : "After"}: ${title}`,
        },
        (near.length === 0 ? rows : near).map((row, n) => sideLine(row, name, n)),
      ),
    );
  return div({ class: "sides" }, side(before, "before"), side(after, "after"));
}

function sideLine({ isSame, ...texts }: Row, name: "before" | "after", n: number): VNode {
  const text = texts[name];
  const [sign, tone] = isSame
    ? [" ", ""]
    : text === undefined
    ? [" ", "nothing"]
    : name === "before"
    ? ["-", "removed"]
    : ["+", "added"];
  return span({ key: n, class: tone }, `${sign} ${text ?? ""}\n`);
}

/** The versions of something. */
export interface VersionsProps {
  /** The path of the list of its versions. */
  path: string;
  /** The version that counts. */
  current: number;
  isDeletion(version: Json): boolean;
  /** The text of a version, which is compared. */
  textOf(version: Json): string | Promise<string>;
  restore(version: number): Promise<Json>;
  onRestored(saved: Json): void;
}

/** The versions, newest first; the chosen one is compared with the current one, and can be restored. */
export function Versions(
  { path, current, isDeletion, textOf, restore, onRestored }: VersionsProps,
): VNode {
  const versions = useApi(path);
  const [error, setError] = useState<ApiError | undefined>();
  const [against, setAgainst] = useState(current);
  const all: Json[] | undefined = versions.value?.versions;
  const texts = useLoad(
    all && `${path} ${against} ${current}`,
    async () => {
      const text = (wanted: number) => {
        const found = all!.find(({ version }) => version === wanted);
        return found === undefined || isDeletion(found) ? "" : textOf(found);
      };
      return await Promise.all([text(against), text(current)]);
    },
  );
  const bringBack = async (version: number) => {
    try {
      onRestored(await restore(version));
      versions.reload();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    }
  };
  const row = (entry: Json) => {
    const { version, at, by, address, restored } = entry;
    return li(
      { key: version, class: version === against ? "chosen" : "" },
      action(`v${version}`, () => setAgainst(version), { kind: "quiet", pressed: version === against }),
      div(
        { class: "grow hint" },
        when(at),
        ` by ${visible(by)}`,
        address ? ` from ${visible(address)}` : "",
        isDeletion(entry) ? ", deleted" : "",
        restored ? `, restored v${restored}` : "",
      ),
      version !== current && !isDeletion(entry) &&
        action("Restore", () => void bringBack(version), { label: `Restore version ${version}` }),
    );
  };
  return div(
    null,
    error && failure(error),
    loaded(versions, () =>
      div(
        { class: "split aside" },
        ul({ class: "card version-list" }, all!.map(row)),
        section(
          { class: "card stack" },
          h2(null, against === current ? `v${against}, as it is now` : `v${against} → v${current}`),
          loaded(texts, ([before, after]) => diffView(before, after)),
        ),
      )),
  );
}
