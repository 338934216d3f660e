// The accounts of this device: making and recovering them, connecting them to apps, acting for them.

import { RPCError, type AccountDraft, type ActionOutcome, type ConnectRequest, type DeviceAccount, type Invitation, type PromptRecord } from "@polis/client/common";
import {
  chainCodec,
  compressSpki,
  doNotBroadcast,
  fromHex,
  isAccountName,
  packSignedTransaction,
  packTransaction,
  toHex,
  transactionId,
  type Action,
  type Claim,
  type Tapos,
  type Value,
} from "@polis/client/format";
import { openSecret, readToken } from "./invitation.js";
import { generateKey, importKey, sign } from "./keys.js";
import { Rejected, type InvitationReply, type Node } from "./node.js";
import { decryptRecovery, encryptRecovery } from "./recovery.js";
import type { KeyRecord, RequestRecord, Storage } from "./storage.js";

const requestLifetimeMs = 10 * 60_000;

/** A key that signs, and the claim that it answers. */
type Signer = Pick<KeyRecord, "spki" | "privateKey">;

export class Device {
  constructor(
    private readonly node: Node,
    private readonly storage: Storage,
    private readonly chainId: string,
  ) {}

  // Acting

  /** The account that `app` acts for; null when the person has not chosen, or has removed it. */
  async currentUser(app: string): Promise<string | null> {
    const user = (await this.storage.get("apps", app))?.current ?? null;
    return user !== null && (await this.storage.get("accounts", user)) ? user : null;
  }

  /** One action of `service` by the person who is connected to it. */
  async act(service: string, method: string, args: Value, waitFor: "applied" | "final"): Promise<ActionOutcome> {
    const sender = await this.#userOf(service);
    const [signer, rawData, tapos] = await Promise.all([
      this.#signerOf(sender),
      this.node.packArguments(service, method, args),
      this.node.tapos(),
    ]);
    return this.#push({ sender, service, method, rawData }, signer, waitFor, tapos);
  }

  /** As `act`, with arguments that the app has packed. */
  async actPacked(service: string, method: string, rawData: Uint8Array): Promise<ActionOutcome> {
    const sender = await this.#userOf(service);
    return this.#push({ sender, service, method, rawData }, await this.#signerOf(sender), "applied");
  }

