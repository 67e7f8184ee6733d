/** The memory for bodies, in shares: no kind of sender can use the share of another. */
import type { Limits } from "./limits.ts";

/** Bodies up to this size are small: nearly every single event. */
export const SMALL_BODY_BYTES = 64 * 1024;

/** The sender of a body, as far as it is known before the body is read. */
export interface BodySender {
  /** The id of the write key in a header or in the query. Without it the sender is unknown. */
  keyId?: string;
  /** The network that the body comes from. */
  network(): string;
}

/** Bytes of many bodies, and how many they may be. */
interface Share {
  readonly most: number;
  bytes: number;
  /** Holds of it. */
  holders: number;
}

/** The memory of one body. */
export interface Hold {
  readonly sender: BodySender;
  bytes: number;
  shares: readonly Share[];
  isLarge: boolean;
  /** Whether its sender can hold no more than it does already. */
  isRefused: boolean;
}

/** The memory of all bodies. */
export interface BodyMemory {
  /** An empty hold for a body with this declared length, or `NaN`. */
  open(sender: BodySender, declaredBytes: number): Hold;
  /** Adds bytes; false if there is no room for them. */
  add(hold: Hold, bytes: number): boolean;
  /** Counts more bytes, which are there already. */
  addAnyway(hold: Hold, bytes: number): void;
  /** Gives back all that a hold counts. */
  release(hold: Hold): void;
}

/** Creates the memory of a process. */
export function createBodyMemory(limits: Limits): BodyMemory {
  const shareOf = (most: number): Share => ({ most, bytes: 0, holders: 0 });
  const all = shareOf(limits.maxHeldBytes);
  const large = shareOf(limits.maxLargeBytes);
  const ofKnown = [all];
  const ofUnknown = [all, shareOf(limits.maxUnknownSmallBytes)];
  const unknownLarge = shareOf(limits.maxUnknownLargeBytes);
  /** Of large bodies, by write key. */
  const ofKeys = new Map<string, Share>();
  /** Unknown networks that send a large body now. */
  const busy = new Set<string>();

  function ofKey(keyId: string): Share {
    let share = ofKeys.get(keyId);
    if (share === undefined) ofKeys.set(keyId, share = shareOf(limits.maxKeyLargeBytes));
    return share;
  }

  function count(hold: Hold, bytes: number): void {
    for (const share of hold.shares) share.bytes += bytes;
    hold.bytes += bytes;
  }

  /** Moves a hold to the large ones, with all its bytes. */
  function enlarge(hold: Hold): boolean {
    const { sender: { keyId, network }, bytes } = hold;
    const own = keyId === undefined ? unknownLarge : ofKey(keyId);
    const isBusy = keyId === undefined && busy.has(network());
    if (isBusy || !hasRoom([large, own], bytes)) {
      if (keyId !== undefined && own.holders === 0) ofKeys.delete(keyId);
      return false;
    }
    if (keyId === undefined) busy.add(network());
    own.holders++;
    count(hold, -bytes);
    hold.shares = [all, large, own];
    hold.isLarge = true;
    count(hold, bytes);
    return true;
  }

  return {
    open(sender, declaredBytes) {
      const shares = sender.keyId === undefined ? ofUnknown : ofKnown;
      const hold: Hold = { sender, bytes: 0, shares, isLarge: false, isRefused: false };
      if (declaredBytes > SMALL_BODY_BYTES) hold.isRefused = !enlarge(hold);
      return hold;
    },
    add(hold, bytes) {
      if (!hold.isLarge && hold.bytes + bytes > SMALL_BODY_BYTES && !enlarge(hold)) return false;
      if (!hasRoom(hold.shares, bytes)) return false;
      count(hold, bytes);
      return true;
    },
    addAnyway: count,
    release(hold) {
      count(hold, -hold.bytes);
      if (!hold.isLarge) return;
      hold.isLarge = false;
      const { keyId, network } = hold.sender;
      const own = hold.shares.at(-1)!;
      own.holders--;
      if (keyId === undefined) busy.delete(network());
      else if (own.holders === 0) ofKeys.delete(keyId);
    },
  };
}

function hasRoom(shares: readonly Share[], bytes: number): boolean {
  for (const share of shares) if (share.bytes + bytes > share.most) return false;
  return true;
}
