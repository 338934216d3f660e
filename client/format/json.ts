// JSON text as the protocol reads and writes it: integers of every width exact, one spelling of each value.
// Source: spec, data formats §5.

import { FormatError } from "./bytes.js";
import type { Json, Value } from "./schema.js";

const depthMax = 512;

/** A number as it is written, for `Number` would round wide ones. */
export class JsonNumber {
  constructor(readonly text: string) {}
}

/** Reads strict JSON text; of repeated members the last counts. Throws FormatError. */
export function parseJson(text: string): Value {
  let at = 0;
  const fail = (what: string): never => {
    throw new FormatError(`${what} at character ${at}`);
  };
  const space = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at += 1;
  };
  const take = (token: string): boolean => {
    if (!text.startsWith(token, at)) return false;
    at += token.length;
    return true;
  };
  const string = (): string => {
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at >= text.length) return fail("a string without end");
    at += 1;
    let found: string;
    try {
      found = JSON.parse(text.slice(start, at)) as string;
    } catch {
      return fail("a malformed string");
    }
    return loneSurrogate.test(found) ? fail("half a surrogate pair") : found;
  };
  const value = (depth: number): Value => {
    if (depth > depthMax) return fail("too much nesting");
    space();
    if (text[at] === '"') return string();
    if (take("{")) {
      const members: { [key: string]: Value } = {};
      space();
      if (take("}")) return members;
      do {
        space();
        if (text[at] !== '"') return fail("expected a member's name");
        const name = string();
        space();
        if (!take(":")) return fail("expected :");
        Object.defineProperty(members, name, { value: value(depth + 1), enumerable: true, configurable: true, writable: true });
        space();
      } while (take(","));
      return take("}") ? members : fail("expected }");
    }
    if (take("[")) {
      const elements: Value[] = [];
      space();
      if (take("]")) return elements;
      do {
        elements.push(value(depth + 1));
        space();
      } while (take(","));
      return take("]") ? elements : fail("expected ]");
    }
    if (take("true")) return true;
    if (take("false")) return false;
    if (take("null")) return null;
    number.lastIndex = at;
    const found = number.exec(text);
    if (!found) return fail("expected a value");
    at += found[0].length;
    return new JsonNumber(found[0]);
  };
  const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
  const whole = value(0);
  space();
  return at === text.length ? whole : fail("something follows the value");
}

/** Compact JSON text, as a node writes it. */
export function writeJson(value: Json): string {
  if (typeof value === "string") return writeString(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value).map(([name, member]) => `${writeString(name)}:${writeJson(member)}`).join(",")}}`;
  return String(value);
}

function writeString(text: string): string {
  return JSON.stringify(text).replace(/\\u00[0-9a-f]{2}|\u007f/g, (found) =>
    found === "\u007f" ? "\\u007F" : "\\u" + found.slice(2).toUpperCase());
}

const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** Whether a text has an encoding in UTF-8. */
export function isWellFormed(text: string): boolean {
  return !loneSurrogate.test(text);
}

/** Text of bytes that need not be UTF-8: `?` for each that is not. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const size = sizeOfCharacter(bytes, at);
      text += size === 0 ? "?" : strict.decode(bytes.subarray(at, at + size));
      at += Math.max(size, 1);
    }
    return text;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function sizeOfCharacter(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  try {
    strict.decode(bytes.subarray(at, at + size));
    return Math.min(size, bytes.length - at);
  } catch {
    return 0;
  }
}

/** A floating-point number from text as C reads it: also infinities, NaN and hexadecimal; undefined when it is none. */
export function parseFloating(text: string): number | undefined {
  const trimmed = text.replace(/^[ \t\n\v\f\r]+/, "");
  const found = /^([-+]?)(?:(inf(?:inity)?)|(nan(?:\([0-9a-z_]*\))?)|0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([-+]?[0-9]+))?|((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?))$/i.exec(trimmed);
  if (!found) return undefined;
  const [, sign, infinity, nan, whole, fraction = "", exponent = "0", decimal] = found;
  const positive = infinity ? Infinity : nan ? NaN : decimal !== undefined ? Number(decimal) : hexadecimal(whole!, fraction, Number(exponent));
  if (positive === undefined || (positive === Infinity && !infinity)) return undefined;
  return sign === "-" ? -positive : positive;
}

function hexadecimal(whole: string, fraction: string, exponent: number): number | undefined {
  const digits = whole + fraction;
  if (digits === "") return undefined;
  return Number(BigInt("0x" + digits)) * 2 ** (exponent - 4 * fraction.length);
}
