/**
 * The messages of KV Connect's data path as bytes (Protocol Buffers; `datapath.proto` of denoland/denokv), as far as
 * Deno's client sends them to a store that uses `check`, `set`, `delete`, `get` and `list`.
 */
import { PbfReader, PbfWriter } from "pbf";

/** A range of keys, from `start` (within) to `end` (without). */
export interface ReadRange {
  start: Uint8Array;
  end: Uint8Array;
  limit: number;
  reverse: boolean;
}

/** What stands under a key. */
export interface KvEntry {
  key: Uint8Array;
  value: Uint8Array;
  encoding: number;
  versionstamp: Uint8Array;
}

/** A key with the versionstamp that it must bear; an empty one where nothing may stand. */
export interface Check {
  key: Uint8Array;
  versionstamp: Uint8Array;
}

/** The kinds of mutation that are known here. */
export const M_SET = 1;
export const M_DELETE = 2;
/** The key ends in the versionstamp of the write. */
export const M_SET_SUFFIX_VERSIONSTAMPED_KEY = 9;

/** What is done to a key; `type` is the protocol's number. */
export interface Mutation {
  key: Uint8Array;
  value: Uint8Array;
  encoding: number;
  type: number;
}

/** An atomic write. */
export interface AtomicWrite {
  checks: Check[];
  mutations: Mutation[];
}

const NOTHING = new Uint8Array();

/** Reads `SnapshotRead`: the ranges that are asked for. */
export function decodeSnapshotRead(bytes: Uint8Array): ReadRange[] {
  return new PbfReader(bytes).readFields<ReadRange[]>((tag, ranges, pbf) => {
    if (tag === 1) {
      ranges.push(pbf.readMessage(readRange, { start: NOTHING, end: NOTHING, limit: 0, reverse: false }));
    }
  }, []);
}

function readRange(tag: number, range: ReadRange, pbf: PbfReader): void {
  if (tag === 1) range.start = pbf.readBytes();
  if (tag === 2) range.end = pbf.readBytes();
  if (tag === 3) range.limit = pbf.readVarint(true);
  if (tag === 4) range.reverse = pbf.readBoolean();
}

/** Reads `AtomicWrite`. */
export function decodeAtomicWrite(bytes: Uint8Array): AtomicWrite {
  return new PbfReader(bytes).readFields<AtomicWrite>((tag, { checks, mutations }, pbf) => {
    if (tag === 1) checks.push(pbf.readMessage(readCheck, { key: NOTHING, versionstamp: NOTHING }));
    if (tag === 2) {
      mutations.push(pbf.readMessage(readMutation, { key: NOTHING, value: NOTHING, encoding: 0, type: 0 }));
    }
  }, { checks: [], mutations: [] });
}

function readCheck(tag: number, check: Check, pbf: PbfReader): void {
  if (tag === 1) check.key = pbf.readBytes();
  if (tag === 2) check.versionstamp = pbf.readBytes();
}

function readMutation(tag: number, mutation: Mutation, pbf: PbfReader): void {
  if (tag === 1) mutation.key = pbf.readBytes();
  if (tag === 2) pbf.readMessage(readValue, mutation);
  if (tag === 3) mutation.type = pbf.readVarint();
}

function readValue(tag: number, mutation: Mutation, pbf: PbfReader): void {
  if (tag === 1) mutation.value = pbf.readBytes();
  if (tag === 2) mutation.encoding = pbf.readVarint();
}

/** Makes `SnapshotReadOutput` of a strongly consistent read: the entries of each range. */
export function encodeSnapshotReadOutput(ranges: KvEntry[][]): Uint8Array<ArrayBuffer> {
  const pbf = new PbfWriter();
  for (const entries of ranges) pbf.writeMessage(1, writeEntries, entries);
  pbf.writeBooleanField(4, true);
  // SR_SUCCESS
  pbf.writeVarintField(8, 1);
  return new Uint8Array(pbf.finish());
}

function writeEntries(entries: KvEntry[], pbf: PbfWriter): void {
  for (const entry of entries) pbf.writeMessage(1, writeEntry, entry);
}

function writeEntry({ key, value, encoding, versionstamp }: KvEntry, pbf: PbfWriter): void {
  pbf.writeBytesField(1, key);
  pbf.writeBytesField(2, value);
  pbf.writeVarintField(3, encoding);
  pbf.writeBytesField(4, versionstamp);
}

/** Makes `AtomicWriteOutput`: a versionstamp, or `null` where a check failed. */
export function encodeAtomicWriteOutput(versionstamp: Uint8Array | null): Uint8Array<ArrayBuffer> {
  const pbf = new PbfWriter();
  // AW_SUCCESS, AW_CHECK_FAILURE
  pbf.writeVarintField(1, versionstamp === null ? 2 : 1);
  if (versionstamp !== null) pbf.writeBytesField(2, versionstamp);
  return new Uint8Array(pbf.finish());
}
