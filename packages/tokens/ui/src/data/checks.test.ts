import { describe, expect, test } from "vitest";
import { readAmount } from "./amount.js";
import { amountHint, findProblems, type Problems } from "./checks.js";
import type { Balance } from "./tokens.js";

const balance: Balance = { tokenId: 1, symbol: "pol", precision: 4, balance: "1000000", autoDebit: false };
const draft = { to: "bobby-two", amount: "5", memo: "lunch" };
const check = (form: typeof draft, receiver: Parameters<typeof findProblems>[1]): Problems =>
  findProblems({ account: "alice-one", to: form.to, draft: readAmount(form.amount, balance, [balance]), memo: form.memo }, receiver);
const none = { to: undefined, amount: undefined, memo: undefined };

describe("a transfer", () => {
  test("that is right has no problem", () => {
    for (const receiver of ["exists", "checking", "failed"] as const) expect(check(draft, receiver)).toEqual(none);
    expect(check({ ...draft, amount: "100", memo: "" }, "exists")).toEqual(none);
  });

  test.each([
    ["", "Whom"], ["Bob", "a–z"], ["bob-", "hyphen"], ["bobby-two-three", "10 characters"], ["alice-one", "you"],
  ])("to '%s' is not possible", (to, why) => expect(check({ ...draft, to }, "idle").to).toContain(why));

  test("to nobody is not possible", () => expect(check(draft, "free").to).toBe("There is no account bobby-two."));

  test.each([
    ["", "such as"], ["?", "such as"], ["0", "more than zero"], ["0.00001", "4 digits"], ["100.0001", "You have 100.00"], ["-1", "such as"],
  ])("of '%s' is not possible", (amount, why) => expect(check({ ...draft, amount }, "exists").amount).toContain(why));

  test("has a short memo", () => {
    expect(check({ ...draft, memo: "x".repeat(80) }, "exists").memo).toBeUndefined();
    expect(check({ ...draft, memo: "é".repeat(41) }, "exists").memo).toBe("Too long by 2.");
  });

  test("is hinted at by what there is", () => {
    expect(amountHint(balance)).toBe("You have 100.00 POL; up to 4 digits after the point.");
    expect(amountHint({ ...balance, precision: 0, balance: "7" })).toBe("You have 7 POL; whole numbers only.");
  });
});
