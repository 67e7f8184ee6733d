/** Traces of events and of traits: what they say is what was lived through. */
import { positionOf, stampOf } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { CHANGED_EVENTS, type Trace } from "../../../actors/reading/event_trace.ts";
import type { System } from "../../../actors/system.ts";
import {
  MAX_REPLACED,
  PROVENANCE_ENTRIES,
  PROVENANCE_EVENTS,
  type TraitProvenance,
} from "../../../actors/reading/trait_provenance.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { runs } from "../../domain/profile/facts.ts";
import { wholeLog } from "../compare.ts";
import {
  ANONYMOUS,
  batches,
  BEGIN_MS,
  createStamper,
  eventWith,
  openOn,
  settle,
  USERS,
} from "../histories.ts";
import { MEMORY } from "../stores.ts";

type Json = Record<string, unknown>;
type Profiles = Map<string, Json | null>;

/** Every profile that a history can have, by the actor's name, as a client reads it. */
async function profilesOf({ reader }: System): Promise<Profiles> {
  const profiles: Profiles = new Map();
  const add = async (name: string, profile: Promise<Json | null>) =>
    void profiles.set(name, JSON.parse(JSON.stringify(await profile)));
  for (const id of USERS) await add(`user/${id}`, reader.user(id));
  for (const id of ANONYMOUS) await add(`anonymous/${id}`, reader.anonymous(id));
  return profiles;
}

/** What differs between two maps of JSON; a name such as `constructor` is one like any other. */
function differing(before: Json = {}, after: Json = {}): [string, unknown][] {
  const valueOf = (map: Json, name: string) => Object.hasOwn(map, name) ? map[name] : null;
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted().flatMap((name) => {
    const [from, to] = [valueOf(before, name), valueOf(after, name)];
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [[name, { from, to }] as [string, unknown]];
  });
}

const joined = (profile: Json | null): Json =>
  Object.fromEntries(
    ((profile?.groups ?? []) as Json[]).map(({ groupId, joinedAt }) => [groupId, joinedAt]),
  );
const tallies = (profile: Json | null): Json =>
  Object.assign(
    Object.create(null),
    ...Object.entries((profile?.events ?? {}) as Record<string, Json>).map(([name, { count }]) =>
      Object.fromEntries([[name, count]])
    ),
  );

/** What a trace must say of a profile that was this and became that. */
function expected(before: Json | null, after: Json | null): Json {
  const pick = (profile: Json | null, name: string) => ({ [name]: profile?.[name] ?? null });
  return {
    traits: differing(before?.traits as Json, after?.traits as Json),
    groups: differing(joined(before), joined(after)),
    counts: differing(
      before?.counts as Json ?? { track: 0, identify: 0, page: 0, screen: 0, group: 0, alias: 0 },
      after?.counts as Json,
    ),
    events: differing(tallies(before), tallies(after)),
    firstSeen: differing(pick(before, "firstSeen"), pick(after, "firstSeen")),
    lastSeen: differing(pick(before, "lastSeen"), pick(after, "lastSeen")),
  };
}

function told(changed: Json): Json {
  const sorted = (map: unknown) => Object.entries((map ?? {}) as Json).toSorted();
  const one = (name: string) => changed[name] === undefined ? [] : [[name, changed[name]]];
  return {
    traits: sorted(changed.traits),
    groups: sorted(changed.groups),
    counts: sorted(changed.counts),
    events: sorted(changed.events),
    firstSeen: one("firstSeen"),
    lastSeen: one("lastSeen"),
  };
}

Deno.test("the trace of an event shows the profile before and after it, for any history", async () => {
  await fc.assert(
    fc.asyncProperty(batches(3), fc.boolean(), async (all, settles) => {
      await using place = await MEMORY.make();
      const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 } });
      const stamp = createStamper();
      const lived: { event: StoredEvent; before: Profiles; after: Profiles }[] = [];
      try {
        let before = await profilesOf(system);
        for (const event of all.flat().map(stamp)) {
          const [receipt] = await system.commit([event], "key");
          const after = await profilesOf(system);
          if (!receipt!.duplicate) lived.push({ event, before, after });
          before = after;
        }
        if (settles) await settle(system);
        for (const { event, before, after } of lived) {
          const trace = await system.traces.find(event.messageId) as Trace;
          deepStrictEqual(trace.event, event);
          const { profile, ...changed } = JSON.parse(JSON.stringify(trace.changed));
          ok(profile === `user/${event.userId}` || event.userId === undefined);
          const was = before.get(profile) ?? null;
          deepStrictEqual(told(changed), expected(was, after.get(profile) ?? null));
        }
      } finally {
        await system.close();
      }
    }),
    runs(12),
  );
});

