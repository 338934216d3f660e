// What the supervisor asks of the node.

import { getJson, isRecord, postArrayBufferGetJson, readableError, request, RPCError } from "@polis/client/common";
import { Codec, methodNumber, type AnyType, type Json, type ServiceSchema, type Tapos, type Value } from "@polis/client/format";
import { rootOf, type Site } from "./origin.js";

const lifetimeSeconds = 30;
/** Clocks that differ less than this are taken as equal; the reply's date has no fraction. */
const skewToleratedMs = 2000;

interface ActionTrace {
  action?: { sender: string; service: string; method: string };
  rawRetval?: string;
  innerTraces?: { inner?: { ActionTrace?: ActionTrace } }[];
  error?: string | null;
}

interface TransactionTrace {
  actionTraces?: ActionTrace[];
  error?: string | null;
}

const sameAction = (a: { sender: string; service: string; method: string }, b: typeof a): boolean =>
  a.sender === b.sender && a.service === b.service && methodNumber(a.method) === methodNumber(b.method);

/** The chain refused a transaction; the message is the service's. */
export class Rejected extends Error {
  override name = "Rejected";
}

export class Node {
  readonly #site: Site;
  readonly #schemas = new Map<string, Promise<ServiceSchema>>();
  #skewMs = 0;

  constructor(site: Site) {
    this.#site = site;
  }

  /** Host of the network without port, which login tokens are made out to. */
  get rootHost(): string {
    return rootOf(this.#site).replace(/:\d+$/, "");
  }

  url(app: string, path: string): string {
    return `${this.#site.protocol}//${app}.${rootOf(this.#site)}${path}`;
  }

  async chainId(): Promise<string> {
    const id = await getJson<unknown>(this.url("supervisor", "/common/chainid"));
    if (typeof id !== "string" || !/^[0-9a-fA-F]{64}$/.test(id)) throw new Error("The node does not tell its chain.");
    return id.toUpperCase();
  }

  /** Binds a transaction to the newest block and to the next half minute. */
  async tapos(): Promise<Tapos> {
    const sent = Date.now();
    const response = await request(this.url("supervisor", "/common/tapos/head"));
    this.#noteClock(response.headers.get("date"), sent);
    const reply: unknown = await response.json();
    if (!isRecord(reply) || typeof reply["refBlockIndex"] !== "number" || typeof reply["refBlockSuffix"] !== "number")
      throw new Error("The node does not tell its newest block.");
    return {
      expiration: this.#expiration(),
      flags: 0,
      refBlockIndex: reply["refBlockIndex"],
      refBlockSuffix: reply["refBlockSuffix"],
    };
  }

  /** For transactions that are only shown to one node. */
  unboundTapos(flags: number): Tapos {
    return { expiration: this.#expiration(), flags, refBlockIndex: 0, refBlockSuffix: 0 };
  }

  #expiration(): number {
    return Math.floor((Date.now() + this.#skewMs) / 1000) + lifetimeSeconds;
  }

  #noteClock(date: string | null, sent: number): void {
    const theirs = date === null ? NaN : Date.parse(date);
    if (Number.isNaN(theirs)) return;
    const skew = theirs - sent;
    this.#skewMs = Math.abs(skew) > skewToleratedMs ? skew : 0;
  }

  /** Packs an action's arguments, given in JSON form, by the schema that the service published. */
  async packArguments(service: string, method: string, args: Value): Promise<Uint8Array> {
    const { codec, action } = await this.#action(service, method);
    return codec.pack(action.params, args);
  }

  async unpackResult(service: string, method: string, bytes: Uint8Array): Promise<Json> {
    const { codec, action } = await this.#action(service, method);
    return action.result === undefined || action.result === null ? null : codec.unpack(action.result, bytes);
  }

  async #action(service: string, method: string): Promise<{ codec: Codec; action: { params: AnyType; result?: AnyType | null } }> {
    const schema = await this.#schema(service);
    const number = methodNumber(method);
    const name = Object.keys(schema.actions).find((candidate) => methodNumber(candidate) === number);
    if (name === undefined) throw new Error(`${service} has no action ${method}.`);
    return { codec: new Codec(schema.types), action: schema.actions[name]! };
  }

  #schema(service: string): Promise<ServiceSchema> {
    let schema = this.#schemas.get(service);
    if (!schema) {
      schema = getJson<ServiceSchema>(this.url("packages", `/schema?service=${encodeURIComponent(service)}`));
      this.#schemas.set(service, schema);
      // A failure is not remembered, and a service may be upgraded while the page stays open.
      schema.catch(() => this.#schemas.delete(service));
      setTimeout(() => this.#schemas.delete(service), 60_000);
    }
    return schema;
  }

  /** Pushes a packed signed transaction that calls `action`. Returns what the action returned, packed, in hex. Throws Rejected. */
  async push(signed: Uint8Array<ArrayBuffer>, action: { sender: string; service: string; method: string }, waitFor: "applied" | "final"): Promise<string> {
    const trace = await postArrayBufferGetJson<TransactionTrace>(
      this.url("transact", `/push_transaction?wait_for=${waitFor}`),
      signed,
    );
    if (trace.error) throw new Rejected(readableError(trace.error));
    // The outermost trace is that of transact, which calls the transaction's actions.
    const called = (trace.actionTraces ?? []).flatMap(({ innerTraces = [] }) => innerTraces.flatMap(({ inner }) => inner?.ActionTrace ?? []));
    return called.findLast((one) => one.action && sameAction(one.action, action))?.rawRetval ?? "";
  }

  /** Shows a signed login to the node and hands the token to `app` as a cookie that no script can read. */
  async login(app: string, signed: Uint8Array<ArrayBuffer>): Promise<void> {
    const reply = await postArrayBufferGetJson<{ access_token?: string }>(this.url("transact", "/login"), signed);
    if (typeof reply.access_token !== "string") throw new Error("The node gave no login token.");
    await this.#postToApp(app, "/common/set-auth-cookie", { accessToken: reply.access_token });
  }

  async logout(app: string): Promise<void> {
    await this.#postToApp(app, "/common/remove-auth-cookie", {});
  }

  async #postToApp(app: string, path: string, body: unknown): Promise<void> {
    await request(this.url(app, path), {
      method: "POST",
      credentials: "include",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** The public key of an account, or undefined when it has none. */
  async accountKey(account: string): Promise<string | undefined> {
    const reply = await this.#found<{ spki: string }>(this.url("auth-sig", `/api/key?account=${encodeURIComponent(account)}`));
    return reply?.spki.toUpperCase();
  }

  accountExists(account: string): Promise<boolean> {
    return this.#found(this.url("accounts", `/api/account?name=${encodeURIComponent(account)}`)).then((reply) => reply !== undefined);
  }

  invitation(id: number): Promise<InvitationReply | undefined> {
    return this.#found<InvitationReply>(this.url("invite", `/api/invite?id=${id}`));
  }

  async #found<T>(url: string): Promise<T | undefined> {
    try {
      return await getJson<T>(url);
    } catch (error) {
      if (error instanceof RPCError && error.status === 404) return undefined;
      throw error;
    }
  }
}

export interface InvitationReply {
  id: number;
  inviter: string;
  numAccounts: number;
  secret: string;
  expires: string;
  state: "open" | "used" | "expired";
}
