/** What follows from the outcome of an attempt: for its events, for the breaker, and for the destination. */
import { afterAttempt, isHopeless, isOpen } from "../../domain/forwarding/breaker.ts";
import { pauseAfter } from "../../domain/forwarding/verdict.ts";
import type { Answer } from "../destinations/sender.ts";
import { isSealed } from "../destinations/sender.ts";
import type { Author } from "../configuration/registry.ts";
import { isFailing } from "../../domain/transformation/failure_rate.ts";
import type { VersionName } from "../transformation/chain.ts";
import type { Ready, Sendable } from "./attempt.ts";
import { type Attempts, countHour, type KeptResponse } from "./state.ts";
import { type EventOutcome, TRANSFORMATION_FAILED } from "./transform.ts";
import type { Item } from "./stream.ts";
import type { Running, Work } from "./work.ts";

/** Who pauses a destination, if no administrator does. */
const SYSTEM: Author = { by: "forwarding", address: "" };

/** Durations of attempts that latency is worked out from. */
const DURATIONS = 1_000;

/** An attempt that has ended. */
export interface Ended {
  running: Running;
  items: readonly Item[];
  /** The events that were found of the items. */
  events: readonly Sendable[];
  /** Outcomes of events that were not sent, by their index. */
  outcomes: ReadonlyMap<number, EventOutcome>;
  /** The indices of the events that were. */
  sent: readonly number[];
  /** The transformations that made what was sent of them, by their index. */
  by: Ready["by"];
  answer: Answer | undefined;
  durationMs: number;
  /** The breaker was open: the attempt was a probe, or forced. */
  wasOpen: boolean;
}

/** Settles an attempt. */
export async function settleAttempt(work: Work, ended: Ended): Promise<void> {
  const { parts, state } = work;
  const { answer, items } = ended;
  work.isDirty = true;
  await judgeTransformations(work, ended);
  if (answer === undefined) {
    for (const [index, item] of items.entries()) settleItem(work, ended, { index, item });
    return;
  }
  const now = parts.clock.now();
  const { verdict } = answer;
  parts.onAttempt(work.destination.name, verdict, ended.sent.length);
  work.durations.push(ended.durationMs);
  if (work.durations.length > DURATIONS) work.durations.shift();
  const failed = verdict !== "delivered";
  state.isFailing = failed;
  if (failed) {
    countHour(state.hours, "failed", { now, times: ended.sent.length });
    state.lastError = {
      at: now,
      reason: answer.reason ?? verdict,
      ...answer.response && { response: answer.response },
      position: items[0]!.position,
    };
  }
  const hasOpened = judgeBreaker(work, ended, now);
  if (answer.holdsForAll && answer.retryAfterMs !== undefined) {
    state.blockedUntil = Math.max(state.blockedUntil, now + answer.retryAfterMs);
  }
  if (verdict === "pause" || verdict === "off") return await stop(work, ended, answer);
  if (verdict === "split") return split(work, ended, answer);
  for (const [index, item] of items.entries()) settleItem(work, ended, { index, item });
  if (hasOpened && isHopeless(state.breaker, now, parts.limits)) {
    await turnOff(
      work,
      `nothing but failures for ${Math.round(parts.limits.offMs / 86_400_000)} days: ${answer.reason}`,
    );
  }
}

/** Moves the breaker; true if it is open now. */
function judgeBreaker({ parts, state, destination }: Work, { answer }: Ended, now: number): boolean {
  const failed = answer!.verdict === "retry";
  const wasOpen = isOpen(state.breaker);
  // An answer that settles an event shows that the destination works.
  if (!failed && answer!.verdict !== "delivered" && answer!.verdict !== "dead") return wasOpen;
  state.breaker = afterAttempt(state.breaker, { now, failed, limits: parts.limits });
  if (wasOpen && !isOpen(state.breaker)) {
    parts.onAlert({ type: "destination.recovered", destination: destination.name });
  }
  return isOpen(state.breaker);
}

/** Settles one item by the outcomes of its events. */
function settleItem(work: Work, ended: Ended, { index, item }: { index: number; item: Item }): void {
  const { running: { stream, replay }, events, outcomes, sent, answer } = ended;
  const own = events.flatMap((event, n) => event.item === index ? [n] : []);
  const sentOnes = own.filter((n) => sent.includes(n));
  for (const n of own) {
    const { filteredBy } = outcomes.get(n) ?? {};
    if (filteredBy !== undefined) work.state.filtered[filteredBy]++;
  }
  const settle = () => {
    buryTransformed(work, ended, { item, own });
    stream.settle(item);
  };
  // Erased, filtered, dropped, or dead by a transformation: there is nothing to deliver.
  if (answer === undefined || sentOnes.length === 0) return settle();
  const each = sentOnes.length === 1 ? answer.each?.get(sent.indexOf(sentOnes[0]!)) : undefined;
  const verdict = each?.verdict ?? answer.verdict;
  const reason = each?.reason ?? answer.reason;
  const now = work.parts.clock.now();
  item.firstAt ??= now;
  item.lastAt = now;
  if (verdict === "retry") return retry(work, ended, { item, reason });
  if (verdict === "delivered") {
    item.attempts++;
    work.state.delivered += sentOnes.length;
    countHour(work.state.hours, "delivered", { now, times: sentOnes.length });
    if (replay !== undefined) replay.sent += sentOnes.length;
    for (const n of sentOnes) {
      work.sent.push({
        position: events[n]!.position,
        attempts: item.attempts,
        firstAt: item.firstAt,
        at: now,
        ...answer.response && { response: answer.response },
        ...byOf(ended.by.get(n)),
      });
    }
    return settle();
  }
  item.attempts++;
  bury(work, ended, { item, reason: reason ?? verdict, response: answer.response });
}