Deno.test("a trace has the logs, the position, the commit, and the changes of a group and a context", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  try {
    const events = [
      eventWith({ type: "page", anonymousId: "a1", context: { locale: "de" } }),
      eventWith({ type: "group", anonymousId: "a1", groupId: "acme", traits: { plan: "free" } }),
      eventWith({ type: "identify", userId: "jane", anonymousId: "a1", traits: { plan: "pro" }, atMs: 1 }),
      eventWith({
        type: "group",
        userId: "jane",
        groupId: "acme",
        traits: { plan: "pro" },
        context: { x: 1 },
        atMs: 2,
      }),
    ];
    await system.commit(events, "k1");
    const traceOf = async (n: number) =>
      JSON.parse(JSON.stringify(await system.traces.find(events[n]!.messageId)));
    const traces = [await traceOf(0), await traceOf(1), await traceOf(2), await traceOf(3)];
    deepStrictEqual(traces.map(({ logs }) => logs), [
      ["anonymous/a1"],
      ["anonymous/a1", "group/acme"],
      ["user/jane", "anonymous/a1"],
      ["user/jane", "group/acme"],
    ]);
    const stamp = stampOf(traces[0]!.position);
    deepStrictEqual(traces.map(({ position }) => position), [0, 1, 2, 3].map((at) => positionOf(stamp, at)));
    strictEqual(new Set(traces.map(({ commit, committedAt }) => commit + committedAt)).size, 1);
    deepStrictEqual(traces.map(({ settled }) => settled), [false, false, false, false]);
    // Jane had nothing before the link; with it comes what the visitor did.
    deepStrictEqual(traces[2].changed.anonymousIds, { added: ["a1"] });
    deepStrictEqual(traces[2].changed.eventCount, { from: 0, to: 3 });
    deepStrictEqual(traces[2].changed.context, { from: null, to: { locale: "de" } });
    deepStrictEqual(traces[3].changed.context, { from: { locale: "de" }, to: { x: 1 } });
    deepStrictEqual(traces[3].changed.group, { traits: { plan: { from: "free", to: "pro" } } });
    deepStrictEqual(traces[3].changed.groups, undefined, "she was in it");
    await settle(system);
    strictEqual((await traceOf(0)).settled, true);
    // What an anonymous event changed is told of whom it belonged to then.
    strictEqual((await traceOf(0)).changed.profile, "anonymous/a1");
    const late = eventWith({ type: "page", anonymousId: "a1", atMs: 5 });
    await system.commit([late], "k2");
    strictEqual((await system.traces.find(late.messageId) as Trace).changed!.profile, "user/jane");
  } finally {
    await system.close();
  }
});

const isSetBy = (name: string) => ({ type, traits }: StoredEvent) =>
  type === "identify" && traits !== undefined && Object.hasOwn(traits, name);

Deno.test("the provenance of a trait lists the events that set it, newest first, for any history", async () => {
  await fc.assert(
    fc.asyncProperty(batches(5), fc.boolean(), async (all, settles) => {
      await using place = await MEMORY.make();
      const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 } });
      const stamp = createStamper();
      try {
        for (const batch of all) await system.commit(batch.map(stamp), "key");
        if (settles) await settle(system);
        for (const user of USERS) {
          const log = await wholeLog(system, "user", user, { limit: 500, order: "desc" });
          const names = new Set(
            (log ?? []).filter(({ type }) => type === "identify").flatMap(({ traits }) =>
              Object.keys(traits ?? {})
            ),
          );
          const profile = await system.reader.user(user);
          for (const name of [...names, "never set"]) {
            const trace = await system.reader.trait("user", user, name);
            if (log === null) {
              strictEqual(trace, null);
              continue;
            }
            const setBy = log.filter(isSetBy(name));
            if (setBy.length === 0) {
              strictEqual(trace, "no trait");
              continue;
            }
            const of = ({ traits, timestamp, messageId }: StoredEvent) => ({
              value: traits![name],
              timestamp,
              messageId,
            });
            const [newest, ...replaced] = setBy;
            deepStrictEqual(trace, {
              name,
              ...of(newest!),
              writeKeyId: "key",
              receivedAt: newest!.receivedAt,
              replaced: replaced.map(of),
              moreBefore: null,
            });
            const traits = profile!.traits as Json;
            deepStrictEqual((trace as TraitProvenance).value, traits[name] ?? null, "what the profile shows");
          }
        }
      } finally {
        await system.close();
      }
    }),
    runs(15),
  );
});

