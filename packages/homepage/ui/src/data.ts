import { siblingUrl } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";

export interface Head {
  num: number;
  time: string;
  producer: string;
  irreversible: number;
}

export const useHead = (): Live<Head> => useLive(siblingUrl(null, "explorer", "/api/head"), { every: 1000 });
export const useTotals = (): Live<{ totalAccounts: number }> => useLive(siblingUrl(null, "accounts", "/api/status"), { every: 5000 });
export const useChainId = (): Live<string> => useLive("/common/chainid");

export interface App {
  app: string;
  title: string;
  description: string;
}

export const apps: App[] = [
  { app: "tokens", title: "Tokens", description: "Your balance. Send, receive, look back." },
  { app: "explorer", title: "Explorer", description: "Blocks, transactions and accounts, live." },
  { app: "accounts", title: "Accounts", description: "Make, recover and connect accounts." },
  { app: "faucet-tok", title: "Faucet", description: "Test tokens for this network." },
];
