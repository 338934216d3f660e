import { describe, expect, test } from "vitest";
import { readAmount, wantedToken } from "./amount.js";
import type { Balance } from "./tokens.js";

const balance = (tokenId: number, symbol: string | null, precision: number): Balance => ({ tokenId, symbol, precision, balance: "1000000", autoDebit: true });
const psi = balance(1, "psi", 4), gold = balance(7, "gold", 2), nameless = balance(9, null, 0);
const all = [psi, gold, nameless];

describe("an amount", () => {
  test.each([
    ["5", psi, "50000"], ["5 psi", psi, "50000"], ["2.50GOLD", gold, "250"], ["gold 2,5", gold, "250"], [" Psi 1,000 ", psi, "10000000"],
  ])("%s names its token", (text, token, units) => expect(readAmount(text, psi, all)).toEqual({ token, units }));

  test("without a symbol is of the chosen token", () => expect(readAmount("3", nameless, all)).toEqual({ token: nameless, units: "3" }));

  test.each([
    ["5 abc", "You have no ABC."], ["psi", "Enter an amount, such as 5 or 2.50."], ["psi 5 gold", "You have no PSI."],
    ["0.001 gold", "At most 2 digits after the point."], ["1e3", "Enter an amount, such as 5 or 2.50."], ["", "Enter an amount, such as 5 or 2.50."],
  ])("%s is refused", (text, problem) => expect(readAmount(text, psi, all)).toHaveProperty("problem", problem));
});

test("an address may name a token", () => {
  expect(wantedToken("?token=GOLD", all)).toBe(gold);
  expect(wantedToken("?token=9", all)).toBe(nameless);
  expect(wantedToken("?token=abc", all)).toBeUndefined();
  expect(wantedToken("?token=", all)).toBeUndefined();
  expect(wantedToken("", all)).toBeUndefined();
});
