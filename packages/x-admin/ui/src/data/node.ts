// The only code of this app that talks to the node. Its own endpoints: /native/admin/.

import { postJson } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";
import { makeKey, type Claim } from "./keys.js";

interface BlockFacts {
  num: number;
  id: string;
  time: string | null;
}

export interface Chain {
  /** Null before there is a chain. */
  chainId: string | null;
  head: BlockFacts;
  irreversible: BlockFacts;
  /** Empty when this node does not produce. */
  producer: string;
  /** The public half of the key that signs this node's blocks. */
  signs: Claim | null;
  /** Anybody may act for a producer, and so for the whole chain; before there is one: would be so. */
  unguarded: boolean;
  version: string;
}

export type Condition = "startup" | "shutdown" | "needgenesis" | "slow";

export const useStatus = (): Live<Condition[]> => useLive("/native/admin/status", { every: 1000 });
export const useChain = (): Live<Chain> => useLive("/native/admin/chain", { every: 1000 });

/** Creates a chain from the packages of this machine. Returns the first invitation's link. withKey: the producer gets a new key. */
export async function boot(withKey: boolean): Promise<string | null> {
  const key = withKey ? { key: await makeKey() } : {};
  const response = await postJson("/native/admin/boot", { packages: [], ...key });
  const { invitation } = (await response.json()) as { invitation: string | null };
  return invitation;
}

/** What became of the one-time token of an address like /#token=…; null where there was none. */
export interface Admission {
  admitted: boolean;
  message: string;
}

/** Uses the token up, at once and once a page; it leaves the address bar and the history before anything else. */
export const admission: Promise<Admission> | null = spendToken();

function spendToken(): Promise<Admission> | null {
  const token = /^#token=([0-9a-fA-F]{16,128})$/.exec(location.hash)?.[1];
  if (token === undefined) return null;
  history.replaceState(null, "", location.pathname);
  return postJson("/admin_claim", { token }).then(
    () => ({ admitted: true, message: "This browser may now administer the node. The link is used up." }),
    (error: unknown) => ({ admitted: false, message: error instanceof Error ? error.message : "The link does not work." }),
  );
}
