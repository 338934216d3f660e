// The schema model in its JSON form. Source: spec, data formats §6.

import type { JsonNumber } from "./json.js";

export type AnyType =
  | string
  | { Struct: Record<string, AnyType> }
  | { Object: Record<string, AnyType> }
  | { Array: { type: AnyType; len: string | number } }
  | { List: AnyType }
  | { Option: AnyType }
  | { Variant: Record<string, AnyType> }
  | { Tuple: readonly AnyType[] }
  | { Int: { bits: number; isSigned: boolean } }
  | { Float: { exp: number; mantissa: number } }
  | { FracPack: AnyType }
  | { Custom: { type: AnyType; id: string } };

export type Schema = Record<string, AnyType>;

export interface FunctionType {
  params: AnyType;
  result?: AnyType | null;
}

export interface ServiceSchema {
  service: string;
  types: Schema;
  actions: Record<string, FunctionType>;
}

/** What JSON can say; the form in which values of a schema are given and returned. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * A value handed to `pack`. Besides its JSON form, an integer may be a bigint, bytes a Uint8Array, and a number as it was
 * written.
 */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | JsonNumber
  | readonly Value[]
  | { readonly [key: string]: Value };