  async #userOf(app: string): Promise<string> {
    const user = await this.currentUser(app);
    if (user === null) throw new Error("Choose an account first.");
    return user;
  }

  async #signerOf(account: string): Promise<KeyRecord> {
    const record = await this.storage.get("accounts", account);
    const key = record && (await this.storage.get("keys", record.keyId));
    if (!key) throw new Error(`This device has no key for ${account}.`);
    return key;
  }

  async #push(action: Action, signer: Signer, waitFor: "applied" | "final", tapos?: Tapos): Promise<ActionOutcome> {
    const { id, signed } = await this.#sign(action, signer, tapos ?? (await this.node.tapos()));
    const returned = await this.node.push(signed, action, waitFor);
    const result = returned === "" ? null : await this.node.unpackResult(action.service, action.method, fromHex(returned));
    return { transactionId: id, result };
  }

  async #sign(action: Action, { spki, privateKey }: Signer, tapos: Tapos): Promise<{ id: string; signed: Uint8Array<ArrayBuffer> }> {
    const transaction = await this.#packUnique(tapos, [action], [{ service: "verify-sig", rawData: spki }]);
    const proof = await sign(privateKey, transaction);
    return { id: transactionId(transaction), signed: packSignedTransaction(transaction, [proof]) };
  }

  /** The same act done twice within a second, in one tab or two, is two transactions: the later one lives a second longer. */
  async #packUnique(tapos: Tapos, actions: Action[], claims: Claim[]): Promise<Uint8Array<ArrayBuffer>> {
    for (let expiration = tapos.expiration; ; expiration++) {
      const transaction = packTransaction({ tapos: { ...tapos, expiration }, actions, claims });
      if (await this.storage.isFirst(transactionId(transaction), expiration)) return transaction;
    }
  }

  // Accounts of this device

  async accounts(): Promise<DeviceAccount[]> {
    const [accounts, apps] = await Promise.all([this.storage.all("accounts"), this.storage.all("apps")]);
    return accounts
      .sort((a, b) => a.created - b.created)
      .map(({ account, created }) => ({
        account,
        created,
        apps: apps.filter((app) => app.accounts.includes(account)).map((app) => app.app),
      }));
  }

  /** Makes the key of a new account and its recovery file. The account itself comes with `createAccount`. */
  async createDraft(account: string, passphrase: string): Promise<AccountDraft> {
    if (!isAccountName(account)) throw new Error("This name is not allowed.");
    const { pkcs8, spki } = await generateKey();
    const recoveryFile = await encryptRecovery({ account, chainId: this.chainId, spki, pkcs8 }, passphrase);
    const key = await importKey(pkcs8);
    await this.storage.put("keys", key);
    const draft = { id: crypto.randomUUID(), account, keyId: key.id, created: Date.now() };
    await this.storage.put("drafts", draft);
    return { draftId: draft.id, account, fileName: `${account}.polis-recovery.json`, recoveryFile };
  }

  /** Puts a drafted account on chain with an invitation. */
  async createAccount(draftId: string, token: string): Promise<{ account: string; transactionId: string }> {
    const draft = await this.storage.get("drafts", draftId);
    const key = draft && (await this.storage.get("keys", draft.keyId));
    if (!draft || !key) throw new Error("This account was not prepared on this device.");
    const signers = await this.#invitationSigners(token);
    const rawData = await this.node.packArguments("invite", "createAccount", { account: draft.account, accountKey: key.spki });
    const action: Action = { sender: "cred-sys", service: "invite", method: "createAccount", rawData };
    const transactionId = await this.#withFirstAccepted(signers, async (signer) => (await this.#push(action, signer, "applied")).transactionId);
    await this.storage.put("accounts", { account: draft.account, keyId: draft.keyId, created: Date.now() });
    await this.storage.remove("drafts", draftId);
    await navigator.storage?.persist?.().catch(() => false);
    return { account: draft.account, transactionId };
  }

  async readInvitation(token: string): Promise<Invitation> {
    const { id, inviter, numAccounts, expires, state } = await this.#invitation(token);
    return { id, inviter, accountsLeft: numAccounts, expires, state };
  }

  async #invitation(token: string): Promise<InvitationReply> {
    const invitation = await this.node.invitation(readToken(token).id);
    if (!invitation) throw new Error("This invitation does not exist, or was withdrawn.");
    return invitation;
  }

  /** The invitation's key under both encodings of its public part: the chain knows it by one of them. */
  async #invitationSigners(token: string): Promise<Signer[]> {
    const invitation = await this.#invitation(token);
    if (invitation.state === "used") throw new Error("This invitation has been used up.");
    if (invitation.state === "expired") throw new Error("This invitation has expired.");
    const { spki, privateKey } = await importKey(await openSecret(invitation.secret, readToken(token).aesKey));
    // Nodes make theirs with compressed points.
    return [
      { spki: compressSpki(spki), privateKey },
      { spki, privateKey },
    ];
  }

  async #withFirstAccepted<T>(signers: readonly Signer[], attempt: (signer: Signer) => Promise<T>): Promise<T> {
    let first: unknown;
    for (const signer of signers) {
      try {
        return await attempt(signer);
      } catch (error) {
        if (!(error instanceof Rejected || error instanceof RPCError)) throw error;
        first ??= error;
      }
    }
    throw first;
  }

  /** Brings an account to this device from its recovery file. */
  async importAccount(recoveryFile: string, passphrase: string): Promise<{ account: string }> {
    const { account, chainId, pkcs8 } = await decryptRecovery(recoveryFile, passphrase);
    if (chainId !== this.chainId) {
      pkcs8.fill(0);
      throw new Error("This recovery file belongs to another network.");
    }
    const key = await importKey(pkcs8);
    const onChain = await this.node.accountKey(account);
    const form = [key.spki, compressSpki(key.spki)].find((spki) => toHex(spki) === onChain);
    if (!form) throw new Error(onChain === undefined ? `There is no account ${account} with a key.` : `${account} has another key now.`);
    await this.storage.put("keys", { ...key, spki: form });
    await this.storage.put("accounts", { account, keyId: key.id, created: Date.now() });
    return { account };
  }

  /** Forgets an account and its key on this device. The chain keeps the account. */
  async removeAccount(account: string): Promise<void> {
    const record = await this.storage.get("accounts", account);
    if (!record) throw new Error(`${account} is not on this device.`);
    for (const app of await this.storage.all("apps")) {
      if (!app.accounts.includes(account)) continue;
      await this.storage.put("apps", {
        ...app,
        accounts: app.accounts.filter((a) => a !== account),
        current: app.current === account ? null : app.current,
      });
      if (app.current === account) await this.node.logout(app.app);
    }
    await this.storage.remove("accounts", account);
    await this.storage.remove("keys", record.keyId);
  }

  // Connecting apps

  /** Notes that `app` asks for an account, and returns the page where the person chooses. Counts as a prompt. */
  async requestConnect(app: string, returnPath: string): Promise<string> {
    const now = Date.now();
    for (const old of await this.storage.all("requests"))
      if (old.app === app || now - old.created > requestLifetimeMs) await this.storage.remove("requests", old.id);
    const id = crypto.randomUUID();
    await this.storage.put("requests", { id, app, returnPath, created: now });
    await this.storage.put("prompts", { app, kind: "connect", time: now });
    return this.node.url("accounts", `/connect?request=${id}`);
  }

  async connectRequest(id: string): Promise<ConnectRequest & { returnUrl: string }> {
    const { app, returnPath } = await this.#openRequest(id);
    return { app, current: await this.currentUser(app), returnUrl: this.node.url(app, returnPath) };
  }

  async #openRequest(id: string): Promise<RequestRecord> {
    const request = await this.storage.get("requests", id);
    if (!request || Date.now() - request.created > requestLifetimeMs)
      throw new Error("This question is no longer open. Go back to the app and ask again.");
    return request;
  }

  /** The person's choice. Returns where to go on. */
  async connect(requestId: string, account: string): Promise<{ returnUrl: string }> {
    const { app, returnPath } = await this.#openRequest(requestId);
    if (!(await this.storage.get("accounts", account))) throw new Error(`${account} is not on this device.`);
    const known = (await this.storage.get("apps", app))?.accounts ?? [];
    await this.#login(app, account);
    await this.storage.put("apps", { app, current: account, accounts: [...new Set([...known, account])] });
    await this.storage.remove("requests", requestId);
    return { returnUrl: this.node.url(app, returnPath) };
  }

  connectedAccounts(app: string): Promise<string[]> {
    return this.storage.get("apps", app).then((record) => record?.accounts ?? []);
  }

  /** Changes to another account that the person has already connected to `app`. */
  async switchUser(app: string, account: string): Promise<void> {
    const accounts = await this.connectedAccounts(app);
    if (!accounts.includes(account)) throw new Error(`${account} is not connected to ${app}.`);
    await this.#login(app, account);
    await this.storage.put("apps", { app, current: account, accounts });
  }

  async renewLogin(app: string): Promise<void> {
    await this.#login(app, await this.#userOf(app));
  }

  async logout(app: string): Promise<void> {
    const accounts = await this.connectedAccounts(app);
    await this.storage.put("apps", { app, current: null, accounts });
    await this.node.logout(app);
  }

  /** Takes back the person's choice for `app`. */
  async disconnect(app: string): Promise<void> {
    await this.storage.remove("apps", app);
    await this.node.logout(app);
  }

  prompts(): Promise<PromptRecord[]> {
    return this.storage.all("prompts");
  }

  async #login(app: string, account: string): Promise<void> {
    const rootHost = this.node.rootHost;
    const rawData = packText(rootHost);
    const action: Action = { sender: account, service: app, method: "loginSys", rawData };
    const { signed } = await this.#sign(action, await this.#signerOf(account), this.node.unboundTapos(doNotBroadcast));
    await this.node.login(app, signed);
  }
}

/** The arguments of an action that takes one text. */
function packText(text: string): Uint8Array {
  return chainCodec.pack({ Tuple: ["string"] }, [text]);
}
