// fracpack, driven by layouts. Source: spec, data formats §1 and §5.

import { accountName, accountNumber } from "./account.js";
import { FormatError, fromHex, toHex } from "./bytes.js";
import type { Packable, Unpacked } from "./infer.js";
import { decodeText, isWellFormed, JsonNumber, parseFloating, parseJson, writeJson } from "./json.js";
import { fixedSize, Layouts, type Layout, type Member } from "./layout.js";
import { methodName, methodNumber } from "./method.js";
import { layoutKey } from "./order.js";
import type { AnyType, Json, Schema, Value } from "./schema.js";
import { floorDivide, formatMicroseconds, formatSeconds, parseTime } from "./time.js";

const depthMax = 256;

/**
 * Packs and unpacks the types of one schema. Where the schema stands in the program, values are checked by the compiler:
 * `new Codec({ Note: { Object: { text: … } } }).pack("Note", { text: "…" })`.
 */
export class Codec<const S extends Schema = Schema> {
  readonly #layouts: Layouts;

  constructor(schema: S) {
    this.#layouts = new Layouts(schema);
  }

  /** Throws FormatError when `value` is not of `type`. */
  pack<const T extends TypeIn<S>>(type: T, value: Packable<S, T>): Uint8Array<ArrayBuffer> {
    const sink = new Sink();
    write(sink, this.#layouts.of(type), value as Value, 0);
    return sink.bytes();
  }

  /** Packs a value given as JSON text, numbers of any width exact. Throws FormatError. */
  packText(type: TypeIn<S>, text: string): Uint8Array<ArrayBuffer> {
    return this.pack(type, parseJson(text) as Packable<S, TypeIn<S>>);
  }

  /** The JSON text of packed bytes, spelled as a node spells it. Throws FormatError on invalid bytes. */
  unpackText(type: TypeIn<S>, bytes: Uint8Array): string {
    return writeJson(this.read(type, bytes).value as Json);
  }

  /** The JSON form of packed bytes, unknown extensions ignored. Throws FormatError on invalid bytes. */
  unpack<const T extends TypeIn<S>>(type: T, bytes: Uint8Array): Unpacked<S, T> {
    return this.read(type, bytes).value;
  }

  /** As `unpack`; also tells whether unknown extensions were met. */
  read<const T extends TypeIn<S>>(type: T, bytes: Uint8Array): { value: Unpacked<S, T>; extended: boolean } {
    const source = new Source(bytes);
    const body = read(source, this.#layouts.of(type), 0, bytes.length, 0);
    if (body.known && body.end !== bytes.length) throw new FormatError("bytes left over");
    return { value: body.value as Unpacked<S, T>, extended: source.extended };
  }
}

/** A name in the schema, or a type that is described where it is used. */
export type TypeIn<S> = string extends keyof S ? AnyType : keyof S extends never ? AnyType : (keyof S & string) | Exclude<AnyType, string>;

class Sink {
  #buffer = new Uint8Array(256);
  #view = new DataView(this.#buffer.buffer);
  length = 0;

  reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  integer(value: bigint, bytes: number): void {
    const at = this.reserve(bytes);
    for (let i = 0; i < bytes; i++) this.#buffer[at + i] = Number((value >> BigInt(8 * i)) & 255n);
  }

  float(value: number, bytes: 4 | 8): void {
    const at = this.reserve(bytes);
    if (bytes === 4) this.#view.setFloat32(at, value, true);
    else this.#view.setFloat64(at, value, true);
  }

  raw(bytes: Uint8Array): void {
    // Reserving may replace the buffer, so it comes first.
    const at = this.reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  patch32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  patch16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.length);
  }
}

function write(sink: Sink, layout: Layout, value: Value, depth: number): void {
  if (depth > depthMax) throw new FormatError("value nests too deeply");
  if (layout.custom !== undefined && writeCustom(sink, layout, value, depth)) return;
  const { shape } = layout;
  switch (shape.kind) {
    case "int":
      sink.integer(integerOf(value, shape.bit ? 1 : 8 * shape.bytes, shape.signed), shape.bytes);
      return;
    case "float":
      sink.float(floatOf(value, shape.bytes), shape.bytes);
      return;
    case "struct":
      embed(sink, shape.members.map((m) => [m.layout, memberOf(value, m)]), depth);
      return;
    case "object": {
      const values = shape.tuple ? elementsOf(value, shape.members) : shape.members.map((m) => memberOf(value, m));
      let count = values.length;
      while (count > 0 && isNone(shape.members[count - 1]!.layout, values[count - 1])) count--;
      const header = sink.reserve(2);
      const area = shape.members.slice(0, count).reduce((sum, m) => sum + fixedSize(m.layout), 0);
      if (area > 65535) throw new FormatError("object too large");
      sink.patch16(header, area);
      embed(sink, values.slice(0, count).map((v, i) => [shape.members[i]!.layout, v]), depth);
      return;
    }
    case "array": {
      const values = listOf(value);
      if (values.length !== shape.length) throw new FormatError(`expected ${shape.length} elements`);
      embed(sink, values.map((v) => [shape.element, v]), depth);
      return;
    }
    case "list":
      writeList(sink, shape.element, listOf(value), depth);
      return;
    case "option": {
      embed(sink, [[layout, value]], depth);
      return;
    }
    case "variant": {
      const { index, inner } = alternativeOf(shape.alternatives, value);
      sink.integer(BigInt(index), 1);
      sized(sink, () => write(sink, shape.alternatives[index]!.layout, inner, depth + 1));
      return;
    }
    case "fracpack":
      sized(sink, () =>
        value instanceof Uint8Array ? sink.raw(value) : write(sink, shape.inner, value, depth + 1));
      return;
  }
}

/** A fixed area of slots, then the bodies of those that have one, in order. */
function embed(sink: Sink, slots: readonly (readonly [Layout, Value])[], depth: number): void {
  const words: number[] = [];
  for (const [layout, value] of slots) {
    words.push(sink.length);
    if (layout.size !== undefined) write(sink, layout, value, depth + 1);
    else sink.reserve(4);
  }
  slots.forEach(([layout, value], i) => {
    if (layout.size !== undefined) return;
    const word = words[i]!;
    const { shape } = layout;
    if (shape.kind === "option") {
      if (isNone(layout, value)) return sink.patch32(word, 1);
      if (isEmpty(shape.inner, value)) return sink.patch32(word, 0);
      sink.patch32(word, sink.length - word);
      return write(sink, shape.inner, value, depth + 1);
    }
    if (isEmpty(layout, value)) return sink.patch32(word, 0);
    sink.patch32(word, sink.length - word);
    write(sink, layout, value, depth + 1);
  });
}

function writeList(sink: Sink, element: Layout, values: readonly Value[], depth: number): void {
  if (element.size === 0) throw new FormatError("list of elements without size");
  const header = sink.reserve(4);
  sink.patch32(header, values.length * fixedSize(element));
  embed(sink, values.map((v) => [element, v]), depth);
}

function sized(sink: Sink, content: () => void): void {
  const header = sink.reserve(4);
  content();
  sink.patch32(header, sink.length - header - 4);
}

/** Returns false when the value is to be written as the underlying type. */
function writeCustom(sink: Sink, layout: Layout, value: Value, depth: number): boolean {
  const { shape } = layout;
  switch (layout.custom) {
    case "bool":
      if (typeof value !== "boolean") throw new FormatError("expected true or false");
      sink.integer(value ? 1n : 0n, 1);
      return true;
    case "string": {
      const text = textOf(value);
      if (!isWellFormed(text)) throw new FormatError("half a surrogate pair has no encoding");
      const bytes = new TextEncoder().encode(text);
      sized(sink, () => sink.raw(bytes));
      return true;
    }
    case "hex": {
      const bytes = bytesOf(value);
      if (layout.size !== undefined) {
        if (bytes.length !== layout.size) throw new FormatError(`expected ${layout.size} bytes`);
        sink.raw(bytes);
      } else {
        const unit = shape.kind === "list" ? shape.element.size! : 1;
        if (bytes.length % unit !== 0) throw new FormatError("bytes do not fill the elements");
        if (shape.kind === "fracpack") {
          const source = new Source(bytes);
          const body = read(source, shape.inner, 0, bytes.length, depth + 1);
          if (body.known && body.end !== bytes.length) throw new FormatError("bytes left over");
        }
        sized(sink, () => sink.raw(bytes));
      }
      return true;
    }
    case "map": {
      if (shape.kind !== "list" || !isRecord(value)) return false;
      const pair = shape.element.shape;
      if (pair.kind !== "object" && pair.kind !== "struct") return false;
      const [first, second] = pair.members;
      const tuple = pair.kind === "object" && pair.tuple;
      let pairs = Object.entries(value);
      // Of names that stand for the same key the last counts; C++ keeps such maps in the order of their keys.
      if (first!.name === "first" && second!.name === "second") {
        const sorted = new Map(pairs.map((pair) => [toHex(layoutKey(first!.layout, pair[0])), pair]));
        pairs = [...sorted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pair]) => pair);
      }
      const entries: Value[] = pairs.map(([key, v]) => tuple ? [key, v] : { [first!.name]: key, [second!.name]: v });
      writeList(sink, shape.element, entries, depth);
      return true;
    }
    case "TimePointSec":
    case "TimePointUSec":
      sink.integer(timeOf(value, layout.custom), layout.size!);
      return true;
    case "AccountNumber":
      sink.integer(typeof value === "bigint" ? value : accountNumber(textOf(value)), 8);
      return true;
    case "MethodNumber":
      sink.integer(typeof value === "bigint" ? value : methodNumber(textOf(value)), 8);
      return true;
    case undefined:
      return false;
  }
}

