import { describe, expect, test } from "vitest";
import { nameProblem } from "./names.js";

describe("account names", () => {
  test.each(["a", "tokens", "alice-one", "faucet-tok", "0123456789"])("%s is one", (name) => expect(nameProblem(name)).toBeUndefined());

  test.each([
    ["Alice", "a–z"], ["bob two", "a–z"], ["bob+1", "a–z"], ["-bob", "hyphen"], ["bob-", "hyphen"], ["b--b", "hyphen"],
    ["abcdefghijk", "10 characters"],
  ])("%s is none, and it is said why", (name, why) => expect(nameProblem(name)).toContain(why));
});
