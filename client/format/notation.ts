// Types written as in `list(tuple(u32,string))`, the notation of the vector files. Source: spec, data formats §2.

import { FormatError } from "./bytes.js";
import type { AnyType } from "./schema.js";

const int = (bits: number, isSigned: boolean): AnyType => ({ Int: { bits, isSigned } });
const custom = (type: AnyType, id: string): AnyType => ({ Custom: { type, id } });
const bytes = custom({ List: int(8, false) }, "hex");

const simple: Record<string, AnyType> = {
  bool: custom(int(1, false), "bool"),
  u8: int(8, false), uint8: int(8, false), u16: int(16, false), uint16: int(16, false),
  u32: int(32, false), uint32: int(32, false), u64: int(64, false), uint64: int(64, false),
  i8: int(8, true), int8: int(8, true), i16: int(16, true), int16: int(16, true),
  i32: int(32, true), int32: int(32, true), i64: int(64, true), int64: int(64, true),
  f32: { Float: { exp: 8, mantissa: 24 } }, float32: { Float: { exp: 8, mantissa: 24 } },
  f64: { Float: { exp: 11, mantissa: 53 } }, double: { Float: { exp: 11, mantissa: 53 } },
  string: custom({ List: int(8, false) }, "string"),
  bytes, hex: bytes,
  AccountNumber: custom({ Struct: { value: int(64, false) } }, "AccountNumber"),
  MethodNumber: custom({ Struct: { value: int(64, false) } }, "MethodNumber"),
  Checksum256: custom({ Array: { type: int(8, false), len: 32 } }, "hex"),
  TimePointSec: custom(int(64, true), "TimePointSec"),
  TimePointUSec: custom(int(64, true), "TimePointUSec"),
  duration: int(64, true),
};

/** Throws FormatError when the text is no type. */
export function parseTypeNotation(text: string): AnyType {
  let rest = text.replace(/ /g, "");
  const fail = (): never => {
    throw new FormatError(`no type: ${text}`);
  };
  const take = (c: string): boolean => {
    if (!rest.startsWith(c)) return false;
    rest = rest.slice(c.length);
    return true;
  };
  const word = (): string => {
    const found = /^[^(){},:]*/.exec(rest)![0];
    rest = rest.slice(found.length);
    return found;
  };
  const members = (end: string, depth: number): { name: string; named: boolean; type: AnyType }[] => {
    const found: { name: string; named: boolean; type: AnyType }[] = [];
    if (take(end)) return found;
    do {
      const named = /^([^(){},:]+):/.exec(rest);
      if (named) rest = rest.slice(named[0].length);
      const first = /^[^(){},:]*/.exec(rest)![0];
      found.push({ name: named?.[1] ?? tagOf(first), named: named !== null, type: parse(depth + 1) });
    } while (take(","));
    return take(end) ? found : fail();
  };
  const one = (end: string, depth: number): AnyType => {
    const type = parse(depth + 1);
    return take(end) ? type : fail();
  };
  const parse = (depth: number): AnyType => {
    if (depth > 64) return fail();
    const name = word();
    if (name === "object-option") return { Option: { Object: { a: int(32, false), b: simple["string"]!, c: int(16, true) } } };
    const end = rest.startsWith("{") ? "}" : ")";
    if (!take("{") && !take("(")) return Object.hasOwn(simple, name) ? simple[name]! : fail();
    switch (name) {
      case "struct":
      case "object": {
        const types = Object.fromEntries(members(end, depth).map((m, i) => [m.named ? m.name : String.fromCharCode(97 + (i % 26)), m.type]));
        return name === "struct" ? { Struct: types } : { Object: types };
      }
      case "variant":
        return { Variant: Object.fromEntries(members(end, depth).map((m) => [m.name, m.type])) };
      case "tuple":
        return { Tuple: members(end, depth).map((m) => m.type) };
      case "map": {
        const first = parse(depth + 1);
        if (!take(",")) return fail();
        return custom({ List: { Object: { first, second: one(end, depth) } } }, "map");
      }
      case "array": {
        const type = parse(depth + 1);
        const len = take(",") ? word() : "";
        if (!/^[0-9]+$/.test(len) || !take(end)) return fail();
        const array: AnyType = { Array: { type, len } };
        return isByte(type) ? custom(array, "hex") : array;
      }
      case "bytes": {
        const element = word();
        if (!take(end)) return fail();
        return element === "char" ? custom({ List: int(8, true) }, "hex") : bytes;
      }
      case "list": {
        const type = one(end, depth);
        return isByte(type) ? custom({ List: type }, "hex") : { List: type };
      }
      case "set":
        return { List: one(end, depth) };
      case "option":
        return { Option: one(end, depth) };
      case "fracpack":
      case "nested":
        return custom({ FracPack: one(end, depth) }, "hex");
      case "enum":
      case "duration":
        return one(end, depth);
      default:
        return fail();
    }
  };
  const type = parse(0);
  return rest === "" ? type : fail();
}

function isByte(type: AnyType): boolean {
  return typeof type === "object" && "Int" in type && type.Int.bits === 8 && !type.Int.isSigned;
}

/** The name that an alternative without one has by its type. */
function tagOf(notation: string): string {
  const number = /^([uif])(8|16|32|64)$/.exec(notation);
  if (!number) return notation;
  if (number[1] === "f") return number[2] === "32" ? "float32" : "double";
  return `${number[1] === "u" ? "uint" : "int"}${number[2]}`;
}
