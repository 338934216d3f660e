// The only code of this app that talks to the node. Routes: ../../README.md.

import { getSupervisor, siblingUrl, type ActionOutcome } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";

export const precision = 4;

export const useToken = (): Live<{ tokenId: number; amount: string }> => useLive("/api/token");

export const useBalances = (account: string | null): Live<{ balances: { tokenId: number; precision: number; balance: string; symbol: string | null }[] }> =>
  useLive(account === null ? null : siblingUrl(null, "tokens", `/api/balances?account=${encodeURIComponent(account)}`), { every: 500 });

export const dispense = (account: string): Promise<ActionOutcome> => getSupervisor().act("dispense", { account });
