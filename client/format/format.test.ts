import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  accountName, accountNumber, chainCodec, Codec, compareTypes, decodeJwt, encodeJwt, formatSeconds, fromBase64, fromHex, isAccountName,
  matchesVersion, methodNumber, packTransaction, parseTime, parseVersion, toHex, transactionId, type Schema,
} from "./index.js";
import { checkVectors } from "./conformance.js";

describe("conformance vectors", () => {
  const folder = fileURLToPath(new URL("../../../shared/conformance/", import.meta.url));
  const files = [
    "account-numbers.json", "method-numbers.json", "fracpack-vectors.json",
    "fracpack-validation.json", "block-and-transaction.json", "signatures.json", "keys.json",
    "merkle.json", "jwt.json", "method-model.json", "schema.json", "time.json", "semver.json", "json-parse.json",
  ];
  for (const file of files) {
    test.skipIf(!existsSync(folder + file))(file, () => {
      const outcome = checkVectors(JSON.parse(readFileSync(folder + file, "utf8")));
      expect(outcome.failures).toEqual([]);
      expect(outcome.passed).toBeGreaterThan(2);
    });
  }
});

describe("names", () => {
  test.each([
    ["alice", 351191174077921280n], ["accounts", 342995764283927552n], ["zzzzzzzzzz+255", 1191774718367843583n],
    ["a--b", 0n], ["-a", 0n], ["a-", 0n], ["toolongname1", 0n], ["alice+256", 0n], ["alice+1x", 0n],
  ])("%s", (name, value) => {
    expect(accountNumber(name)).toBe(value);
    if (value !== 0n) expect(accountName(value)).toBe(name);
  });

  test("exact names only", () => {
    expect(isAccountName("alice")).toBe(true);
    for (const name of ["Alice", "alice+0", "", "a_b"]) expect(isAccountName(name)).toBe(false);
  });

  test.each([["credit", 1492602n], ["loginSys", 853328387950n], ["natasharomanoff", 6905860632893337981n], ["what?", 0n]])(
    "method %s", (name, value) => expect(methodNumber(name)).toBe(value));
});

