// Amounts: decimal strings of the smallest unit on the wire, decimals on the screen. No floating point.

/** "1234500000" with precision 4 as "123,450.0000"; digits after the point are trimmed to at least two. */
export function formatAmount(units: string, precision: number): string {
  const negative = units.startsWith("-");
  const digits = (negative ? units.slice(1) : units).padStart(precision + 1, "0");
  const whole = digits.slice(0, digits.length - precision).replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = precision === 0 ? "" : digits.slice(-precision);
  const kept = fraction.replace(/0+$/, "").padEnd(Math.min(2, precision), "0");
  return `${negative ? "−" : ""}${whole}${kept === "" ? "" : `.${kept}`}`;
}

/** Smallest units of what a person typed, or a sentence that says what is wrong with it. */
export function parseAmount(text: string, precision: number): { units: string } | { problem: string } {
  const plain = text.trim().replace(/[,\s](?=\d{3}(\D|$))/g, "");
  const found = /^(\d*)(?:[.,](\d*))?$/.exec(plain);
  if (!found || plain === "" || plain === "." || plain === ",") return { problem: "Enter an amount, such as 5 or 2.50." };
  const [, whole = "", fraction = ""] = found;
  if (fraction.replace(/0+$/, "").length > precision)
    return { problem: precision === 0 ? "This token has no fractions." : `At most ${precision} digits after the point.` };
  const units = BigInt(whole + fraction.slice(0, precision).padEnd(precision, "0") || "0");
  if (units === 0n) return { problem: "Enter more than zero." };
  if (units >= 1n << 64n) return { problem: "That is more than any token has." };
  return { units: units.toString() };
}
