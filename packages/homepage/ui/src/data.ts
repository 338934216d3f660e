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

/** An account of an installed package that has pages, as `packages` tells it. */
interface InstalledApp {
  account: string;
  package: string;
  description: string;
}

export interface App {
  app: string;
  title: string;
  description: string;
}

/** Better words for the apps that come with every network, in the order of their use. */
const known: App[] = [
  { app: "tokens", title: "Tokens", description: "Your balance. Send, receive, look back." },
  { app: "explorer", title: "Explorer", description: "Blocks, transactions and accounts, live." },
  { app: "accounts", title: "Accounts", description: "Make, recover and connect accounts." },
  { app: "faucet-tok", title: "Faucet", description: "Test tokens for this network." },
];

/** Pages that belong to others and are no app by themselves. */
const hidden = new Set(["homepage", "network", "supervisor", "common-api"]);

const readApps = (text: string): App[] => {
  const installed = (JSON.parse(text) as InstalledApp[]).filter(({ account }) => !hidden.has(account));
  const here = new Set(installed.map(({ account }) => account));
  const others = installed
    .filter(({ account }) => !known.some(({ app }) => app === account))
    .map((one) => ({ app: one.account, title: one.package, description: one.description }))
    .sort((a, b) => a.title.localeCompare(b.title, "en"));
  return [...known.filter(({ app }) => here.has(app)), ...others];
};

/** What this network has to open. What somebody installs appears within seconds. */
export const useApps = (): Live<App[]> => useLive(siblingUrl(null, "packages", "/api/apps"), { every: 5000, read: readApps });
