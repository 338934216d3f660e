// The only code of this app that talks to the node. Routes: ../../../README.md.

import { siblingUrl } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";

export interface Head {
  num: number;
  id: string;
  time: string;
  producer: string;
  irreversible: number;
}

export interface BlockLine {
  num: number;
  id: string;
  time: string;
  producer: string;
  transactions: number;
}

export interface ActionLine {
  sender: string;
  service: string;
  method: string;
}

export interface Block {
  num: number;
  id: string;
  previous: string;
  time: string;
  producer: string;
  term: number;
  commitNum: number;
  irreversible: boolean;
  transactions: { id: string; index: number; actions: ActionLine[] }[];
}

export interface Transaction {
  id: string;
  blockNum: number;
  blockId: string;
  index: number;
  time: string;
  irreversible: boolean;
  expiration: string;
  actions: (ActionLine & { rawData: string })[];
  claims: { service: string; rawData: string }[];
}

export interface TransactionLine {
  id: string;
  blockNum: number;
  index: number;
  time: string;
  actions: ActionLine[];
}

export interface Account {
  name: string;
  authService: string;
  authSequence: string;
}

export interface Balances {
  balances: { tokenId: number; symbol: string | null; precision: number; balance: string }[];
}

const liveMs = 500;

export const useHead = (): Live<Head> => useLive("/api/head", { every: liveMs });
export const useBlocks = (limit: number): Live<{ blocks: BlockLine[]; next: number | null }> => useLive(`/api/blocks?limit=${limit}`, { every: liveMs });
export const useTransactions = (limit: number): Live<{ transactions: TransactionLine[]; next: number | null }> =>
  useLive(`/api/transactions?limit=${limit}`, { every: 1000 });
export const useBlock = (query: string): Live<Block> => useLive(`/api/block?${query}`, { every: 2000 });
export const useTransaction = (id: string): Live<Transaction> => useLive(`/api/transaction?id=${encodeURIComponent(id)}`, { every: 1000 });
export const useAccount = (name: string): Live<Account> =>
  useLive(siblingUrl(null, "accounts", `/api/account?name=${encodeURIComponent(name)}`), { every: 5000 });
export const useBalances = (name: string): Live<Balances> =>
  useLive(siblingUrl(null, "tokens", `/api/balances?account=${encodeURIComponent(name)}`), { every: 1000 });
export const useKey = (name: string): Live<{ fingerprint: string }> =>
  useLive(siblingUrl(null, "auth-sig", `/api/key?account=${encodeURIComponent(name)}`));

export const blockUrl = (num: number): string => `/block?num=${num}`;
export const transactionUrl = (id: string): string => `/transaction?id=${id}`;
export const accountUrl = (name: string): string => `/account?name=${encodeURIComponent(name)}`;

/** The page for what a person typed; undefined when it is neither number, id nor name. */
export function pageFor(text: string): string | undefined {
  const query = text.trim();
  if (/^[0-9,]{1,12}$/.test(query)) return blockUrl(Number(query.replace(/,/g, "")));
  if (/^[0-9a-fA-F]{64}$/.test(query)) {
    const id = query.toUpperCase();
    return `/transaction?id=${id}`;
  }
  if (/^[a-z0-9-]{1,10}(\+\d{1,3})?$/i.test(query)) return accountUrl(query.toLowerCase());
  return undefined;
}