function retry(
  work: Work,
  ended: Ended,
  { item, reason }: { item: Item; reason: string | undefined },
): void {
  const { parts: { clock, limits }, state } = work;
  const { running: { stream }, answer, wasOpen } = ended;
  const { response, retryAfterMs = 0 } = answer!;
  const now = clock.now();
  if (reason !== undefined) item.reason = reason;
  if (response !== undefined) item.response = response;
  const wasForced = item.forced === true;
  delete item.forced;
  if (wasOpen && !wasForced) {
    // A probe: the breaker says when the next one comes.
    if (retryAfterMs > 0) stream.retryLater(item, now + retryAfterMs);
    else if (item.attempts > 0) stream.retryLater(item, state.breaker.probeAt ?? now);
    else stream.putBack([item]);
    return;
  }
  item.attempts++;
  const pauseMs = pauseAfter(item.attempts, clock.random(), limits);
  if (pauseMs === undefined) return bury(work, ended, { item, reason: reason ?? "retry", response });
  stream.retryLater(item, now + Math.max(pauseMs, retryAfterMs));
}

/** It is not sent again by itself. */
function bury(
  work: Work,
  ended: Ended,
  { item, reason, response }: { item: Item; reason: string; response: KeptResponse | undefined },
): void {
  const { running: { stream }, events, sent, items } = ended;
  const { parts, state, destination } = work;
  const now = parts.clock.now();
  const index = items.indexOf(item);
  const own = events.flatMap((event, n) => event.item === index ? [n] : []);
  buryTransformed(work, ended, { item, own });
  const buried = own.filter((n) => sent.includes(n));
  for (const n of buried) {
    const { position } = events[n]!;
    work.deads.push({
      position,
      attempts: item.attempts,
      firstAt: item.firstAt ?? now,
      lastAt: now,
      reason,
      ...response && { response },
      ...byOf(ended.by.get(n)),
    });
    parts.onAlert({ type: "delivery.dead", destination: destination.name, reason, position });
  }
  countHour(state.hours, "dead", { now, times: buried.length });
  stream.settle(item);
}

/** The events of an item on which a transformation failed: they are dead, whatever became of the others. */
function buryTransformed(
  work: Work,
  { events, outcomes }: Ended,
  { item, own }: { item: Item; own: readonly number[] },
): void {
  const { parts, state, destination } = work;
  const now = parts.clock.now();
  for (const n of own) {
    const { verdict, reason = "", message, by } = outcomes.get(n) ?? {};
    if (verdict !== "dead") continue;
    const { position } = events[n]!;
    work.deads.push({
      position,
      attempts: item.attempts,
      firstAt: item.firstAt ?? now,
      lastAt: now,
      reason,
      ...message !== undefined && { message },
      ...byOf(by),
    });
    parts.onAlert({ type: "delivery.dead", destination: destination.name, reason, position });
    countHour(state.hours, "dead", { now });
    // Without the message, which may name somebody.
    state.lastError = { at: now, reason, position };
  }
}

/** The transformations as they are stored: absent if there were none. */
function byOf(by: readonly VersionName[] | undefined): Pick<Attempts, "by"> {
  if (by === undefined || by.length === 0) return {};
  return { by: by.map(({ name, version }) => [name, version]) };
}

/** Pauses a destination whose transformations fail on many events: their originals wait, and the dead can be retried. */
async function judgeTransformations(work: Work, { outcomes, sent }: Ended): Promise<void> {
  const { destination, parts } = work;
  if ((destination.definition.transformations ?? []).length === 0) return;
  const all = [...outcomes.values()].filter(({ verdict }) => verdict !== "filtered");
  const failed = all.filter(({ verdict }) => verdict === "dead");
  const counts = { now: parts.clock.now(), events: all.length + sent.length, failed: failed.length };
  if (!isFailing(work.failureRate, counts) || !destination.definition.enabled) return;
  const { name, version } = failed[0]!.by?.at(-1) ?? { name: "", version: 0 };
  const reason = `${TRANSFORMATION_FAILED}: ${name}, version ${version}, fails on too many events`;
  work.failureRate = [];
  await parts.destinations.pause(destination.name, SYSTEM, reason);
  parts.onAlert({ type: "destination.paused", destination: destination.name, reason });
}

function split(work: Work, ended: Ended, answer: Answer): void {
  const { running: { stream }, items, events, sent } = ended;
  const reason = answer.reason ?? "too large";
  if (items.length > 1) {
    for (const item of items) item.maxBatch = Math.ceil(items.length / 2);
    return stream.putBack(items);
  }
  const [item] = items;
  if (isSealed(work.destination.definition) && sent.length > 1) return stream.split(item!, events);
  item!.attempts++;
  bury(work, ended, { item: item!, reason, response: answer.response });
}

/** 401, 403 and 410: nothing is counted against the events, which wait until somebody resumes the destination. */
async function stop(work: Work, { running, items }: Ended, answer: Answer): Promise<void> {
  running.stream.putBack(items);
  const reason = answer.reason ?? answer.verdict;
  if (work.stopped === work.destination.version) return;
  work.stopped = work.destination.version;
  if (answer.verdict === "off") return await turnOff(work, reason);
  const { destination, parts } = work;
  if (!destination.definition.enabled) return;
  await parts.destinations.pause(destination.name, SYSTEM, reason);
  parts.onAlert({ type: "destination.paused", destination: destination.name, reason });
}

async function turnOff({ destination, parts }: Work, reason: string): Promise<void> {
  if (destination.off !== undefined) return;
  await parts.destinations.turnOff(destination.name, SYSTEM, reason);
  parts.onAlert({ type: "destination.off", destination: destination.name, reason });
}
