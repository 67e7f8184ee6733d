/**
 * A reader of OpenMetrics 1.0 text that is strict about what it knows: counters, gauges and histograms. It throws at what
 * breaks a rule of "OpenMetrics, a cloud-native, highly scalable metrics protocol" (sections in brackets).
 */

/** A family of samples. */
export interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABELS = /^(?:([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$))/;

/** What the samples of a type are called, after the family's name (5.1). */
const SUFFIXES: Record<string, string[]> = {
  gauge: [""],
  counter: ["_total", "_created"],
  histogram: ["_bucket", "_sum", "_count", "_created"],
};

/** Reads an exposition. */
export function readOpenMetrics(text: string): Map<string, Family> {
  // "The EOF … MUST be the last line" and lines end in a line feed (4.1).
  if (!text.endsWith("\n# EOF\n")) throw new SyntaxError("the end must be a line # EOF");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: { name: string; family: Family } | undefined;
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    if (line === "") throw new SyntaxError("there must be no empty line");
    if (line.startsWith("#")) {
      const [, kind, name, rest] = /^# (TYPE|HELP|UNIT) (\S+) (.*)$/.exec(line) ??
        fail("metadata must be TYPE, HELP or UNIT", line);
      if (!NAME.test(name!)) fail("a name must be one", line);
      if (current?.name !== name) {
        // "MetricFamilies MUST NOT be interleaved", names must be unique (4.4, 5).
        if (families.has(name!)) fail("a family must stand together", line);
        current = { name: name!, family: { type: "unknown", help: "", samples: [] } };
        families.set(name!, current.family);
      }
      if (current!.family.samples.length > 0) fail("metadata must come before samples", line);
      if (kind === "TYPE") current!.family.type = rest!;
      if (kind === "HELP") current!.family.help = rest!;
      continue;
    }
    const sample = readSample(line);
    const { name, family } = current ?? fail("a sample must follow its metadata", line);
    const suffixes = SUFFIXES[family.type] ?? fail(`the type ${family.type} is not known here`, line);
    if (!suffixes.some((suffix) => sample.name === name + suffix)) fail(`must be a sample of ${name}`, line);
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).toSorted())}`;
    if (seen.has(key)) fail("a sample must stand once", line);
    seen.add(key);
    if (family.type !== "gauge" && !(sample.value >= 0)) fail("must not be negative or NaN", line);
    family.samples.push(sample);
  }
  for (const [name, family] of families) if (family.type === "histogram") checkHistogram(name, family);
  return families;
}

function readSample(line: string): Family["samples"][number] {
  const [, name, , inner = "", value] = /^([^\s{]+)(\{(.*)\})? (\S+)$/.exec(line) ??
    fail("must be a sample", line);
  if (!NAME.test(name!)) fail("a name must be one", line);
  const labels: Record<string, string> = Object.create(null);
  for (let rest = inner; rest !== "";) {
    const [found, label, text] = LABELS.exec(rest) ?? fail("labels must be quoted and escaped", line);
    if (label! in labels) fail("a label must stand once", line);
    labels[label!] = text!;
    rest = rest.slice(found.length);
  }
  if (!/^[-+]?(\d+(\.\d+)?(e[-+]?\d+)?|inf|nan)$/i.test(value!)) fail("must be a number", line);
  return { name: name!, labels, value: Number(value!.replace(/inf/i, "Infinity")) };
}

/** "Bucket values MUST be cumulative", there is one of +Inf, which equals the count (5.1.4). */
function checkHistogram(name: string, { samples }: Family): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => Number(labels.le!.replace("+Inf", "Infinity")));
  const value = (suffix: string) => samples.find((sample) => sample.name === name + suffix)?.value;
  for (let i = 1; i < buckets.length; i++) {
    if (!(bounds[i]! > bounds[i - 1]!) || buckets[i]!.value < buckets[i - 1]!.value) {
      fail("buckets must be in order and add up", name);
    }
  }
  if (
    bounds.at(-1) !== Infinity || buckets.at(-1)!.value !== value("_count") || value("_sum") === undefined
  ) {
    fail("a histogram must end at +Inf, and have its count and sum", name);
  }
}

function fail(rule: string, line: string): never {
  throw new SyntaxError(`${rule}: ${line}`);
}
