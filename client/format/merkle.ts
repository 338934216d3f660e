// Merkle trees of transactions and events, and the state's. Source: spec, data formats §7.3.

import { sha256 } from "@noble/hashes/sha2.js";
import { concat } from "./bytes.js";

const nothing = new Uint8Array(32);

/** The root over packed leaves; 32 zero bytes when there are none. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return nothing;
  if (leaves.length === 1) return sha256(concat(Uint8Array.of(0), leaves[0]!));
  let left = 1;
  while (2 * left < leaves.length) left *= 2;
  return inner(merkleRoot(leaves.slice(0, left)), merkleRoot(leaves.slice(left)));
}

/** The peaks, left to right, from which a tree of these leaves goes on growing, and how many leaves it has. */
export function merkleState(leaves: readonly Uint8Array[]): { i: bigint; stack: Uint8Array[] } {
  const stack: Uint8Array[] = [];
  let at = 0;
  for (let size = 2 ** Math.floor(Math.log2(Math.max(leaves.length, 1))); size >= 1; size /= 2)
    if (leaves.length & size) {
      stack.push(merkleRoot(leaves.slice(at, at + size)));
      at += size;
    }
  return { i: BigInt(leaves.length), stack };
}

/** The root over rows of distinct keys, a node of the tree for each bit of the key. */
export function stateRoot(rows: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  return below(rows, 0) ?? nothing;
}

function below(rows: readonly (readonly [Uint8Array, Uint8Array])[], depth: number): Uint8Array | undefined {
  if (rows.length === 0) return undefined;
  const here = rows.find(([key]) => key.length * 8 === depth);
  const longer = rows.filter((row) => row !== here);
  const bit = ([key]: readonly [Uint8Array, Uint8Array]): number => (key[depth >> 3]! >> (7 - (depth & 7))) & 1;
  const children = combine(
    below(longer.filter((row) => bit(row) === 0), depth + 1),
    below(longer.filter((row) => bit(row) === 1), depth + 1),
  );
  return combine(here && sha256(concat(Uint8Array.of(0), sized(here[0]), sized(here[1]))), children);
}

function combine(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  return a && b ? inner(a, b) : (a ?? b);
}

function inner(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(Uint8Array.of(1), left, right));
}

function sized(bytes: Uint8Array): Uint8Array {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, bytes.length, true);
  return concat(size, bytes);
}
