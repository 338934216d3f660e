import { parseAmount } from "@polis/client/ui";
import { unit, type Balance } from "./tokens.js";

/** What is to be sent: the token that the text names or, where it names none, the chosen one. */
export type Draft = { token: Balance; units: string } | { token: Balance; problem: string };

/** Reads "5", "2.50 psi" or "PSI 2.50". */
export function readAmount(text: string, chosen: Balance, balances: Balance[]): Draft {
  const [, before = "", number = "", after = ""] = /^\s*([A-Za-z]*)\s*(.*?)\s*([A-Za-z]*)\s*$/.exec(text) ?? [];
  const name = before || after;
  const token = name === "" ? chosen : balances.find((balance) => unit(balance).toLowerCase() === name.toLowerCase());
  if (!token || (before !== "" && after !== "")) return { token: chosen, problem: `You have no ${name.toUpperCase()}.` };
  return { token, ...parseAmount(number, token.precision) };
}

/** The token that an address such as /?token=psi or /?token=1 asks for. */
export function wantedToken(query: string, balances: Balance[]): Balance | undefined {
  const wanted = new URLSearchParams(query).get("token")?.toLowerCase();
  return wanted ? balances.find(({ symbol, tokenId }) => wanted === symbol || wanted === String(tokenId)) : undefined;
}
