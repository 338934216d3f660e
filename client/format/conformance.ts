// Runs the protocol's shared test vectors, for the tests here and for `npm run check-vectors`.

import { accountName, accountNumber } from "./account.js";
import { fromHex, toHex } from "./bytes.js";
import { chainCodec, chainSchema, packSignedTransaction, transactionId } from "./chain.js";
import { Codec } from "./fracpack.js";
import { methodName, methodNumber } from "./method.js";
import { compressSpki, fromPem, keyFingerprint, toPem } from "./keys.js";
import type { Json, Schema } from "./schema.js";

export interface Outcome {
  passed: number;
  failures: string[];
}

/** Checks one vector file by its name; undefined when this library does not cover that file. */
export function checkVectors(fileName: string, content: unknown): Outcome | undefined {
  const outcome: Outcome = { passed: 0, failures: [] };
  const check = (what: string, test: () => void): void => {
    try {
      test();
      outcome.passed += 1;
    } catch (error) {
      outcome.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const suite = suites[fileName];
  if (!suite) return undefined;
  suite(content, check);
  return outcome;
}

type Check = (what: string, test: () => void) => void;

const suites: Record<string, (content: unknown, check: Check) => void> = {
  "account-numbers.json": (content, check) => {
    const { encode, decode } = content as { encode: { name: string; value: string }[]; decode: { name: string; value: string }[] };
    for (const c of encode) check(`encode ${c.name}`, () => same(accountNumber(c.name).toString(), c.value));
    for (const c of decode) check(`decode ${c.value}`, () => same(accountName(BigInt(c.value)), c.name));
  },
  "method-numbers.json": (content, check) => {
    const { encode, decode } = content as {
      encode: { name: string; value: string; string: string }[];
      decode: { value: string; string: string }[];
    };
    for (const c of encode) {
      check(`encode ${c.name}`, () => same(methodNumber(c.name).toString(), c.value));
      check(`decode ${c.value}`, () => same(methodName(BigInt(c.value)), c.string));
    }
    for (const c of decode) check(`decode ${c.value}`, () => same(methodName(BigInt(c.value)), c.string));
  },
  "fracpack-vectors.json": (content, check) => {
    interface Case { type: string; fracpack: string; json?: Json; error?: true; compat?: string }
    for (const { schema, values } of content as { schema: Schema; values: Case[] }[]) {
      const codec = new Codec(schema);
      for (const c of values) {
        const what = `${c.type} ${c.fracpack}`;
        if (c.error) {
          check(`refuse ${what}`, () => refuses(() => codec.unpack(c.type, fromHex(c.fracpack))));
          continue;
        }
        check(`unpack ${what}`, () => same(codec.unpack(c.type, fromHex(c.fracpack)), c.json));
        check(`pack ${what}`, () => same(toHex(codec.pack(c.type, c.json)), c.fracpack));
        if (c.compat !== undefined)
          check(`unpack extended ${c.compat}`, () => same(codec.unpack(c.type, fromHex(c.compat!)), c.json));
      }
    }
  },
  "fracpack-validation.json": (content, check) => {
    const { schema, values } = content as { schema: Schema; values: { type: string; fracpack: string; result: string }[] };
    const codec = new Codec(schema);
    for (const c of values) {
      check(`${c.result} ${c.type} ${c.fracpack}`, () => {
        if (c.result === "invalid") refuses(() => codec.unpack(c.type, fromHex(c.fracpack)));
        else same(codec.read(c.type, fromHex(c.fracpack)).extended, c.result === "extended");
      });
    }
  },
  "block-and-transaction.json": (content, check) => {
    interface Case { name: string; type: string; json: Record<string, Json>; fracpack: string; id?: string }
    for (const c of content as Case[]) {
      if (!(c.type in chainSchema)) continue;
      check(`unpack ${c.name}`, () => {
        const unpacked = chainCodec.unpack(c.type, fromHex(c.fracpack));
        // Method names print in lower case; compare what packs alike.
        same(toHex(chainCodec.pack(c.type, unpacked)), c.fracpack);
      });
      check(`pack ${c.name}`, () => same(toHex(chainCodec.pack(c.type, c.json)), c.fracpack));
      if (c.type === "SignedTransaction" && c.json["subjectiveData"] === null)
        check(`sign ${c.name}`, () =>
          same(toHex(packSignedTransaction(fromHex(c.json["transaction"] as string), (c.json["proofs"] as string[]).map(fromHex))), c.fracpack));
      if (c.id !== undefined) check(`id ${c.name}`, () => same(transactionId(fromHex(c.fracpack)), c.id));
    }
  },
  "signatures.json": (content, check) => {
    interface Case {
      curve: string;
      pkcs8_der: string;
      pkcs8_pem: string;
      spki_der_uncompressed: string;
      spki_der_compressed: string;
      spki_pem: string;
      fingerprint_uncompressed: string;
    }
    for (const c of content as Case[]) {
      const spki = fromHex(c.spki_der_uncompressed);
      check("fingerprint", () => same(toHex(keyFingerprint(spki)), c.fingerprint_uncompressed));
      check("public key PEM", () => same(toHex(fromPem("PUBLIC KEY", c.spki_pem)), c.spki_der_uncompressed));
      check("private key PEM", () => same(toPem("PRIVATE KEY", fromHex(c.pkcs8_der)), c.pkcs8_pem));
      if (c.curve === "P-256") check("compressed key", () => same(toHex(compressSpki(spki)), c.spki_der_compressed));
    }
  },
};

function same(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(sorted(actual)), JSON.stringify(sorted(expected))];
  if (a !== b) throw new Error(`expected ${b}, got ${a}`);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]));
}

function refuses(action: () => unknown): void {
  try {
    action();
  } catch {
    return;
  }
  throw new Error("was accepted");
}
