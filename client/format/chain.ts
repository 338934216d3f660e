// The protocol's transaction structures. Source: spec, data formats §7.2 and §9.1.

import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "./bytes.js";
import { Codec } from "./fracpack.js";
import type { Schema } from "./schema.js";

/** Schema of the protocol's own structures, in the form that services publish theirs. */
export const chainSchema: Schema = {
  u8: { Int: { bits: 8, isSigned: false } },
  u16: { Int: { bits: 16, isSigned: false } },
  u32: { Int: { bits: 32, isSigned: false } },
  u64: { Int: { bits: 64, isSigned: false } },
  i64: { Int: { bits: 64, isSigned: true } },
  string: { Custom: { type: { List: "u8" }, id: "string" } },
  bytes: { Custom: { type: { List: "u8" }, id: "hex" } },
  AccountNumber: { Custom: { type: { Struct: { value: "u64" } }, id: "AccountNumber" } },
  MethodNumber: { Custom: { type: { Struct: { value: "u64" } }, id: "MethodNumber" } },
  Checksum256: { Custom: { type: { Array: { type: "u8", len: "32" } }, id: "hex" } },
  TimePointSec: { Custom: { type: "i64", id: "TimePointSec" } },
  Action: { Object: { sender: "AccountNumber", service: "AccountNumber", method: "MethodNumber", rawData: "bytes" } },
  Claim: { Object: { service: "AccountNumber", rawData: "bytes" } },
  Tapos: { Struct: { expiration: "TimePointSec", refBlockSuffix: "u32", flags: "u16", refBlockIndex: "u8" } },
  Transaction: { Object: { tapos: "Tapos", actions: { List: "Action" }, claims: { List: "Claim" } } },
  SignedTransaction: {
    Object: {
      transaction: { Custom: { type: { FracPack: "Transaction" }, id: "hex" } },
      proofs: { List: "bytes" },
      subjectiveData: { Option: { List: "bytes" } },
    },
  },
};

export const chainCodec = new Codec(chainSchema);

export interface Action {
  sender: string;
  service: string;
  method: string;
  rawData: Uint8Array;
}

export interface Claim {
  service: string;
  rawData: Uint8Array;
}

export interface Tapos {
  /** Seconds since 1970. */
  expiration: number;
  refBlockSuffix: number;
  flags: number;
  refBlockIndex: number;
}

export interface Transaction {
  tapos: Tapos;
  actions: Action[];
  claims: Claim[];
}

/** Bit of Tapos.flags: this transaction is for one node's eyes and never goes into a block. */
export const doNotBroadcast = 1;

export function packTransaction({ tapos, actions, claims }: Transaction): Uint8Array<ArrayBuffer> {
  return chainCodec.pack("Transaction", {
    tapos: { ...tapos },
    actions: actions.map((action) => ({ ...action })),
    claims: claims.map((claim) => ({ ...claim })),
  });
}

/** `transaction` is packed; proof i answers claim i. */
export function packSignedTransaction(transaction: Uint8Array, proofs: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return chainCodec.pack("SignedTransaction", { transaction, proofs, subjectiveData: null });
}

/** Upper-case hex of the hash of the packed transaction, which is also what its signatures cover. */
export function transactionId(transaction: Uint8Array): string {
  return toHex(sha256(transaction));
}

export { sha256 };