export function isNone(layout: Layout, value: Value): boolean {
  return layout.shape.kind === "option" && (value === null || value === undefined);
}

/** Whether an embedded value is the empty one that an offset of zero stands for. */
function isEmpty(layout: Layout, value: Value): boolean {
  if (!layout.emptyAsZero) return false;
  if (layout.shape.kind === "fracpack") return true;
  if (value instanceof JsonNumber) return false;
  if (typeof value === "string" || value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return layout.custom === "map" && isRecord(value) && Object.keys(value).length === 0;
}

export function integerOf(value: Value, bits: number, signed: boolean): bigint {
  let result: bigint;
  if (typeof value === "bigint") result = value;
  else if (typeof value === "number" && Number.isSafeInteger(value)) result = BigInt(value);
  else if (typeof value === "string" || value instanceof JsonNumber) {
    const text = textOf(value);
    if (!(signed ? /^-?[0-9]+$/ : /^[0-9]+$/).test(text)) throw new FormatError("expected an integer");
    if (text.length > 1000) throw new FormatError("integer out of range");
    result = BigInt(text);
  } else throw new FormatError("expected an integer");
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = signed ? 1n << BigInt(bits - 1) : 1n << BigInt(bits);
  if (result < low || result >= high) throw new FormatError("integer out of range");
  return result;
}

/** Text is refused where the nearest number of this width is infinite or has lost precision by being too small. */
export function floatOf(value: Value, bytes: 4 | 8): number {
  if (typeof value === "number") return value;
  if (typeof value === "string" || value instanceof JsonNumber) {
    const exact = parseFloating(textOf(value));
    if (exact !== undefined) {
      const stored = bytes === 4 ? Math.fround(exact) : exact;
      if (Number.isFinite(exact) && !Number.isFinite(stored)) throw new FormatError("number out of range");
      if (value instanceof JsonNumber && isSubnormal(stored, exact !== 0 || /[1-9]/.test(value.text.replace(/e.*$/i, "")), bytes)) throw new FormatError("number too small");
      return stored;
    }
  }
  throw new FormatError("expected a number");
}

function isSubnormal(stored: number, nonzero: boolean, bytes: 4 | 8): boolean {
  return nonzero && Math.abs(stored) < (bytes === 4 ? 2 ** -126 : 2 ** -1022);
}

/** The count that a time is, of seconds or microseconds; given as that count or as text. */
export function timeOf(value: Value, unit: "TimePointSec" | "TimePointUSec"): bigint {
  if (typeof value === "number" || typeof value === "bigint") return integerOf(value, 64, true);
  const time = parseTime(textOf(value));
  return unit === "TimePointUSec" ? time : floorDivide(time, 1000000n);
}

/** Text; a number counts as what was written. */
export function textOf(value: Value): string {
  if (value instanceof JsonNumber) return value.text;
  if (typeof value !== "string") throw new FormatError("expected text");
  return value;
}

export function bytesOf(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string" || value instanceof JsonNumber) return fromHex(textOf(value));
  throw new FormatError("expected bytes");
}

export function listOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value as readonly Value[];
  if (value instanceof Uint8Array) return Array.from(value);
  throw new FormatError("expected a list");
}

