import { useEffect } from "react";
import { getSupervisor, type RPCError } from "@polis/client/common";
import { setAutoDebit, type Balances } from "./tokens.js";

/**
 * Once per account and device: lets incoming tokens arrive by themselves, which is what people expect of an app that
 * they have just connected. Whoever switches it off again stays off.
 */
export function useFirstVisit(account: string, balances: Balances | undefined): void {
  const known = balances?.account === account;
  const off = balances?.autoDebit === false;
  useEffect(() => {
    const key = `settled:${account}`;
    if (!known || localStorage.getItem(key) !== null) return;
    localStorage.setItem(key, "1");
    if (off) setAutoDebit(true).catch(() => localStorage.removeItem(key));
  }, [account, known, off]);
}

/** Renews the right to read private data when the node no longer knows this browser. */
export function useRenewal(error: RPCError | undefined, again: () => void): void {
  const refused = error?.status === 401 || error?.status === 403;
  useEffect(() => {
    if (refused) getSupervisor().renewLogin().then(again, () => undefined);
  }, [refused, again]);
}
