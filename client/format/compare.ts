// Whether data of one schema can be read by another. Source: spec, data formats §6.4.

import type { AnyType, Schema } from "./schema.js";

/** Bits of a difference; none of them means that the types are equivalent. */
export const difference = { incompatible: 1, addField: 2, dropField: 4, addAlternative: 8, dropAlternative: 16 } as const;

const depthMax = 1000;

/** Compares an older type with a newer one. Names do not count. */
export function compareTypes(oldSchema: Schema, before: AnyType, newSchema: Schema, after: AnyType): number {
  const seen = new Map<object, Set<object>>();
  const compare = (old: AnyType, young: AnyType, depth: number): number => {
    const a = strip(oldSchema, old);
    const b = strip(newSchema, young);
    if (!a || !b || depth > depthMax) return difference.incompatible;
    const partners = seen.get(a) ?? new Set();
    if (partners.has(b)) return 0;
    seen.set(a, partners.add(b));
    const found = compareStripped(a, b, depth + 1);
    return found & difference.incompatible ? difference.incompatible : found;
  };
  const pairwise = (a: readonly AnyType[], b: readonly AnyType[], depth: number): number =>
    a.slice(0, b.length).reduce<number>((bits, type, i) => bits | compare(type, b[i]!, depth), 0);
  const compareStripped = (a: Exclude<AnyType, string>, b: Exclude<AnyType, string>, depth: number): number => {
    const [left, right] = [extensible(a), extensible(b)];
    if (left && right) {
      let bits = pairwise(left, right, depth);
      for (const type of right.slice(left.length)) bits |= isOption(newSchema, type) ? difference.addField : difference.incompatible;
      for (const type of left.slice(right.length)) bits |= isOption(oldSchema, type) ? difference.dropField : difference.incompatible;
      return bits;
    }
    if ("FracPack" in a && isByteList(newSchema, b)) return difference.addAlternative;
    if (isByteList(oldSchema, a) && "FracPack" in b) return difference.dropAlternative;
    if ("Int" in a && "Int" in b)
      return a.Int.bits === b.Int.bits && (a.Int.isSigned === b.Int.isSigned || a.Int.bits === 8) ? 0 : difference.incompatible;
    if ("Float" in a && "Float" in b)
      return a.Float.exp === b.Float.exp && a.Float.mantissa === b.Float.mantissa ? 0 : difference.incompatible;
    if ("Struct" in a && "Struct" in b) {
      const [x, y] = [Object.values(a.Struct), Object.values(b.Struct)];
      return x.length === y.length ? pairwise(x, y, depth) : difference.incompatible;
    }
    if ("Array" in a && "Array" in b)
      return BigInt(a.Array.len) === BigInt(b.Array.len) ? compare(a.Array.type, b.Array.type, depth) : difference.incompatible;
    if ("List" in a && "List" in b) return compare(a.List, b.List, depth);
    if ("Option" in a && "Option" in b) return compare(a.Option, b.Option, depth);
    if ("FracPack" in a && "FracPack" in b) return compare(a.FracPack, b.FracPack, depth);
    if ("Variant" in a && "Variant" in b) {
      const [x, y] = [Object.values(a.Variant), Object.values(b.Variant)];
      // The protocol counts alternatives with the bits of fields.
      return pairwise(x, y, depth) | (y.length > x.length ? difference.addField : 0) | (x.length > y.length ? difference.dropField : 0);
    }
    return difference.incompatible;
  };
  return compare(before, after, 0);
}

type Kind = Exclude<AnyType, string>;

/** Without references and customs; undefined when a reference leads nowhere. */
function resolve(schema: Schema, type: AnyType): Kind | undefined {
  let at: AnyType | undefined = type;
  for (let steps = 0; steps < depthMax && at !== undefined; steps++) {
    if (typeof at === "string") at = Object.hasOwn(schema, at) ? schema[at] : undefined;
    else if ("Custom" in at) at = at.Custom.type;
    else return at;
  }
  return undefined;
}

/** As `resolve`, and without a struct around one scalar. */
function strip(schema: Schema, type: AnyType): Kind | undefined {
  const resolved = resolve(schema, type);
  if (!resolved || !("Struct" in resolved)) return resolved;
  const members = Object.values(resolved.Struct);
  const only = members.length === 1 ? resolve(schema, members[0]!) : undefined;
  return only && ("Int" in only || "Float" in only) ? only : resolved;
}

function isOption(schema: Schema, type: AnyType): boolean {
  const stripped = strip(schema, type);
  return stripped !== undefined && "Option" in stripped;
}

function isByteList(schema: Schema, type: Kind): boolean {
  const element = "List" in type ? strip(schema, type.List) : undefined;
  return element !== undefined && "Int" in element && element.Int.bits === 8;
}

/** Members of an Object or a Tuple. */
function extensible(type: Kind): readonly AnyType[] | undefined {
  return "Object" in type ? Object.values(type.Object) : "Tuple" in type ? type.Tuple : undefined;
}
