// Keys whose byte order is the order of the values. Source: spec, data formats §2.

import { accountNumber } from "./account.js";
import { concat, FormatError } from "./bytes.js";
import { alternativeOf, bytesOf, elementsOf, floatOf, integerOf, isNone, isRecord, listOf, memberOf, textOf, timeOf } from "./fracpack.js";
import { Layouts, type Layout } from "./layout.js";
import { methodNumber } from "./method.js";
import type { AnyType, Schema, Value } from "./schema.js";

const depthMax = 256;

/** The key of `value`, which is of `type`. Throws FormatError when it is not, or when the type has no key. */
export function orderedKey(schema: Schema, type: AnyType, value: Value): Uint8Array<ArrayBuffer> {
  return layoutKey(new Layouts(schema).of(type), value);
}

export function layoutKey(layout: Layout, value: Value): Uint8Array<ArrayBuffer> {
  return keyOf(layout, value, 0);
}

function keyOf(layout: Layout, value: Value, depth: number): Uint8Array<ArrayBuffer> {
  if (depth > depthMax) throw new FormatError("value nests too deeply");
  const { shape, custom } = layout;
  switch (custom) {
    case "bool":
      if (typeof value !== "boolean") throw new FormatError("expected true or false");
      return Uint8Array.of(value ? 1 : 0);
    case "AccountNumber":
      return bigEndian(typeof value === "bigint" ? value : accountNumber(textOf(value)), 8);
    case "MethodNumber":
      return bigEndian(typeof value === "bigint" ? value : methodNumber(textOf(value)), 8);
    case "TimePointSec":
    case "TimePointUSec":
      return bigEndian(timeOf(value, custom) + (1n << 63n), 8);
    case "string":
      return list(octets(new TextEncoder().encode(textOf(value)), layout), octetEnd);
    case "hex":
      if (shape.kind === "list") {
        if (!isOctet(shape.element)) throw new FormatError("bytes of this type have no key");
        return list(octets(bytesOf(value), layout), octetEnd);
      }
      if (layout.size === undefined) throw new FormatError("packed bytes have no key");
      if (bytesOf(value).length !== layout.size) throw new FormatError(`expected ${layout.size} bytes`);
      return concat(bytesOf(value));
    case "map":
      if (shape.kind === "list" && isRecord(value))
        return list(Object.entries(value).map((pair) => some(shape.element, pairKey(shape.element, pair, depth))), wordEnd);
      break;
    case undefined:
      break;
  }
  switch (shape.kind) {
    case "int": {
      const bits = shape.bit ? 1 : 8 * shape.bytes;
      return bigEndian(integerOf(value, bits, shape.signed) + (shape.signed ? 1n << BigInt(bits - 1) : 0n), shape.bytes);
    }
    case "float":
      return floatKey(floatOf(value, shape.bytes), shape.bytes);
    case "struct":
    case "object": {
      const values = shape.kind === "object" && shape.tuple ? elementsOf(value, shape.members) : shape.members.map((m) => memberOf(value, m));
      return concat(...shape.members.map((m, i) => keyOf(m.layout, values[i], depth + 1)));
    }
    case "array": {
      const values = listOf(value);
      if (values.length !== shape.length) throw new FormatError(`expected ${shape.length} elements`);
      return concat(...values.map((v) => keyOf(shape.element, v, depth + 1)));
    }
    case "list":
      return list(listOf(value).map((v) => some(shape.element, keyOf(shape.element, v, depth + 1))), isOctet(shape.element) ? octetEnd : wordEnd);
    case "option":
      if (isNone(layout, value)) return isOctet(shape.inner) ? octetEnd : wordEnd;
      return some(shape.inner, keyOf(shape.inner, value, depth + 1));
    case "variant": {
      const { index, inner } = alternativeOf(shape.alternatives, value);
      return concat(Uint8Array.of(index), keyOf(shape.alternatives[index]!.layout, inner, depth + 1));
    }
    case "fracpack":
      throw new FormatError("packed bytes have no key");
  }
}

const octetEnd = Uint8Array.of(0, 0);
const wordEnd = Uint8Array.of(0);

/** One-byte elements mark their end in a form of their own. */
function isOctet({ shape }: Layout): boolean {
  return shape.kind === "int" && shape.bytes === 1;
}

/** An element or an optional value that is there. */
function some(layout: Layout, key: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (!isOctet(layout)) return concat(Uint8Array.of(1), key);
  return key[0] === 0 ? Uint8Array.of(0, 1) : key;
}

function octets(bytes: Uint8Array, { shape }: Layout): Uint8Array<ArrayBuffer>[] {
  if (shape.kind !== "list") throw new FormatError("not a list");
  const flip = shape.element.shape.kind === "int" && shape.element.shape.signed ? 0x80 : 0;
  return Array.from(bytes, (byte) => some(shape.element, Uint8Array.of(byte ^ flip)));
}

function list(elements: readonly Uint8Array[], end: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(...elements, end);
}

function pairKey({ shape }: Layout, [key, value]: [string, Value], depth: number): Uint8Array<ArrayBuffer> {
  if (shape.kind !== "object" && shape.kind !== "struct") throw new FormatError("not a map");
  const [first, second] = shape.members;
  return concat(keyOf(first!.layout, key, depth + 1), keyOf(second!.layout, value, depth + 1));
}

function floatKey(value: number, bytes: 4 | 8): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(bytes));
  const positive = value === 0 ? 0 : value; // negative zero is zero
  if (bytes === 4) view.setFloat32(0, positive);
  else view.setFloat64(0, positive);
  const key = new Uint8Array(view.buffer);
  const negative = key[0]! >= 0x80;
  if (negative) key.forEach((byte, i) => (key[i] = byte ^ 0xff));
  else key[0]! |= 0x80;
  return key;
}

function bigEndian(value: bigint, bytes: number): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) key[bytes - 1 - i] = Number((value >> BigInt(8 * i)) & 255n);
  return key;
}
