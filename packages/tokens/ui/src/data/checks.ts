// What a transfer may be, told before it is sent.

import { formatAmount, nameProblem, type Lookup } from "@polis/client/ui";
import type { Draft } from "./amount.js";
import { memoBytesMax, unit, type Balance } from "./tokens.js";

export interface Form {
  /** Who sends. */
  account: string;
  to: string;
  draft: Draft;
  memo: string;
}

export type Problems = Record<"to" | "amount" | "memo", string | undefined>;

/** A sentence for each part that is not right yet. receiver: what is known of the account `to`. */
export function findProblems({ account, to, draft, memo }: Form, receiver: Lookup): Problems {
  const { balance, precision } = draft.token;
  const memoBytes = new TextEncoder().encode(memo).length;
  return {
    to: to === "" ? "Whom to?"
      : nameProblem(to) ?? (to === account ? "That is you." : receiver === "free" ? `There is no account ${to}.` : undefined),
    amount: "problem" in draft ? draft.problem
      : BigInt(draft.units) > BigInt(balance) ? `You have ${formatAmount(balance, precision)} ${unit(draft.token)}.`
      : undefined,
    memo: memoBytes > memoBytesMax ? `Too long by ${memoBytes - memoBytesMax}.` : undefined,
  };
}

/** What may be entered as an amount: how much there is, and how fine it may be. */
export function amountHint(balance: Balance): string {
  const { precision } = balance;
  const digits = precision === 0 ? "whole numbers only" : `up to ${precision} ${precision === 1 ? "digit" : "digits"} after the point`;
  return `You have ${formatAmount(balance.balance, precision)} ${unit(balance)}; ${digits}.`;
}