describe("fracpack", () => {
  const codec = new Codec<Schema>({
    u8: { Int: { bits: 8, isSigned: false } },
    u32: { Int: { bits: 32, isSigned: false } },
    u64: { Int: { bits: 64, isSigned: false } },
    text: { Custom: { type: { List: "u8" }, id: "string" } },
    Note: { Object: { a: "u8", b: { Option: "u8" }, c: "u8", d: { Option: "text" }, e: { Option: { List: "u8" } } } },
    Tree: { Object: { v: "u8", kids: { List: "Tree" } } },
  });

  test("the specification's examples", () => {
    expect(toHex(codec.pack("Note", { a: 1, c: 3 }))).toBe("0600010100000003");
    expect(toHex(codec.pack("Note", { a: 1, c: 3, d: "ab", e: [7] }))).toBe("0E00010100000003080000000A0000000200000061620100000007");
    expect(toHex(codec.pack({ List: "text" }, ["xy", "", "z"]))).toBe("0C0000000C000000000000000A000000020000007879010000007A");
  });

  test("refuses values outside the type", () => {
    for (const value of [-1, 256, 1.5, "x", null, {}]) expect(() => codec.pack("u8", value)).toThrow();
    expect(() => codec.pack("Note", { a: 1 })).toThrow("c is missing");
    expect(codec.unpack("u64", codec.pack("u64", "18446744073709551615"))).toBe("18446744073709551615");
    expect(() => codec.pack("u64", "18446744073709551616")).toThrow();
  });

  test("values larger than the first buffer", () => {
    const long = "x".repeat(5000);
    const note = { a: 1, b: null, c: 3, d: long, e: null };
    expect(codec.unpack("Note", codec.pack("Note", note))).toEqual(note);
  });

  test("a schema that stands in the program types its values", () => {
    const typed = new Codec({
      u64: { Int: { bits: 64, isSigned: false } },
      name: { Custom: { type: { Struct: { value: "u64" } }, id: "AccountNumber" } },
      Pay: { Object: { to: "name", amount: "u64", memo: { Option: { Custom: { type: { List: { Int: { bits: 8, isSigned: false } } }, id: "string" } } } } },
      Step: { Variant: { Pay: "Pay", Wait: { Int: { bits: 32, isSigned: false } } } },
      Plan: { Object: { steps: { List: "Step" }, then: { List: "Plan" } } },
    });
    const packed = typed.pack("Plan", { steps: [{ Pay: { to: "alice", amount: 5n } }, { Wait: 3 }], then: [] });
    const plan = typed.unpack("Plan", packed);
    const first = plan.steps[0]!;
    expect("Pay" in first && first.Pay.amount).toBe("5");
    const deeper: number = plan.then.length;
    expect(deeper).toBe(0);
    // @ts-expect-error: a member is missing
    expect(() => typed.pack("Pay", { to: "alice" })).toThrow("amount is missing");
    // @ts-expect-error: no such type
    expect(() => typed.pack("Payment", {})).toThrow("unknown type");
    // @ts-expect-error: an amount is text, for it may be wider than a number
    const wrong: number = typed.unpack("Pay", typed.pack("Pay", { to: "bob", amount: 1 })).amount;
    expect(wrong).toBe("1");
  });

  test("recursive types", () => {
    const tree = { v: 1, kids: [{ v: 2, kids: [] }, { v: 3, kids: [{ v: 4, kids: [] }] }] };
    expect(codec.unpack("Tree", codec.pack("Tree", tree))).toEqual(tree);
  });

  test("a map goes in the order of its keys, and of repeated keys the last counts", () => {
    const map = (first: string) => ({ Custom: { type: { List: { Object: { first, second: "u8" } } }, id: "map" } });
    expect(toHex(codec.pack(map("text"), { b: 1, a: 2 }))).toBe(toHex(codec.pack(map("text"), { a: 2, b: 1 })));
    const methods = new Codec<Schema>({ u8: { Int: { bits: 8, isSigned: false } }, method: { Custom: { type: { Struct: { value: { Int: { bits: 64, isSigned: false } } } }, id: "MethodNumber" } } });
    expect(methods.unpack(map("method"), methods.pack(map("method"), { setCode: 1, credit: 2, SETCODE: 3 }))).toEqual({ credit: 2, setcode: 3 });
  });

  test("a tuple's missing members are defaults; a single value is its first member", () => {
    const pair = { Tuple: ["u32", "text", { Option: "u8" }, { Tuple: ["u8"] }] };
    const whole = codec.pack(pair, [7, "", null, [0]]);
    for (const value of [[7], 7, [7, ""]]) expect(codec.pack(pair, value)).toEqual(whole);
    expect(codec.pack(pair, null)).toEqual(codec.pack(pair, [0, "", null, [0]]));
    expect(() => codec.pack(pair, [7, "", null, [0], 1])).toThrow();
  });

  test("JSON text: numbers of any width are exact, the last of repeated members counts", () => {
    expect(codec.unpackText("u64", codec.packText("u64", "9007199254740993"))).toBe('"9007199254740993"');
    expect(codec.unpackText("Note", codec.packText("Note", '{"a":1,"c":2,"x":[{}],"a":3}'))).toBe('{"a":3,"b":null,"c":2,"d":null,"e":null}');
    for (const text of ["", "[1,]", "01", "1 2", '{"a":1,}', '"\\uD800"', "nul", "[", '"\n"']) expect(() => codec.packText({ List: "u8" }, text), text).toThrow();
    expect(() => codec.packText({ List: "u8" }, "[".repeat(100000))).toThrow("nesting");
  });

  test("text that is not UTF-8 shows a question mark for each such byte; a byte order mark stays", () => {
    expect(codec.unpack("text", fromHex("050000006180C3A9FF"))).toBe("a?\u00e9?");
    expect(codec.unpack("text", codec.pack("text", "\ufeffa"))).toBe("\ufeffa");
    expect(() => codec.pack("text", "\ud800")).toThrow();
  });

  test("truncated and mutated bytes never read outside", () => {
    const whole = codec.pack("Note", { a: 1, c: 3, d: "ab", e: [7] });
    for (let end = 0; end < whole.length; end++) expect(() => codec.unpack("Note", whole.subarray(0, end))).toThrow();
    for (let at = 0; at < whole.length; at++)
      for (const bit of [1, 16, 128]) {
        const mutated = whole.slice();
        mutated[at]! ^= bit;
        try {
          codec.unpack("Note", mutated);
        } catch (error) {
          expect((error as Error).name).toBe("FormatError");
        }
      }
  });

  test("a schema that contains itself is refused", () => {
    const broken = new Codec<Schema>({ A: "B", B: "A", C: { Struct: { c: "C" } } });
    expect(() => broken.pack("A", 1)).toThrow();
    expect(() => broken.pack("C", { c: 1 })).toThrow();
  });
});

