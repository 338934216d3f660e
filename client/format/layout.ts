// Compiles a schema type into the layout that fracpack needs: what is inline, what goes to the heap.
// Source: spec, data formats §1.1 and §6.

import { FormatError } from "./bytes.js";
import type { AnyType, Schema } from "./schema.js";

export interface Member {
  name: string;
  layout: Layout;
}

export type Shape =
  | { kind: "int"; bytes: number; signed: boolean; bit: boolean }
  | { kind: "float"; bytes: 4 | 8 }
  | { kind: "struct"; members: Member[] }
  | { kind: "object"; members: Member[]; tuple: boolean }
  | { kind: "array"; element: Layout; length: number }
  | { kind: "list"; element: Layout }
  | { kind: "option"; inner: Layout }
  | { kind: "variant"; alternatives: Member[] }
  | { kind: "fracpack"; inner: Layout };

/** How a value of a custom type is written in JSON; undefined means as its underlying type. */
export type Custom =
  | "bool"
  | "string"
  | "hex"
  | "map"
  | "TimePointSec"
  | "TimePointUSec"
  | "AccountNumber"
  | "MethodNumber"
  | undefined;

export interface Layout {
  shape: Shape;
  custom: Custom;
  /** Bytes of a fixed-size type, also its share of a parent's fixed area; undefined for variable-size types. */
  size: number | undefined;
  /** Whether an offset of zero stands for the empty value. */
  emptyAsZero: boolean;
}

const nestingMax = 128;

/** Lays out types of one schema. Recursive types share one layout each. Throws FormatError on a broken schema. */
export class Layouts {
  readonly #schema: Schema;
  readonly #named = new Map<string, Layout>();
  readonly #open = new Set<string>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  of(type: AnyType, depth = 0): Layout {
    if (depth > nestingMax) throw new FormatError("schema nests too deeply");
    if (typeof type === "string") return this.#reference(type, depth);
    const next = depth + 1;
    if ("Custom" in type) return this.#custom(type.Custom.id, this.of(type.Custom.type, next));
    if ("Int" in type) {
      const { bits, isSigned } = type.Int;
      if (![1, 8, 16, 32, 64].includes(bits)) throw new FormatError(`no integer of ${bits} bits`);
      const bytes = Math.max(1, bits / 8);
      return fixed({ kind: "int", bytes, signed: isSigned, bit: bits === 1 }, bytes);
    }
    if ("Float" in type) {
      const bytes = type.Float.exp === 8 ? 4 : 8;
      return fixed({ kind: "float", bytes }, bytes);
    }
    if ("Struct" in type) {
      const members = this.#members(type.Struct, next);
      const size = members.every((m) => m.layout.size !== undefined)
        ? members.reduce((sum, m) => sum + m.layout.size!, 0)
        : undefined;
      return { shape: { kind: "struct", members }, custom: undefined, size, emptyAsZero: false };
    }
    if ("Object" in type) return variable({ kind: "object", members: this.#members(type.Object, next), tuple: false });
    if ("Tuple" in type) {
      const members = type.Tuple.map((t, i) => ({ name: String(i), layout: this.of(t, next) }));
      return variable({ kind: "object", members, tuple: true });
    }
    if ("Array" in type) {
      const element = this.of(type.Array.type, next);
      const length = Number(type.Array.len);
      if (!Number.isSafeInteger(length) || length < 0 || length > 65536) throw new FormatError("bad array length");
      const size = element.size === undefined ? undefined : element.size * length;
      return { shape: { kind: "array", element, length }, custom: undefined, size, emptyAsZero: false };
    }
    if ("List" in type) return this.#lazily({ kind: "list", element: unset }, true, (shape) => {
      if (shape.kind === "list") shape.element = this.of(type.List, next);
    });
    if ("Option" in type) return this.#lazily({ kind: "option", inner: unset }, false, (shape) => {
      if (shape.kind === "option") shape.inner = this.of(type.Option, next);
    });
    if ("Variant" in type) return variable({ kind: "variant", alternatives: this.#members(type.Variant, next) });
    if ("FracPack" in type) {
      const inner = this.of(type.FracPack, next);
      const layout = variable({ kind: "fracpack", inner });
      layout.emptyAsZero = inner.size === 0;
      return layout;
    }
    throw new FormatError("unknown kind of type");
  }

  #members(types: Record<string, AnyType>, depth: number): Member[] {
    return Object.entries(types).map(([name, type]) => ({ name, layout: this.of(type, depth) }));
  }

  #lazily(shape: Shape, emptyAsZero: boolean, fill: (shape: Shape) => void): Layout {
    const layout: Layout = { shape, custom: undefined, size: undefined, emptyAsZero };
    fill(shape);
    return layout;
  }

  #reference(name: string, depth: number): Layout {
    const known = this.#named.get(name);
    if (known) return known;
    const type = Object.hasOwn(this.#schema, name) ? this.#schema[name] : undefined;
    if (type === undefined) throw new FormatError(`unknown type ${name}`);
    if (this.#open.has(name)) throw new FormatError(`type ${name} contains itself`);
    // A recursive type passes through a list, option or variant, whose own size is known before its content.
    const recursive = typeof type === "object" && !("Int" in type || "Float" in type || "Struct" in type || "Array" in type || "Custom" in type);
    if (recursive) {
      const placeholder: Layout = { shape: { kind: "object", members: [], tuple: false }, custom: undefined, size: undefined, emptyAsZero: "List" in type };
      this.#named.set(name, placeholder);
      return Object.assign(placeholder, this.of(type, depth + 1));
    }
    this.#open.add(name);
    const layout = this.of(type, depth + 1);
    this.#open.delete(name);
    this.#named.set(name, layout);
    return layout;
  }

  #custom(id: string, inner: Layout): Layout {
    return { ...inner, custom: customOf(id, inner) };
  }
}

function customOf(id: string, { shape, size, custom }: Layout): Custom {
  if (custom !== undefined) return custom;
  const isInt = (bytes: number, layout: Shape): boolean => layout.kind === "int" && layout.bytes === bytes && !layout.bit;
  const only = shape.kind === "struct" && shape.members.length === 1 ? shape.members[0]!.layout.shape : undefined;
  switch (id) {
    case "bool":
      return shape.kind === "int" && shape.bit && !shape.signed ? id : undefined;
    case "string":
      return shape.kind === "list" && isInt(1, shape.element.shape) ? id : undefined;
    case "hex":
      return size !== undefined || shape.kind === "fracpack" || (shape.kind === "list" && shape.element.size !== undefined)
        ? id
        : undefined;
    case "map": {
      if (shape.kind !== "list") return undefined;
      const pair = shape.element.shape;
      return (pair.kind === "object" || pair.kind === "struct") && pair.members.length === 2 ? id : undefined;
    }
    case "TimePointSec":
    case "TimePointUSec":
      return shape.kind === "int" || only?.kind === "int" ? id : undefined;
    case "AccountNumber":
    case "MethodNumber":
      return isInt(8, only ?? shape) ? id : undefined;
    default:
      return undefined;
  }
}

const unset: Layout = { shape: { kind: "object", members: [], tuple: false }, custom: undefined, size: undefined, emptyAsZero: false };

function fixed(shape: Shape, size: number): Layout {
  return { shape, custom: undefined, size, emptyAsZero: false };
}

function variable(shape: Shape): Layout {
  return { shape, custom: undefined, size: undefined, emptyAsZero: false };
}

/** An embedded value's share of its parent's fixed area. */
export function fixedSize(layout: Layout): number {
  return layout.size ?? 4;
}
