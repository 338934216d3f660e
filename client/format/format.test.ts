import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { accountName, accountNumber, chainCodec, Codec, fromBase64, fromHex, isAccountName, methodNumber, packTransaction, parseTime, toHex, transactionId } from "./index.js";
import { checkVectors } from "./conformance.js";

describe("conformance vectors", () => {
  const folder = fileURLToPath(new URL("../../../shared/conformance/", import.meta.url));
  const files = [
    "account-numbers.json", "method-numbers.json", "fracpack-vectors.json",
    "fracpack-validation.json", "block-and-transaction.json", "signatures.json", "keys.json",
    "merkle.json", "jwt.json", "method-model.json", "schema.json",
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
  const codec = new Codec({
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

  test("recursive types", () => {
    const tree = { v: 1, kids: [{ v: 2, kids: [] }, { v: 3, kids: [{ v: 4, kids: [] }] }] };
    expect(codec.unpack("Tree", codec.pack("Tree", tree))).toEqual(tree);
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
    const broken = new Codec({ A: "B", B: "A", C: { Struct: { c: "C" } } });
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

test("base64 of either alphabet", () => {
  expect(toHex(fromBase64("-_8="))).toBe("FBFF");
  expect(toHex(fromBase64("+/8"))).toBe("FBFF");
  expect(() => fromBase64("a")).toThrow();
});