/** A tuple's members: missing ones are defaults, a single value is the first of them. */
export function elementsOf(value: Value, members: readonly Member[]): Value[] {
  const given = value === null || value === undefined ? [] : Array.isArray(value) ? (value as readonly Value[]) : [value];
  if (given.length > members.length || (members.length === 0 && !Array.isArray(value) && value !== null && value !== undefined))
    throw new FormatError(`expected at most ${members.length} elements`);
  return members.map(({ layout }, i) => (i < given.length ? given[i] : defaultOf(layout, 0)));
}

/** The value that C++ leaves in a member that nothing sets. */
function defaultOf(layout: Layout, depth: number): Value {
  if (depth > depthMax) throw new FormatError("type without a default");
  const { shape, custom } = layout;
  switch (custom) {
    case "bool":
      return false;
    case "string":
    case "AccountNumber":
    case "MethodNumber":
      return "";
    case "TimePointSec":
    case "TimePointUSec":
      return 0n;
    case "map":
      return {};
    case "hex":
      if (layout.size !== undefined) return new Uint8Array(layout.size);
      if (shape.kind === "list") return "";
      break;
    case undefined:
      break;
  }
  const inside = (inner: Layout): Value => defaultOf(inner, depth + 1);
  switch (shape.kind) {
    case "int":
    case "float":
      return 0;
    case "struct":
    case "object":
      if (shape.kind === "object" && shape.tuple) return [];
      return Object.fromEntries(shape.members.map((m) => [m.name, inside(m.layout)]));
    case "array":
      return Array.from({ length: shape.length }, () => inside(shape.element));
    case "list":
      return [];
    case "option":
      return null;
    case "variant": {
      const [first] = shape.alternatives;
      if (!first) throw new FormatError("type without a default");
      return first.name.startsWith("@") ? inside(first.layout) : { [first.name]: inside(first.layout) };
    }
    case "fracpack": {
      const sink = new Sink();
      write(sink, shape.inner, inside(shape.inner), depth + 1);
      return sink.bytes();
    }
  }
}

