/**
 * The facts of a round by actor. A round has a hundred thousand of them, so they stand in columns, and each becomes an
 * object only when its actor folds it: what lives for a whole round has to be walked by the garbage collector again
 * and again.
 */
import { pack, type Position, unpack } from "../../domain/event/position.ts";
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import { factAt as wholeFact, FLAGS, type Header, textAt, TEXTS } from "../journal/header.ts";
import { type ActorKind, actorsOf, type Fact, factOf } from "../../domain/profile/fact.ts";

/** The kinds of actor, each with its ids and the number under which their letters are listed. */
type Boxes = Record<ActorKind, Map<string, number>>;

/** Types whose facts say more than whose they are, when, and by what name: those stand whole. */
const WHOLE = new Set(["identify", "group", "alias"]);

/** Room at first; columns double as they fill. */
const FIRST_ROOM = 4096;

/** Bytes of memory that an event takes in columns, and a name or an id in maps besides its characters. */
const COLUMN_BYTES = 49;
const NAME_BYTES = 150;

/** Where an event is; its fact if the header does not say it whole, and about how many bytes of memory that takes. */
export interface Letter {
  place: Position;
  fact?: Fact | undefined;
  lineBytes?: number;
}

/** Facts by actor. */
export type Mail = ReturnType<typeof createMail>;

/** Makes an empty mail. */
export function createMail() {
  const boxes: Boxes = { user: new Map(), anonymous: new Map(), group: new Map() };
  /** By event: its position in two numbers, its time, type with a bit for a context, and the number of its name (0 for none). */
  let versions = new Float64Array(FIRST_ROOM);
  let rests = new Uint32Array(FIRST_ROOM);
  let times = new Float64Array(FIRST_ROOM);
  let types = new Uint8Array(FIRST_ROOM);
  let nameNumbers = new Uint32Array(FIRST_ROOM);
  const wholes = new Map<number, Fact>();
  const names: (string | undefined)[] = [undefined];
  const numbers = new Map<string, number>();
  let events = 0;
  /** By letter, which is an event for one actor: the event, and the actor's next letter (0 for none; the first is 1). */
  let eventOf = new Uint32Array(FIRST_ROOM);
  let next = new Uint32Array(FIRST_ROOM);
  let letters = 1;
  /** By actor: its first and last letter. */
  let firsts = new Uint32Array(FIRST_ROOM);
  let lasts = new Uint32Array(FIRST_ROOM);
  let actors = 0;
  let bytes = 0;

  function numberOf(name: string | undefined): number {
    if (name === undefined) return 0;
    let number = numbers.get(name);
    if (number === undefined) {
      bytes += 2 * name.length + NAME_BYTES;
      number = names.push(name) - 1;
      numbers.set(name, number);
    }
    return number;
  }

  function deliver(kind: ActorKind, id: string): void {
    if (letters === next.length) [eventOf, next] = [doubled(eventOf), doubled(next)];
    eventOf[letters] = events;
    const box = boxes[kind].get(id);
    if (box === undefined) {
      if (actors === firsts.length) [firsts, lasts] = [doubled(firsts), doubled(lasts)];
      boxes[kind].set(id, actors);
      bytes += 2 * id.length + NAME_BYTES;
      firsts[actors] = letters;
      lasts[actors++] = letters++;
      return;
    }
    next[lasts[box]!] = letters;
    lasts[box] = letters++;
  }

  function factAt(event: number, kind: ActorKind, id: string): Fact {
    const whole = wholes.get(event);
    if (whole !== undefined) return whole;
    const type = types[event]!;
    return {
      place: pack(versions[event]!, rests[event]!),
      at: times[event]!,
      type: EVENT_TYPES[type >> 1]!,
      name: names[nameNumbers[event]!],
      userId: kind === "user" ? id : undefined,
      anonymousId: kind === "anonymous" ? id : undefined,
      groupId: undefined,
      previousId: undefined,
      traits: undefined,
      hasContext: (type & 1) === 1,
    };
  }

  return {
    /** How many events, and how many actors they are for. */
    events: () => events,
    actors: () => actors,
    /** About how many bytes of memory all of it takes. */
    bytes: () => bytes,
    /**
     * Adds an event of a header at a place, after all that were added before. What its header does not say whole comes as
     * a fact, with the length of its line.
     */
    add(header: Header, index: number, { place, fact, lineBytes = 0 }: Letter): void {
      bytes += COLUMN_BYTES;
      if (events === versions.length) {
        [versions, times, types] = [doubled(versions), doubled(times), doubled(types)];
        [rests, nameNumbers] = [doubled(rests), doubled(nameNumbers)];
      }
      const flag = header.flags[index]!;
      const type = EVENT_TYPES[flag & 7]!;
      if (fact !== undefined || WHOLE.has(type)) {
        const whole = fact ?? wholeFact(header, index, place);
        wholes.set(events, whole);
        bytes += NAME_BYTES +
          (fact === undefined ? memoryOf(textAt(header, index, TEXTS.fourth) ?? "") : lineBytes);
        for (const name of actorsOf(whole)) {
          const slash = name.indexOf("/");
          deliver(name.slice(0, slash) as ActorKind, name.slice(slash + 1));
        }
      } else {
        [versions[events], rests[events]] = unpack(place) as [number, number];
        times[events] = header.times[index]!;
        types[events] = 2 * (flag & 7) + ((flag & FLAGS.hasContext) === 0 ? 0 : 1);
        nameNumbers[events] = numberOf(textAt(header, index, TEXTS.fourth));
        // A derived event, which is a track event, belongs to nobody.
        if ((flag & FLAGS.derived) === 0) {
          const userId = textAt(header, index, TEXTS.user);
          const anonymousId = textAt(header, index, TEXTS.anonymous);
          if (userId !== undefined) deliver("user", userId);
          else if (anonymousId !== undefined) deliver("anonymous", anonymousId);
        }
      }
      events++;
    },
    /** The ids of a kind's actors. */
    ids: (kind: ActorKind): string[] => [...boxes[kind].keys()],
    /** An actor's facts, in the order of the journal. */
    facts(kind: ActorKind, id: string): Fact[] {
      const facts: Fact[] = [];
      const box = boxes[kind].get(id);
      if (box === undefined) return facts;
      for (let letter = firsts[box]!; letter !== 0; letter = next[letter]!) {
        facts.push(factAt(eventOf[letter]!, kind, id));
      }
      return facts;
    },
  };
}

