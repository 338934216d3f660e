// Runs the protocol's shared test vectors, for the tests here and for `npm run check-vectors`.

import { sha256 } from "@noble/hashes/sha2.js";
import { accountName, accountNumber } from "./account.js";
import { concat, fromHex, toHex } from "./bytes.js";
import { packSignedTransaction, transactionId } from "./chain.js";
import { compareTypes } from "./compare.js";
import { Codec } from "./fracpack.js";
import { decodeJwt, encodeJwt } from "./jwt.js";
import { compressSpki, fromPem, keyFingerprint, toPem } from "./keys.js";
import { merkleRoot, merkleState, stateRoot } from "./merkle.js";
import { methodModel, methodName, methodNumber, symbolOf } from "./method.js";
import { parseTypeNotation } from "./notation.js";
import { orderedKey } from "./order.js";
import type { Json, Schema } from "./schema.js";
import { matchesVersion, parseVersion } from "./semver.js";
import { blockId, blockSignaturePreimage, hashedHeader, nativeRowKeys, stateSignaturePreimage, structureCodec, structureSchema } from "./structures.js";
import { formatMicroseconds, formatSeconds, parseTime } from "./time.js";

export interface Outcome {
  passed: number;
  failures: string[];
}

/** Checks one vector file; its form is told from its content. */
export function checkVectors(content: unknown): Outcome {
  const outcome: Outcome = { passed: 0, failures: [] };
  const check: Check = (what, test) => {
    try {
      test();
      outcome.passed += 1;
    } catch (error) {
      outcome.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const form = formOf(content);
  if (form === undefined) outcome.failures.push("the file is of no known form");
  else suites[form](content, check);
  return outcome;
}

type Check = (what: string, test: () => void) => void;

function formOf(content: unknown): keyof typeof suites | undefined {
  if (typeof content !== "object" || content === null) return undefined;
  const keys = new Set(Array.isArray(content) ? content.flatMap((c) => (typeof c === "object" && c !== null ? Object.keys(c) : [])) : Object.keys(content));
  const has = (...names: string[]): boolean => names.every((name) => keys.has(name));
  const list = Array.isArray(content);
  if (has("schema", "values")) return list ? "fracpack" : "validation";
  if (list && has("private_scalar")) return "signatures";
  if (list && has("token")) return "jwt";
  if (list && has("type", "json", "fracpack")) return "structures";
  if (list && has("type", "input")) return "json";
  if (list && has("type", "key")) return "keys";
  if (list) return undefined;
  if (has("encode") || has("decode")) {
    const cases = Object.values(content).flat() as object[];
    return cases.some((c) => "string" in c || "hashed" in c) ? "methods" : "accounts";
  }
  if (has("cumulative")) return "model";
  if (has("format") || has("parse")) return "time";
  if (has("merkle") || has("kv_merkle")) return "merkle";
  const matches = "match" in content && Array.isArray(content.match) ? (content.match as object[]) : [];
  if (has("schemas") || matches.some((c) => "lhs" in c)) return "schema";
  if (has("match") || has("prerelease") || has("invalid_patterns")) return "semver";
  return undefined;
}

/** The schema of schemas. Source: spec, data formats §6. */
const schemaSchema: Schema = {
  u32: { Int: { bits: 32, isSigned: false } },
  string: { Custom: { type: { List: { Int: { bits: 8, isSigned: false } } }, id: "string" } },
  Members: { Custom: { type: { List: { Object: { name: "string", type: "AnyType" } } }, id: "map" } },
  AnyType: {
    Variant: {
      Struct: "Members",
      Object: "Members",
      Array: { Object: { type: "AnyType", len: { Int: { bits: 64, isSigned: false } } } },
      List: "AnyType",
      Option: "AnyType",
      Variant: "Members",
      Tuple: { List: "AnyType" },
      Int: { Object: { bits: "u32", isSigned: { Custom: { type: { Int: { bits: 1, isSigned: false } }, id: "bool" } } } },
      Float: { Object: { exp: "u32", mantissa: "u32" } },
      FracPack: "AnyType",
      Custom: { Object: { type: "AnyType", id: "string" } },
      "@Type": "string",
    },
  },
  Schema: { Custom: { type: { List: { Object: { first: "string", second: "AnyType" } } }, id: "map" } },
};

type Suite = (content: unknown, check: Check) => void;

const suites = {
  json: (content, check) => {
    interface Case { type: string; input: string; output?: string; fracpack?: string; error?: true }
    const codec = new Codec({});
    for (const c of content as Case[])
      check(`${c.type} ${c.input}`, () => {
        const type = parseTypeNotation(c.type);
        if (c.error) return refuses(() => codec.packText(type, c.input));
        const packed = codec.packText(type, c.input);
        if (c.fracpack !== undefined) same(toHex(packed), c.fracpack);
        if (c.output !== undefined) same(codec.unpackText(type, packed), c.output);
      });
  },
  semver: (content, check) => {
    interface Case { pattern: string; version: string; matches: boolean }
    const { match = [], prerelease = [], invalid_patterns = [] } = content as { match?: Case[]; prerelease?: Case[]; invalid_patterns?: string[] };
    for (const c of [...match, ...prerelease])
      check(`${c.pattern} on ${c.version}`, () => {
        const version = parseVersion(c.version);
        if (!version) throw new Error("the version does not parse");
        same(matchesVersion(c.pattern, version), c.matches);
      });
    for (const pattern of invalid_patterns)
      check(`invalid ${JSON.stringify(pattern)}`, () => same(matchesVersion(pattern, parseVersion("1.0.0")!), undefined));
  },
  keys: (content, check) => {
    for (const c of content as { type: string; value: Json; key: string }[])
      check(`${c.type} ${JSON.stringify(c.value)}`, () => same(toHex(orderedKey({}, parseTypeNotation(c.type), c.value)), c.key));
  },
  model: (content, check) => {
    const { symbols, char_to_symbol, cumulative } = content as { symbols?: string[]; char_to_symbol?: Record<string, number>; cumulative?: number[][] };
    symbols?.forEach((symbol, i) => i > 0 && check(`symbol ${i}`, () => same(symbolOf(symbol), i)));
    for (const [character, symbol] of Object.entries(char_to_symbol ?? {})) check(`character ${character}`, () => same(symbolOf(character.toLowerCase()), symbol));
    cumulative?.forEach((row, i) => check(`row ${i}`, () => same(methodModel[i], row)));
  },
  time: (content, check) => {
    const { format = [], parse = [] } = content as {
      format?: { type: string; value: string; json: string }[];
      parse?: { text: string; seconds?: string; microseconds?: string; error?: true }[];
    };
    for (const c of format)
      check(`${c.type} ${c.value}`, () => same((c.type === "TimePointSec" ? formatSeconds : formatMicroseconds)(BigInt(c.value)), c.json));
    for (const c of parse)
      check(`parse ${c.text}`, () => {
        if (c.error) return refuses(() => parseTime(c.text));
        const unpack = (type: string): string =>
          new DataView(new Codec({}).pack(parseTypeNotation(type), c.text).buffer).getBigInt64(0, true).toString();
        if (c.seconds !== undefined) same(unpack("TimePointSec"), c.seconds);
        if (c.microseconds !== undefined) same(unpack("TimePointUSec"), c.microseconds);
      });
  },
  merkle: (content, check) => {
    const { merkle = [], kv_merkle = [] } = content as {
      merkle?: { leaves: Json[]; leaf_type: string; root: string; packed_state?: string }[];
      kv_merkle?: { rows: [string, string][]; root: string }[];
    };
    for (const c of merkle)
      check(`${c.leaves.length} leaves`, () => {
        const pack = (leaf: Json): Uint8Array =>
          Object.hasOwn(structureSchema, c.leaf_type) ? structureCodec.pack(c.leaf_type, leaf) : new Codec({}).pack(parseTypeNotation(c.leaf_type), leaf);
        const leaves = c.leaves.map(pack);
        same(toHex(merkleRoot(leaves)), c.root);
        const { i, stack } = merkleState(leaves);
        if (c.packed_state !== undefined) same(toHex(structureCodec.pack("Merkle", { i, stack })), c.packed_state);
      });
    for (const c of kv_merkle)
      check(`${c.rows.length} rows`, () => same(toHex(stateRoot(c.rows.map(([key, value]) => [fromHex(key), fromHex(value)] as const))), c.root));
  },
  jwt: (content, check) => {
    for (const c of content as { key: string; payload: string; token: string }[])
      check(c.payload, () => {
        same(encodeJwt(fromHex(c.key), c.payload), c.token);
        same(decodeJwt(fromHex(c.key), c.token), c.payload);
        same(decodeJwt(concat(fromHex(c.key), Uint8Array.of(1)), c.token), undefined);
      });
  },
  schema: (content, check) => {
    const codec = new Codec(schemaSchema);
    const { schemas = [], match = [] } = content as { schemas?: { name: string; schema: Json; fracpack: string }[]; match?: { name: string; lhs: Schema; rhs: Schema; difference: number }[] };
    for (const c of schemas) {
      check(`pack ${c.name}`, () => same(toHex(codec.pack("Schema", c.schema)), c.fracpack));
      check(`unpack ${c.name}`, () => same(toHex(codec.pack("Schema", codec.unpack("Schema", fromHex(c.fracpack)))), c.fracpack));
    }
    for (const c of match) check(`match ${c.name}`, () => same(compareTypes(c.lhs, "T", c.rhs, "T"), c.difference));
  },
  accounts: (content, check) => {
    const { encode = [], decode = [] } = content as { encode?: { name: string; value: string }[]; decode?: { name: string; value: string }[] };
    for (const c of encode) check(`encode ${c.name}`, () => same(accountNumber(c.name).toString(), c.value));
    for (const c of decode) check(`decode ${c.value}`, () => same(accountName(BigInt(c.value)), c.name));
  },
  methods: (content, check) => {
    const { encode = [], decode = [] } = content as {
      encode?: { name: string; value: string; string: string; rust_value?: string }[];
      decode?: { value: string; string: string }[];
    };
    for (const c of encode) {
      check(`encode ${c.name}`, () => same(methodNumber(c.name).toString(), c.value));
      if (c.rust_value !== undefined) check(`encode ${c.name} as Rust does`, () => same(methodNumber(c.name, "rust").toString(), c.rust_value));
      check(`decode ${c.value}`, () => same(methodName(BigInt(c.value)), c.string));
    }
    for (const c of decode) check(`decode ${c.value}`, () => same(methodName(BigInt(c.value)), c.string));
  },
  fracpack: (content, check) => {
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
  validation: (content, check) => {
    const { schema, values } = content as { schema: Schema; values: { type: string; fracpack: string; result: string }[] };
    const codec = new Codec(schema);
    for (const c of values) {
      check(`${c.result} ${c.type} ${c.fracpack}`, () => {
        if (c.result === "invalid") refuses(() => codec.unpack(c.type, fromHex(c.fracpack)));
        else same(codec.read(c.type, fromHex(c.fracpack)).extended, c.result === "extended");
      });
    }
  },
  structures: (content, check) => {
    interface Case {
      name: string;
      type: string;
      json: Record<string, Json>;
      fracpack: string;
      id?: string;
      hashed_fracpack?: string;
      sha256?: string;
      blockId?: string;
      signature_preimage?: string;
      signature_digest?: string;
      leaf_hash?: string;
      key?: string;
    }
    for (const c of content as Case[]) {
      const packed = fromHex(c.fracpack);
      const isHeader = c.type === "BlockHeader";
      check(`unpack ${c.name}`, () => {
        const { value, extended } = structureCodec.read(c.type, packed);
        same(extended, false);
        same(value, c.json);
      });
      check(`pack ${c.name}`, () => same(toHex(structureCodec.pack(c.type, c.json)), c.fracpack));
      if (c.type === "SignedTransaction" && c.json["subjectiveData"] === null)
        check(`sign ${c.name}`, () =>
          same(toHex(packSignedTransaction(fromHex(c.json["transaction"] as string), (c.json["proofs"] as string[]).map(fromHex))), c.fracpack));
      const expect = (what: keyof Case, actual: () => Uint8Array | string): void => {
        if (c[what] === undefined) return;
        check(`${what} of ${c.name}`, () => {
          const result = actual();
          same(typeof result === "string" ? result : toHex(result), c[what]);
        });
      };
      const preimage = (): Uint8Array => (isHeader ? blockSignaturePreimage(blockId(c.json)) : stateSignaturePreimage(packed));
      expect("id", () => transactionId(packed));
      expect("hashed_fracpack", () => hashedHeader(c.json));
      expect("sha256", () => sha256(isHeader ? hashedHeader(c.json) : packed));
      expect("blockId", () => blockId(c.json));
      expect("signature_preimage", preimage);
      expect("signature_digest", () => sha256(preimage()));
      expect("leaf_hash", () => merkleRoot([packed]));
      expect("key", () => nativeRowKeys(c.type, c.json).find((key) => key === c.key) ?? "another key");
    }
  },
  signatures: (content, check) => {
    interface Case {
      pkcs8_der: string;
      pkcs8_pem: string;
      spki_der_uncompressed: string;
      spki_der_compressed: string;
      spki_pem: string;
      fingerprint_uncompressed: string;
      fingerprint_compressed?: string;
    }
    for (const c of content as Case[]) {
      const spki = fromHex(c.spki_der_uncompressed);
      check("fingerprint", () => same(toHex(keyFingerprint(spki)), c.fingerprint_uncompressed));
      check("public key PEM", () => same(toHex(fromPem("PUBLIC KEY", c.spki_pem)), c.spki_der_uncompressed));
      check("private key PEM", () => same(toPem("PRIVATE KEY", fromHex(c.pkcs8_der)), c.pkcs8_pem));
      check("compressed key", () => same(toHex(compressSpki(spki)), c.spki_der_compressed));
      if (c.fingerprint_compressed !== undefined)
        check("fingerprint of the compressed key", () => same(toHex(keyFingerprint(compressSpki(spki))), c.fingerprint_compressed));
    }
  },
} satisfies Record<string, Suite>;

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