export function isRecord(value: Value): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array) && !(value instanceof JsonNumber);
}

export function memberOf(value: Value, member: Member): Value {
  if (!isRecord(value)) throw new FormatError("expected an object");
  const found = Object.hasOwn(value, member.name) ? value[member.name] : undefined;
  if (found !== undefined || member.layout.shape.kind === "option") return found;
  if (member.layout.shape.kind !== "list") throw new FormatError(`${member.name} is missing`);
  return defaultOf(member.layout, 0);
}

/** How Rust services spell the alternatives of ConsensusData. */
const otherSpelling: Record<string, string> = Object.assign(Object.create(null), { CFT: "CftConsensus", BFT: "BftConsensus" });

export function alternativeOf(alternatives: readonly Member[], value: Value): { index: number; inner: Value } {
  if (isRecord(value)) {
    const keys = Object.keys(value);
    const named = (name: string | undefined): number => alternatives.findIndex((a) => a.name === name && !a.name.startsWith("@"));
    const exact = keys.length === 1 ? named(keys[0]) : -1;
    const index = exact < 0 && keys.length === 1 ? named(otherSpelling[keys[0]!]) : exact;
    if (index >= 0) return { index, inner: value[keys[0]!] };
  } else {
    const index = alternatives.findIndex((a) => a.name.startsWith("@"));
    if (index >= 0) return { index, inner: value };
  }
  throw new FormatError("no such alternative");
}

