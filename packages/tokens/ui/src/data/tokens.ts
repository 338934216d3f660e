// The only code of this app that talks to the node. Routes: ../../../README.md.

import { getSupervisor, siblingUrl, type ActionOutcome } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";

export interface Balance {
  tokenId: number;
  symbol: string | null;
  precision: number;
  balance: string;
  autoDebit: boolean;
}

export interface Balances {
  account: string;
  autoDebit: boolean;
  balances: Balance[];
}

export interface Entry {
  seq: string;
  tokenId: number;
  precision: number;
  symbol: string | null;
  action: string;
  direction: "in" | "out" | "none";
  amount: string;
  counterParty: string;
  blockNum: number;
  time: string;
  memo: string | null;
}

export interface Pending {
  creditor: string;
  debitor: string;
  tokenId: number;
  precision: number;
  symbol: string | null;
  amount: string;
}

/** A change shows within this time, and half of it on average. */
const pollMs = 400;

const of = (path: string, account: string): string => `${path}?account=${encodeURIComponent(account)}`;

export const useBalances = (account: string): Live<Balances> => useLive<Balances>(of("/api/balances", account), { every: pollMs });

export const useHistory = (account: string, limit: number): Live<{ entries: Entry[]; next: string | null }> =>
  useLive(`${of("/api/history", account)}&limit=${limit}`, { every: pollMs });

export const usePending = (account: string): Live<{ pending: Pending[] }> => useLive(of("/api/pending", account), { every: 2000 });

export interface Transfer {
  tokenId: number;
  to: string;
  /** In the smallest unit. */
  amount: string;
  memo: string;
}

export const send = ({ tokenId, to, amount, memo }: Transfer): Promise<ActionOutcome> =>
  getSupervisor().act("credit", { token_id: tokenId, debitor: to, amount: { value: amount }, memo });

export const accept = ({ tokenId, creditor, amount }: Pending): Promise<ActionOutcome> =>
  getSupervisor().act("debit", { token_id: tokenId, creditor, amount: { value: amount }, memo: "" });

export const reject = ({ tokenId, creditor }: Pending): Promise<ActionOutcome> =>
  getSupervisor().act("reject", { token_id: tokenId, creditor, memo: "" });

export const takeBack = ({ tokenId, debitor, amount }: Pending): Promise<ActionOutcome> =>
  getSupervisor().act("uncredit", { token_id: tokenId, debitor, amount: { value: amount }, memo: "" });

/** Whether what others send arrives by itself. */
export const setAutoDebit = (enabled: boolean): Promise<ActionOutcome> => getSupervisor().act("setUserConf", { index: 0, enabled });

export const accountUrl = (name: string): string => siblingUrl(null, "explorer", `/account?name=${encodeURIComponent(name)}`);
export const transactionUrl = (id: string): string => siblingUrl(null, "explorer", `/transaction?id=${id}`);
export const blockUrl = (num: number): string => siblingUrl(null, "explorer", `/block?num=${num}`);
export const faucetUrl = (): string => siblingUrl(null, "faucet-tok", "/");

/** A token's name for people. */
export const unit = ({ symbol, tokenId }: { symbol: string | null; tokenId: number }): string =>
  symbol ? symbol.toUpperCase() : `Token ${tokenId}`;

export const memoBytesMax = 80;