/**
 * The fact of an event with large traits, and the bytes that it counts: the traits stay text, and become objects each time
 * a fold asks for them. 32 KB of `{},{},…` take 600 KB of memory, and anybody with a write key may send a thousand of these.
 */
export function lazyFact(event: StoredEvent, place: Position): { fact: Fact; lineBytes: number } {
  const { traits, ...fact } = factOf(event, place);
  if (traits === undefined) return { fact: { traits, ...fact }, lineBytes: 0 };
  const text = JSON.stringify(traits);
  return {
    lineBytes: 2 * text.length,
    fact: {
      ...fact,
      get traits() {
        return parseExact(text) as Record<string, unknown>;
      },
    },
  };
}

/** An ordinary event has one object or array in a hundred bytes. */
const BYTES_PER_OBJECT = 32;
/** What an object takes, be it empty. */
const OBJECT_BYTES = 64;

/**
 * Bytes that traits count which are kept as objects: their length as JSON, and more for each object beyond one in
 * {@link BYTES_PER_OBJECT}.
 */
export function memoryOf(line: string): number {
  let objects = 0;
  for (const opening of ["{", "["]) {
    for (let at = line.indexOf(opening); at !== -1; at = line.indexOf(opening, at + 1)) objects++;
  }
  return line.length + OBJECT_BYTES * Math.max(0, objects - line.length / BYTES_PER_OBJECT);
}

/** A column with twice the room. */
function doubled<Column extends Float64Array | Uint32Array | Uint8Array>(column: Column): Column {
  const larger = new (column.constructor as new (length: number) => Column)(2 * column.length);
  larger.set(column);
  return larger;
}
