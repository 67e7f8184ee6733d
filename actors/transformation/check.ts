/** Runs a draft beside what stands, over the last events of the journal. Touches no destination, and writes nothing. */
import { parseExact } from "../../domain/event/exact_json.ts";
import { canonicalJson, type JsonObject } from "../../domain/event/json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import { readCondition } from "../../domain/condition/condition.ts";
import type { Failure, Outcome } from "../../domain/transformation/outcome.ts";
import { ERASED_LINE } from "../journal/body.ts";
import { type JournalEntry, linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import type { PersonsBefore, Positioned } from "./chain.ts";
import type { Runnable } from "./run_definition.ts";

/** An event that the two make different, and what they make of it: an event, several, `null`, or an error. */
export interface Difference {
  messageId: string;
  before: unknown;
  after: unknown;
  /** Why the checked one failed. */
  error?: Failure;
}

/** The result of a check. */
export interface Check {
  checked: number;
  same: number;
  changed: number;
  dropped: number;
  failed: number;
  /** Whether all events were checked; `false` if that would take longer than a minute. */
  complete: boolean;
  examples: Difference[];
}

/** How far a check is. */
export interface CheckProgress {
  checked: number;
  of: number;
}

/** Differences that an answer shows. */
export const MAX_DIFFERENCES = 20;

/** Events that are gone through for some that meet a condition. */
export const MAX_SCANNED_EVENTS = 200_000;

/** Entries read at once, and events run at once. */
const ENTRIES_AT_ONCE = 8;
const EVENTS_AT_ONCE = 100;

/** Other requests get their turn after this time; and the answer covers the events that were checked by then. */
const TURN_MS = 10;
const DEADLINE_MS = 60_000;

/** What a check is given. */
export interface CheckOptions {
  store: Store;
  clock: Clock;
  /** What is checked, and what stands: without it the event itself. */
  checked: Runnable;
  standing: Runnable | undefined;
  last: number;
  /** A condition that was checked before. */
  where: JsonObject | undefined;
  /** Profiles just before events, which are asked for in order. */
  personsBefore: PersonsBefore;
  onProgress(progress: CheckProgress): void;
  /** Whether nobody waits for the result any more. */
  isCancelled(): boolean;
}

/** Checks the last events, in their order. */
export async function checkRunnable(options: CheckOptions): Promise<Check> {
  const { clock, checked, standing, onProgress, isCancelled, personsBefore } = options;
  const loaded = await Promise.all([checked.load(), standing?.load()]);
  const usesPerson = loaded.some((each) => each !== undefined && "usesPerson" in each && each.usesPerson);
  const result: Check = {
    checked: 0,
    same: 0,
    changed: 0,
    dropped: 0,
    failed: 0,
    complete: true,
    examples: [],
  };
  const beganMs = clock.monotonic();
  const { after, of } = await findFirst(options);

  async function checkSome(events: readonly Positioned[]): Promise<void> {
    const persons = usesPerson ? await personsBefore(events) : [];
    const inputs = events.map(({ event }, index) => ({ event, person: persons[index] }));
    const outcomes = await checked.run(inputs);
    const before = await standing?.run(inputs);
    for (const [index, outcome] of outcomes.entries()) {
      const { event } = inputs[index]!;
      count(result, { event, outcome, before: before?.[index] ?? { results: [event] } });
    }
    onProgress({ checked: result.checked, of });
  }

  onProgress({ checked: 0, of });
  let waiting: Positioned[] = [];
  for await (const event of matching(options, after)) {
    waiting.push(event);
    if (waiting.length < EVENTS_AT_ONCE && result.checked + waiting.length < of) continue;
    await checkSome(waiting);
    waiting = [];
    if (result.checked >= of) break;
    if (isCancelled() || clock.monotonic() - beganMs > DEADLINE_MS) return { ...result, complete: false };
    await clock.turn();
  }
  if (waiting.length > 0) await checkSome(waiting);
  return result;
}

/** Where the last events begin, and how many there are. */
async function findFirst(
  { store, clock, last, where }: CheckOptions,
): Promise<{ after: Position | undefined; of: number }> {
  const meets = testOf(where);
  let of = 0;
  let scanned = 0;
  let after: Position | undefined;
  let turnMs = clock.monotonic();
  for await (const entry of readJournal(store, { reverse: true, batch: ENTRIES_AT_ONCE })) {
    const lines = await linesOfEntry(store, entry);
    for (let index = lines.length - 1; index >= 0; index--) {
      if (of === last || scanned === MAX_SCANNED_EVENTS) return { after, of };
      scanned++;
      if (!isMatch(lines[index]!, meets)) continue;
      of++;
      after = positionIn(entry, index);
    }
    if (clock.monotonic() - turnMs > TURN_MS) {
      await clock.turn();
      turnMs = clock.monotonic();
    }
  }
  return { after, of };
}

type Test = ((event: StoredEvent) => boolean) | undefined;

function testOf(where: JsonObject | undefined): Test {
  if (where === undefined) return undefined;
  const condition = readCondition(where);
  if ("problem" in condition) throw new TypeError(`condition ${condition.problem.message}`);
  return condition.test;
}

function isMatch(line: string, meets: Test): boolean {
  return line !== ERASED_LINE && (meets === undefined || meets(parseExact(line) as StoredEvent));
}

/** The events from a position on that meet the condition. */
async function* matching(
  { store, where }: CheckOptions,
  from: Position | undefined,
): AsyncGenerator<Positioned> {
  if (from === undefined) return;
  const meets = testOf(where);
  for await (const entry of readJournal(store, { after: from, batch: ENTRIES_AT_ONCE })) {
    yield* matchingIn(entry, await linesOfEntry(store, entry), { from, meets });
  }
}

function* matchingIn(
  entry: JournalEntry,
  lines: readonly string[],
  { from, meets }: { from: Position; meets: Test },
): Generator<Positioned> {
  for (const [index, line] of lines.entries()) {
    const position = positionIn(entry, index);
    if (position < from || !isMatch(line, meets)) continue;
    yield { event: parseExact(line) as StoredEvent, position };
  }
}

/** Counts one event, and shows it if the two differ. */
function count(
  result: Check,
  { event, outcome, before }: { event: StoredEvent; outcome: Outcome; before: Outcome },
): void {
  result.checked++;
  const [was, is] = [shown(before), shown(outcome)];
  if ("error" in outcome) result.failed++;
  else if (canonicalJson(was) === canonicalJson(is)) {
    result.same++;
    return;
  } else if (outcome.results.length === 0) result.dropped++;
  else result.changed++;
  if (result.examples.length === MAX_DIFFERENCES) return;
  result.examples.push({
    messageId: event.messageId,
    before: was,
    after: "error" in outcome ? null : is,
    ..."error" in outcome && { error: outcome.error },
  });
}

/** What was made of an event: an event, several, `null` for none, or the error. */
function shown(outcome: Outcome): unknown {
  if ("error" in outcome) return { error: outcome.error };
  const { results } = outcome;
  return results.length === 1 ? results[0] : results.length === 0 ? null : results;
}
