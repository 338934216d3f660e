// The supervisor's functions for the accounts page, typed.

import { getSupervisor, type AccountDraft, type ConnectRequest, type DeviceAccount, type Invitation, type PromptRecord } from "@polis/client/common";

function call<T>(intf: "prompt" | "admin", method: string, ...params: unknown[]): Promise<T> {
  return getSupervisor().functionCall<T>({ service: "accounts", plugin: "plugin", intf, method, params });
}

export const readInvitation = (token: string) => call<Invitation>("prompt", "readInvitation", token);
export const createDraft = (account: string, passphrase: string) => call<AccountDraft>("prompt", "createDraft", account, passphrase);
export const createAccount = (draftId: string, token: string) =>
  call<{ account: string; transactionId: string }>("prompt", "createAccount", draftId, token);
export const importAccount = (recoveryFile: string, passphrase: string) =>
  call<{ account: string }>("prompt", "importAccount", recoveryFile, passphrase);
export const connectRequest = (id: string) => call<ConnectRequest & { returnUrl: string }>("prompt", "getConnectRequest", id);
export const connectAccount = (id: string, account: string) => call<{ returnUrl: string }>("prompt", "connectAccount", id, account);
export const deviceAccounts = () => call<DeviceAccount[]>("admin", "getAllAccounts");
export const removeAccount = (account: string) => call<null>("admin", "removeAccount", account);
export const disconnectApp = (app: string) => call<null>("admin", "disconnectApp", app);
export const prompts = () => call<PromptRecord[]>("admin", "getPrompts");

const openRequestKey = "connect-request";

/** The question that brought the person here, so that making an account on the way does not lose it. */
export const openRequest = {
  get: (): string | null => sessionStorage.getItem(openRequestKey),
  set: (id: string): void => sessionStorage.setItem(openRequestKey, id),
  clear: (): void => sessionStorage.removeItem(openRequestKey),
};