/** Sends many events at once. */
async function sendAll(system: System, events: StoredEvent[]): Promise<void> {
  for (let i = 0; i < events.length; i += 2_500) await system.commit(events.slice(i, i + 2_500), "k");
}

Deno.test("a trait that was replaced too often shows the newest events, and the time before which there may be more", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  try {
    const plan = (n: number) =>
      eventWith({
        type: "identify",
        userId: "u",
        traits: { plan: n },
        atMs: n * 1_000,
        messageId: `plan${n}`,
      });
    await sendAll(system, Array.from({ length: MAX_REPLACED + 2 }, (_, n) => plan(n)));
    const { value, replaced, moreBefore } = await system.reader.trait("user", "u", "plan") as TraitProvenance;
    strictEqual(value, MAX_REPLACED + 1);
    deepStrictEqual(
      replaced.map(({ value }) => value),
      Array.from({ length: MAX_REPLACED }, (_, n) => MAX_REPLACED - n),
    );
    strictEqual(moreBefore, new Date(BEGIN_MS).toISOString());

    // Events of the right type that say nothing of it are read, up to a bound.
    await sendAll(
      system,
      Array.from({ length: PROVENANCE_EVENTS + 100 }, (_, n) => {
        return eventWith({ type: "identify", userId: "v", traits: { n }, atMs: n + 1_000 });
      }),
    );
    await system.commit([
      eventWith({ type: "identify", userId: "v", traits: { plan: "old" } }),
      eventWith({ type: "identify", userId: "v", traits: { plan: "new" }, atMs: 1e6 }),
    ], "k");
    const other = await system.reader.trait("user", "v", "plan") as TraitProvenance;
    deepStrictEqual([other.value, other.replaced], ["new", []]);
    ok(other.moreBefore! > new Date(BEGIN_MS).toISOString());
  } finally {
    await system.close();
  }
});

Deno.test("the provenance of a trait of a shared anonymous id is bounded, even if all events between are another user's", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  const link = (userId: string, atMs: number) =>
    eventWith({ type: "identify", userId, anonymousId: "shared", atMs });
  const plan = (value: string, more: object) =>
    eventWith({ type: "identify", traits: { plan: value }, ...more });
  const others = (events: number, fromMs: number) =>
    Array.from({ length: events }, (_, n) => eventWith({ anonymousId: "shared", atMs: fromMs + n }));
  const why = async () => await system.reader.trait("user", "u", "plan") as TraitProvenance;
  try {
    await system.commit([link("u", 0), plan("old", { anonymousId: "shared", atMs: 1 }), link("v", 10)], "k");
    await system.commit([plan("new", { userId: "u", atMs: 1e6 })], "k");
    await sendAll(system, others(1_000, 20));
    const { replaced, moreBefore } = await why();
    deepStrictEqual([replaced.map(({ value }) => value), moreBefore], [["old"], null]);
    await sendAll(system, others(PROVENANCE_ENTRIES, 2_000));
    for (const settles of [false, true]) {
      if (settles) await settle(system);
      const { value, replaced, moreBefore } = await why();
      deepStrictEqual([value, replaced], ["new", []]);
      ok(moreBefore! > new Date(BEGIN_MS + 10).toISOString(), moreBefore!);
    }
  } finally {
    await system.close();
  }
});

Deno.test("a user with very many events has bounded provenance, and no changes per event", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  try {
    const plan = (value: string, atMs: number) =>
      eventWith({ type: "identify", userId: "u", traits: { plan: value }, atMs, messageId: value });
    await system.commit([plan("old", 0)], "k");
    await sendAll(
      system,
      Array.from({ length: CHANGED_EVENTS }, (_, n) => eventWith({ userId: "u", atMs: n + 1 })),
    );
    strictEqual((await system.traces.find("old") as Trace).changed?.eventCount?.to, 1, "of so many it is");
    await sendAll(
      system,
      Array.from({ length: PROVENANCE_ENTRIES + 1 - CHANGED_EVENTS }, (_, n) => {
        return eventWith({ userId: "u", atMs: CHANGED_EVENTS + n + 1 });
      }),
    );
    await system.commit([plan("new", 1e6)], "k");
    for (const settles of [false, true]) {
      if (settles) await settle(system);
      const { value, replaced, moreBefore } = await system.reader.trait(
        "user",
        "u",
        "plan",
      ) as TraitProvenance;
      deepStrictEqual([value, replaced.length], ["new", 0]);
      ok(moreBefore! <= new Date(BEGIN_MS + 10).toISOString(), moreBefore!);
      const trace = await system.traces.find("new") as Trace;
      deepStrictEqual([trace.event.messageId, trace.changed], ["new", null]);
    }
  } finally {
    await system.close();
  }
});