class Source {
  readonly view: DataView;
  extended = false;
  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

interface Body {
  value: Json;
  end: number;
  /** Whether `end` is certain; unknown extensions leave it open. */
  known: boolean;
}

/** Where the next body must start. */
interface Heap {
  next: number;
  known: boolean;
}

function need(at: number, count: number, limit: number): void {
  if (at + count > limit) throw new FormatError("bytes end too early");
}

function read(source: Source, layout: Layout, at: number, limit: number, depth: number): Body {
  if (depth > depthMax) throw new FormatError("value nests too deeply");
  const { shape } = layout;
  switch (shape.kind) {
    case "int": {
      need(at, shape.bytes, limit);
      return closed(intJson(source.view, at, layout), at + shape.bytes);
    }
    case "float": {
      need(at, shape.bytes, limit);
      const value = shape.bytes === 4 ? source.view.getFloat32(at, true) : source.view.getFloat64(at, true);
      return closed(Number.isFinite(value) ? value : String(value), at + shape.bytes);
    }
    case "struct": {
      const area = shape.members.reduce((sum, m) => sum + fixedSize(m.layout), 0);
      need(at, area, limit);
      const heap: Heap = { next: at + area, known: true };
      const value: { [key: string]: Json } = {};
      let slot = at;
      for (const member of shape.members) {
        define(value, member.name, readSlot(source, member.layout, slot, limit, heap, depth));
        slot += fixedSize(member.layout);
      }
      return { value: customJson(source, layout, value, at, heap.next), end: heap.next, known: heap.known };
    }
    case "object":
      return readObject(source, shape.members, shape.tuple, at, limit, depth);
    case "array": {
      const step = fixedSize(shape.element);
      need(at, step * shape.length, limit);
      return readElements(source, layout, shape.element, shape.length, at, at, limit, depth);
    }
    case "list": {
      need(at, 4, limit);
      const area = source.view.getUint32(at, true);
      const step = fixedSize(shape.element);
      need(at + 4, area, limit);
      if (step === 0 || area % step !== 0) throw new FormatError("list size does not fit its elements");
      return readElements(source, layout, shape.element, area / step, at + 4, at, limit, depth);
    }
    case "option": {
      need(at, 4, limit);
      const heap: Heap = { next: at + 4, known: true };
      const value = readSlot(source, layout, at, limit, heap, depth);
      return { value, end: heap.next, known: heap.known };
    }
    case "variant": {
      need(at, 5, limit);
      const index = source.view.getUint8(at);
      const alternative = shape.alternatives[index];
      if (index > 127 || !alternative) throw new FormatError("unknown alternative");
      const { value, end } = readSized(source, alternative.layout, at + 1, limit, depth);
      return closed(alternative.name.startsWith("@") ? value : define({}, alternative.name, value), end);
    }
    case "fracpack": {
      const { value, end } = readSized(source, shape.inner, at, limit, depth);
      return closed(layout.custom === "hex" ? toHex(source.bytes.subarray(at + 4, end)) : value, end);
    }
  }
}

function readSized(source: Source, inner: Layout, at: number, limit: number, depth: number): { value: Json; end: number } {
  need(at, 4, limit);
  const end = at + 4 + source.view.getUint32(at, true);
  if (end > limit) throw new FormatError("bytes end too early");
  const body = read(source, inner, at + 4, end, depth + 1);
  if (body.known && body.end !== end) throw new FormatError("content does not fill its size");
  return { value: body.value, end };
}

function readObject(source: Source, members: readonly Member[], tuple: boolean, at: number, limit: number, depth: number): Body {
  need(at, 2, limit);
  const end = at + 2 + source.view.getUint16(at, true);
  if (end > limit) throw new FormatError("bytes end too early");
  const heap: Heap = { next: end, known: true };
  const values: Json[] = [];
  let slot = at + 2;
  let lastWord = -1;
  let present = 0;
  for (const { layout } of members) {
    const size = fixedSize(layout);
    if (slot + size > end) break;
    lastWord = layout.shape.kind === "option" ? slot : -1;
    values.push(readSlot(source, layout, slot, limit, heap, depth));
    slot += size;
    present += 1;
  }
  for (const { layout } of members.slice(present)) {
    if (slot !== end || layout.shape.kind !== "option") throw new FormatError("a required member is missing");
    values.push(null);
  }
  if ((end - slot) % 4 !== 0) throw new FormatError("broken extension area");
  for (; slot < end; slot += 4) {
    source.extended = true;
    lastWord = slot;
    const word = source.view.getUint32(slot, true);
    if (word > 1) {
      heap.next = follow(slot, word, limit, heap);
      heap.known = false;
    }
  }
  if (lastWord >= 0 && lastWord + 4 === end && source.view.getUint32(lastWord, true) === 1)
    throw new FormatError("trailing empty option");
  if (tuple) return { value: values, end: heap.next, known: heap.known };
  const value: { [key: string]: Json } = {};
  members.forEach((member, i) => define(value, member.name, values[i]!));
  return { value, end: heap.next, known: heap.known };
}

function readElements(source: Source, layout: Layout, element: Layout, count: number, area: number, start: number, limit: number, depth: number): Body {
  const step = fixedSize(element);
  const areaEnd = area + count * step;
  if (element.size !== undefined && (layout.custom === "hex" || layout.custom === "string")) {
    const bytes = source.bytes.subarray(area, areaEnd);
    return closed(layout.custom === "hex" ? toHex(bytes) : decodeText(bytes), areaEnd);
  }
  const heap: Heap = { next: areaEnd, known: true };
  const values: Json[] = [];
  for (let i = 0; i < count; i++) values.push(readSlot(source, element, area + i * step, limit, heap, depth));
  return { value: customJson(source, layout, values, start, heap.next), end: heap.next, known: heap.known };
}

/** Reads a value embedded at `slot`; moves `heap` past its body. */
function readSlot(source: Source, layout: Layout, slot: number, limit: number, heap: Heap, depth: number): Json {
  if (layout.size !== undefined) return read(source, layout, slot, slot + layout.size, depth + 1).value;
  const word = source.view.getUint32(slot, true);
  let target = layout;
  if (layout.shape.kind === "option") {
    if (word === 1) return null;
    target = layout.shape.inner;
  }
  if (word === 0) {
    if (!target.emptyAsZero) throw new FormatError("offset of zero");
    return emptyJson(source, target);
  }
  const at = follow(slot, word, limit, heap);
  if (target.emptyAsZero) {
    need(at, 4, limit);
    if (source.view.getUint32(at, true) === 0) throw new FormatError("offset to an empty value");
  }
  const body = read(source, target, at, limit, depth + 1);
  heap.next = body.end;
  heap.known = body.known;
  return body.value;
}

function follow(slot: number, word: number, limit: number, heap: Heap): number {
  const at = slot + word;
  if (word < 4 || at < heap.next || at > limit || (heap.known && at !== heap.next)) throw new FormatError("offset out of place");
  return at;
}

function emptyJson(source: Source, layout: Layout): Json {
  if (layout.custom === "string" || layout.custom === "hex") return "";
  if (layout.custom === "map") return {};
  if (layout.shape.kind === "fracpack") return read(source, layout.shape.inner, 0, 0, 0).value;
  return [];
}

function intJson(view: DataView, at: number, layout: Layout): Json {
  const { shape, custom } = layout;
  if (shape.kind !== "int") throw new FormatError("not an integer");
  if (shape.bit) {
    const byte = view.getUint8(at);
    if (shape.signed ? byte !== 0 && byte !== 255 : byte > 1) throw new FormatError("not a bit");
    return custom === "bool" ? byte === 1 : shape.signed ? -(byte & 1) : byte;
  }
  switch (shape.bytes) {
    case 1:
      return hexOr(custom, view, at, 1, shape.signed ? view.getInt8(at) : view.getUint8(at));
    case 2:
      return hexOr(custom, view, at, 2, shape.signed ? view.getInt16(at, true) : view.getUint16(at, true));
    case 4:
      return hexOr(custom, view, at, 4, shape.signed ? view.getInt32(at, true) : view.getUint32(at, true));
    default: {
      const value = shape.signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
      return hexOr(custom, view, at, 8, nameOrTime(custom, value) ?? value.toString());
    }
  }
}

function hexOr(custom: Layout["custom"], view: DataView, at: number, count: number, value: Json): Json {
  return custom === "hex" ? toHex(new Uint8Array(view.buffer, view.byteOffset + at, count)) : value;
}

function nameOrTime(custom: Layout["custom"], value: bigint): string | undefined {
  switch (custom) {
    case "AccountNumber":
      return accountName(value);
    case "MethodNumber":
      return methodName(value);
    case "TimePointSec":
      return formatSeconds(value);
    case "TimePointUSec":
      return formatMicroseconds(value);
    default:
      return undefined;
  }
}

/** The JSON form of a custom type over a struct, array or list that was read as `value`. */
function customJson(source: Source, layout: Layout, value: Json, start: number, end: number): Json {
  if (layout.custom === undefined) return value;
  if (layout.custom === "hex" && layout.size !== undefined) return toHex(source.bytes.subarray(start, end));
  if (layout.custom === "map" && Array.isArray(value)) {
    const result: { [key: string]: Json } = {};
    for (const pair of value) {
      const [key, v] = Array.isArray(pair) ? pair : Object.values(pair as { [key: string]: Json });
      define(result, typeof key === "string" ? key : JSON.stringify(key), v ?? null);
    }
    return result;
  }
  if (layout.size === 8) return nameOrTime(layout.custom, source.view.getBigInt64(start, true) & mask64(layout.custom)) ?? value;
  return value;
}

function mask64(custom: Layout["custom"]): bigint {
  return custom === "AccountNumber" || custom === "MethodNumber" ? (1n << 64n) - 1n : -1n;
}

/** Sets a member even when it is called __proto__. */
function define(target: { [key: string]: Json }, name: string, value: Json): { [key: string]: Json } {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  return target;
}

function closed(value: Json, end: number): Body {
  return { value, end, known: true };
}
