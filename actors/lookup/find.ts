/** Finds users and groups by their traits, or by the beginning of their ids. */
import type { Reader } from "../reading/profiles.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor, NotServing } from "../store/errors.ts";
import type { Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { comparable, digestOf } from "./entries.ts";
import type { Followed } from "./follow.ts";
import { LOOKUP, lookupKey, lookupPrefix } from "./keys.ts";

/** Kinds that are looked up. */
export type LookupKind = "user" | "group";

/** What is looked for: all given traits must be equal, and the id must begin with the prefix. */
export interface LookupQuery {
  limit: number;
  cursor?: string | undefined;
  prefix?: string | undefined;
  traits: Readonly<Record<string, string>>;
}

/** One that was found, with those of its traits that can be looked up. */
export interface Found {
  id: string;
  traits: Record<string, unknown>;
}

/** A page. It may be short although there is a cursor. */
export interface FoundPage {
  found: Found[];
  cursor: string | null;
}

/** A search waits this long for the index. */
const INDEX_WAIT_MS = 10_000;

/** Time between two looks at the index of another process. */
const LOOK_MS = 20;

/** Profiles that are read for one page: entries that are no longer true count too. */
const MAX_READ = 1_000;

/** What a search needs. */
export interface FindOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  settling: Settling;
  reader: Reader;
  traits: readonly string[];
  /** Events no longer gather: somebody waits for them. */
  hurry(): void;
}

/** Where a search by trait continues: among entries of actors, or of anonymous ids and their owners. */
type Place = ["direct" | "linked", string];

/** Creates the search. It includes every acknowledged event. */
export function createFind(options: FindOptions) {
  const { store, reader, traits } = options;

  /** The profile's traits, if it has all that are looked for. */
  async function matching(kind: LookupKind, id: string, query: LookupQuery): Promise<Found | undefined> {
    if (!id.startsWith(query.prefix ?? "")) return undefined;
    const profile = await reader[kind](id);
    if (profile === null) return undefined;
    const has = profile.traits as Record<string, unknown>;
    const isEqual = Object.entries(query.traits).every(([name, value]) =>
      Object.hasOwn(has, name) && comparable(has[name]) === comparable(value)
    );
    if (!isEqual) return undefined;
    return {
      id,
      traits: Object.fromEntries(
        traits.flatMap((name) => Object.hasOwn(has, name) ? [[name, has[name]]] : []),
      ),
    };
  }

  /** Who may have the first of the traits: by entries of their own, then by those of anonymous ids that were theirs. */
  async function* candidates(kind: LookupKind, [trait, form]: [string, string], from: Place | undefined) {
    const digest = digestOf(form);
    if (from?.[0] !== "linked") {
      const range = rangeAfter(lookupPrefix(kind, trait, digest), from?.[1]);
      for await (const { key, value } of store.list<string>(range)) {
        yield { id: value!, place: ["direct", key.at(-1) as string] satisfies Place as Place };
      }
    }
    if (kind === "group") return;
    const after = from?.[0] === "linked" ? from[1] : undefined;
    const seen = new Set<string>();
    for await (
      const { key, value } of store.list<string>(rangeAfter(lookupPrefix("anonymous", trait, digest), after))
    ) {
      for (const id of await reader.owners(value!)) {
        const direct = await store.get(lookupKey("user", trait, digest, id));
        if (direct.value !== null || seen.has(id)) continue;
        seen.add(id);
        yield { id, place: ["linked", key.at(-1) as string] satisfies Place as Place };
      }
    }
  }

  async function byTrait(kind: LookupKind, query: LookupQuery): Promise<FoundPage> {
    const from = query.cursor === undefined ? undefined : placeOf(query.cursor);
    const [trait, value] = Object.entries(query.traits)[0]!;
    const form = comparable(value);
    if (form === undefined) return { found: [], cursor: null };
    await untilIndexed(options);
    const found: Found[] = [];
    let last: Place | undefined;
    let read = 0;
    for await (const { id, place } of candidates(kind, [trait, form], from)) {
      // Owners of one anonymous id share a place: a page ends only between two places.
      const isBetween = last !== undefined && place[1] !== last[1];
      if (isBetween && (found.length >= query.limit || read >= MAX_READ)) {
        return { found, cursor: encodeCursor(last) };
      }
      read++;
      last = place;
      const one = await matching(kind, id, query);
      if (one !== undefined) found.push(one);
    }
    return { found, cursor: null };
  }

  /** Throws {@link InvalidCursor}, and {@link NotServing} while the index is built. */
  return async function find(kind: LookupKind, query: LookupQuery): Promise<FoundPage> {
    if (Object.keys(query.traits).length > 0) return await byTrait(kind, query);
    const page = await reader.ids(kind, query);
    const found = await Promise.all(page.ids.map((id) => matching(kind, id, query)));
    return { found: found.filter((one) => one !== undefined), cursor: page.cursor };
  };
}

/** Waits until the index has all that the journal had. */
async function untilIndexed({ store, clock, journal, traits, hurry }: FindOptions): Promise<void> {
  await journal.sync();
  const end = journal.end();
  const untilMs = clock.monotonic() + INDEX_WAIT_MS;
  for (;;) {
    const { value } = await store.get<Followed>(LOOKUP);
    const hasTraits = traits.every((trait) => value?.traits.includes(trait));
    if (hasTraits && value!.position >= end) return;
    if (clock.monotonic() > untilMs) {
      throw new NotServing("The lookup index is being built; retry later.", "building");
    }
    hurry();
    await clock.sleep(LOOK_MS);
  }
}

function rangeAfter(prefix: Key, after: string | undefined) {
  return after === undefined ? { prefix } : { prefix, start: [...prefix, `${after}\0`] as Key };
}

function placeOf(cursor: string): Place {
  const value = decodeCursor(cursor);
  const isPlace = Array.isArray(value) && value.length === 2 &&
    (value[0] === "direct" || value[0] === "linked") &&
    typeof value[1] === "string";
  if (!isPlace) throw new InvalidCursor("Invalid cursor.");
  return value as Place;
}