describe("transactions", () => {
  test("pack, read back, identify", () => {
    const packed = packTransaction({
      tapos: { expiration: 1700000000, refBlockSuffix: 305419896, flags: 0, refBlockIndex: 42 },
      actions: [{ sender: "alice", service: "tokens", method: "credit", rawData: fromHex("0100000000000000") }],
      claims: [],
    });
    expect(chainCodec.unpack("Transaction", packed)).toEqual({
      tapos: { expiration: "2023-11-14T22:13:20Z", refBlockSuffix: 305419896, flags: 0, refBlockIndex: 42 },
      actions: [{ sender: "alice", service: "tokens", method: "credit", rawData: "0100000000000000" }],
      claims: [],
    });
    expect(transactionId(packed)).toMatch(/^[0-9A-F]{64}$/);
  });
});

test("times", () => {
  expect(parseTime("1970-01-01T01:00:00.25+01:00")).toBe(250000n);
  for (const text of ["2024-02-30T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T25:00:00Z"]) expect(() => parseTime(text)).toThrow();
});

test("years are printed modulo 10,000", () => {
  expect(formatSeconds(253402300799n)).toBe("9999-12-31T23:59:59Z");
  expect(formatSeconds(253402300800n)).toBe("0000-01-01T00:00:00Z");
  expect(formatSeconds(-1n)).toBe("1969-12-31T23:59:59Z");
  expect(formatSeconds((1n << 63n) - 1n)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

test("versions", () => {
  const matches = (pattern: string, version: string): boolean | undefined => matchesVersion(pattern, parseVersion(version)!);
  expect(matches("^1.2 || =0.3", "1.9.0")).toBe(true);
  expect(matches("^0.2.1", "0.3.0")).toBe(false);
  expect(matches(">=1.0.0-rc.2", "1.0.0-rc.10")).toBe(true);
  expect(matches("1.x", "1.0.0")).toBe(undefined);
  expect(parseVersion("1.02.0")).toBe(undefined);
});

test("types compare by layout", () => {
  const u8 = { Int: { bits: 8, isSigned: false } };
  const tree = (more: object) => ({ T: { Object: { v: u8, kids: { List: "T" }, ...more } } });
  expect(compareTypes(tree({}), "T", tree({}), "T")).toBe(0);
  expect(compareTypes(tree({}), "T", tree({ x: { Option: u8 } }), "T")).toBe(2);
  expect(compareTypes({ A: "B", B: "A" }, "A", {}, u8)).toBe(1);
});

test("a login token has one spelling", () => {
  const key = fromHex("000102030405060708090A0B0C0D0E0F");
  const token = encodeJwt(key, '{"sub":"alice"}');
  expect(decodeJwt(key, token)).toBe('{"sub":"alice"}');
  const last = token.at(-1)!;
  const twin = String.fromCharCode(last.charCodeAt(0) + 1);
  for (const other of [token + "=", token.slice(0, -1) + twin, token.slice(0, -1), token + ".x", ""]) expect(decodeJwt(key, other)).toBe(undefined);
});

test("base64 of either alphabet", () => {
  expect(toHex(fromBase64("-_8="))).toBe("FBFF");
  expect(toHex(fromBase64("+/8"))).toBe("FBFF");
  expect(() => fromBase64("a")).toThrow();
});
