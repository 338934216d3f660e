import { describe, expect, test } from "vitest";
import { formatAmount, parseAmount } from "./amounts.js";

describe("amounts", () => {
  test.each([
    ["1000000000", 4, "100,000.00"], ["1", 4, "0.0001"], ["0", 4, "0.00"], ["50000", 4, "5.00"],
    ["18446744073709551615", 8, "184,467,440,737.09551615"], ["1234", 0, "1,234"], ["5", 1, "0.5"], ["-15000", 4, "−1.50"],
  ])("%s with precision %d is %s", (units, precision, text) => expect(formatAmount(units, precision)).toBe(text));

  test.each([
    ["5", 4, "50000"], ["2.50", 4, "25000"], ["2,5", 4, "25000"], ["1,234.5", 4, "12345000"], ["1,000", 4, "10000000"],
    [".5", 1, "5"], ["0.10000", 1, "1"], ["1 000", 0, "1000"], ["7.", 2, "700"],
  ])("%s is read as it is meant", (text, precision, units) => expect(parseAmount(text, precision)).toEqual({ units }));

  test.each(["", ".", "abc", "-5", "1e3", "0", "0.00001", "184467440737095516.16", "1.2.3"])("%s is refused", (text) =>
    expect(parseAmount(text, 4)).toHaveProperty("problem"));
});
