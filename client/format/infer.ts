// The TypeScript types of a schema's values, so that a program that knows a schema is checked against it.

import type { AnyType, Json, Value } from "./schema.js";

type TextId = "string" | "hex" | "TimePointSec" | "TimePointUSec" | "AccountNumber" | "MethodNumber";
type IsWide<S, T> = string extends keyof S ? true : AnyType extends T ? true : false;
type Second<M> = M extends readonly [unknown, infer V] ? V : M extends { second: infer V } ? V : M extends { value: infer V } ? V : unknown;

/** What `unpack` gives for type T of schema S; any JSON where the schema is not known when compiling. */
export type Unpacked<S, T> = IsWide<S, T> extends true ? Json
  : T extends keyof S ? Unpacked<S, S[T]>
  : T extends { readonly Custom: { readonly type: infer U; readonly id: infer I } }
    ? I extends "bool" ? boolean : I extends TextId ? string : I extends "map" ? UnpackedMap<S, U> : Unpacked<S, U>
  : T extends { readonly Int: { readonly bits: infer B } } ? (B extends 64 ? string : number)
  : T extends { readonly Float: unknown } ? number | "NaN" | "Infinity" | "-Infinity"
  : T extends { readonly Struct: infer M } | { readonly Object: infer M } ? { -readonly [K in keyof M]: Unpacked<S, M[K]> }
  : T extends { readonly Tuple: infer M } ? { -readonly [K in keyof M]: Unpacked<S, M[K]> }
  : T extends { readonly List: infer U } | { readonly Array: { readonly type: infer U } } ? Unpacked<S, U>[]
  : T extends { readonly Option: infer U } ? Unpacked<S, U> | null
  : T extends { readonly Variant: infer M } ? { [K in keyof M]: K extends `@${string}` ? Unpacked<S, M[K]> : { [P in K]: Unpacked<S, M[K]> } }[keyof M]
  : T extends { readonly FracPack: infer U } ? Unpacked<S, U>
  : Json;

type UnpackedMap<S, U> = U extends keyof S ? UnpackedMap<S, S[U]>
  : U extends { readonly List: infer P } ? { [key: string]: Unpacked<S, Second<PairMembers<S, P>>> }
  : Unpacked<S, U>;
type PairMembers<S, P> = P extends keyof S ? PairMembers<S, S[P]>
  : P extends { readonly Object: infer M } | { readonly Struct: infer M } | { readonly Tuple: infer M } ? M
  : unknown;

/** What `pack` takes for type T of schema S. Optional members may be left out. */
export type Packable<S, T> = IsWide<S, T> extends true ? Value
  : T extends keyof S ? Packable<S, S[T]>
  : T extends { readonly Custom: { readonly type: infer U; readonly id: infer I } }
    ? I extends "bool" ? boolean
    : I extends "hex" ? string | Uint8Array
    : I extends "AccountNumber" | "MethodNumber" ? string | bigint
    : I extends "TimePointSec" | "TimePointUSec" ? string | number | bigint
    : I extends "string" ? string
    : I extends "map" ? PackableMap<S, U>
    : Packable<S, U>
  : T extends { readonly Int: unknown } ? number | bigint | string
  : T extends { readonly Float: unknown } ? number | string
  : T extends { readonly Struct: infer M } | { readonly Object: infer M } ? PackableMembers<S, M>
  : T extends { readonly Tuple: infer M } ? { readonly [K in keyof M]: Packable<S, M[K]> }
  : T extends { readonly List: infer U } | { readonly Array: { readonly type: infer U } } ? readonly Packable<S, U>[]
  : T extends { readonly Option: infer U } ? Packable<S, U> | null | undefined
  : T extends { readonly Variant: infer M } ? { [K in keyof M]: K extends `@${string}` ? Packable<S, M[K]> : { readonly [P in K]: Packable<S, M[K]> } }[keyof M]
  : T extends { readonly FracPack: infer U } ? Packable<S, U> | Uint8Array
  : Value;

type PackableMap<S, U> = U extends keyof S ? PackableMap<S, S[U]>
  : U extends { readonly List: infer P } ? { readonly [key: string]: Packable<S, Second<PairMembers<S, P>>> }
  : Packable<S, U>;
type IsOption<S, T> = T extends keyof S ? IsOption<S, S[T]> : T extends { readonly Option: unknown } ? true : false;
type PackableMembers<S, M> =
  & { readonly [K in keyof M as IsOption<S, M[K]> extends true ? never : K]: Packable<S, M[K]> }
  & { readonly [K in keyof M as IsOption<S, M[K]> extends true ? K : never]?: Packable<S, M[K]> };
