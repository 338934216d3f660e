// A stand-in for a node, for developing front-ends without one: it speaks the routes that they use, checks signatures
// and keeps a few balances in memory. Chosen with POLIS_MOCK=1; the suite runs against a real node.

import { createHash, randomBytes, webcrypto } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join } from "node:path";
import {
  chainCodec, Codec, compressSpki, fromHex, keyFingerprint, methodName, methodNumber, toBase64, toHex, toPem, transactionId,
  type Json, type Schema, type ServiceSchema,
} from "@polis/client/format";

const types: Schema = {
  u8: { Int: { bits: 8, isSigned: false } }, u16: { Int: { bits: 16, isSigned: false } },
  u32: { Int: { bits: 32, isSigned: false } }, u64: { Int: { bits: 64, isSigned: false } },
  bool: { Custom: { type: { Int: { bits: 1, isSigned: false } }, id: "bool" } },
  string: { Custom: { type: { List: "u8" }, id: "string" } },
  bytes: { Custom: { type: { List: "u8" }, id: "hex" } },
  AccountNumber: { Custom: { type: { Struct: { value: "u64" } }, id: "AccountNumber" } },
  Quantity: { Object: { value: "u64" } },
};

const actions: Record<string, Record<string, Record<string, string>>> = {
  invite: { createAccount: { account: "AccountNumber", accountKey: "bytes" } },
  tokens: {
    credit: { token_id: "u32", debitor: "AccountNumber", amount: "Quantity", memo: "string" },
    debit: { token_id: "u32", creditor: "AccountNumber", amount: "Quantity", memo: "string" },
    reject: { token_id: "u32", creditor: "AccountNumber", memo: "string" },
    setUserConf: { index: "u8", enabled: "bool" },
  },
  "faucet-tok": { dispense: { account: "AccountNumber" } },
  hello: { greet: { text: "string" } },
};

interface MockBlock { num: number; id: string; time: string; transactions: MockTransaction[] }
interface MockTransaction { id: string; index: number; time: string; blockNum: number; blockId: string; expiration: string; claims: { service: string; rawData: string }[]; actions: { sender: string; service: string; method: string; rawData: string }[] }
interface Entry { seq: string; tokenId: 1; precision: 4; symbol: "psi"; action: string; direction: "in" | "out"; amount: string; counterParty: string; blockNum: number; time: string; memo: string }

const mimeTypes: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const tickMs = 250;
const dripUnits = 1_000_000_000n;

export class MockNode {
  readonly #chainId = toHex(randomBytes(32));
  readonly #server: Server;
  readonly #repository: string;
  #port = 0;
  #ticker: NodeJS.Timeout;
  readonly #keys = new Map<string, string>();
  readonly #balances = new Map<string, bigint>();
  readonly #autoDebit = new Set<string>();
  readonly #pending = new Map<string, { creditor: string; debitor: string; amount: bigint }>();
  readonly #history = new Map<string, Entry[]>();
  readonly #greetings = new Map<string, string>();
  readonly #blocks: MockBlock[] = [];
  readonly #sessions = new Map<string, string>();
  #queue: { transaction: MockTransaction; done: () => void }[] = [];
  #accountsLeft = 5;
  #invitation = { id: 7, secret: "", fingerprint: "", token: "" };

  constructor(repository: string) {
    this.#repository = repository;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        response.writeHead(500, { "Content-Type": "text/plain", "Access-Control-Allow-Origin": "*" }).end(message);
      });
    });
    this.#seal();
    let idle = 0;
    this.#ticker = setInterval(() => {
      idle += 1;
      if (this.#queue.length > 0 || idle >= 4) {
        this.#seal();
        idle = 0;
      }
    }, tickMs);
  }

  async start(): Promise<{ url: string; invitation: string }> {
    await this.#makeInvitation();
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (typeof address === "object" && address) this.#port = address.port;
    const url = `http://polis.localhost:${this.#port}`;
    return { url, invitation: `http://accounts.polis.localhost:${this.#port}/invite?token=${this.#invitation.token}` };
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #makeInvitation(): Promise<void> {
    const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const pkcs8 = new Uint8Array(await webcrypto.subtle.exportKey("pkcs8", pair.privateKey));
    const spki = new Uint8Array(await webcrypto.subtle.exportKey("spki", pair.publicKey));
    const aes = new Uint8Array(randomBytes(16));
    const nonce = new Uint8Array(randomBytes(12));
    const key = await webcrypto.subtle.importKey("raw", aes, "AES-GCM", false, ["encrypt"]);
    const sealed = await webcrypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, key, new TextEncoder().encode(toPem("PRIVATE KEY", pkcs8)));
    const token = new Uint8Array(20);
    new DataView(token.buffer).setUint32(0, this.#invitation.id, true);
    token.set(aes, 4);
    this.#invitation = {
      id: 7,
      secret: toBase64(new Uint8Array([...nonce, ...new Uint8Array(sealed)])),
      // Node-made keys are known by their compressed form.
      fingerprint: toHex(keyFingerprint(compressSpki(spki))),
      token: toBase64(token).replace(/\+/g, "-").replace(/\//g, "_"),
    };
  }

  #seal(): void {
    const num = (this.#blocks[0]?.num ?? 1) + 1;
    const id = num.toString(16).toUpperCase().padStart(8, "0") + toHex(randomBytes(28));
    const time = new Date().toISOString();
    const batch = this.#queue;
    this.#queue = [];
    batch.forEach(({ transaction }, index) => Object.assign(transaction, { index, time, blockNum: num, blockId: id }));
    this.#blocks.unshift({ num, id, time, transactions: batch.map((b) => b.transaction) });
    for (const { done } of batch) done();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const host = request.headers.host ?? "";
    const url = new URL(request.url ?? "/", `http://${host}`);
    const root = `polis.localhost:${this.#port}`;
    const origin = request.headers.origin ?? "*";
    const cors = { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Headers": "content-type, accept", "Access-Control-Allow-Methods": "GET, POST, OPTIONS", "Access-Control-Allow-Credentials": "true" };
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { "Content-Type": "application/json", ...cors }).end(JSON.stringify(value));
    };
    if (host === root) return void response.writeHead(308, { Location: `http://homepage.${root}${request.url}` }).end();
    if (request.method === "OPTIONS") return void response.writeHead(200, cors).end();
    const app = host.slice(0, -root.length - 1);
    const route = `${request.method} ${url.pathname.startsWith("/common/") ? "" : app}${url.pathname}`;
    const q = (name: string): string => url.searchParams.get(name) ?? "";
    switch (route) {
      case "GET /common/chainid": return json(this.#chainId);
      case "GET /common/tapos/head": return json({ refBlockIndex: this.#blocks[0]!.num & 127, refBlockSuffix: Number(`0x${this.#blocks[0]!.id.slice(-8)}`) });
      case "GET /common/common-lib.js": return this.#file(join(this.#repository, "packages/common-api/ui/dist/common/common-lib.js"), response);
      case "POST /common/set-auth-cookie": {
        const { accessToken } = JSON.parse((await body(request)).toString()) as { accessToken: string };
        response.setHeader("Set-Cookie", `SESSION=${accessToken}; Path=/; HttpOnly; SameSite=Strict`);
        return json(null);
      }
      case "POST /common/remove-auth-cookie":
        response.setHeader("Set-Cookie", "SESSION=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
        return json(null);
      case "GET packages/schema": {
        const service = actions[q("service")];
        if (!service) return json({ error: "no schema" }, 404);
        const schema: ServiceSchema = { service: q("service"), types, actions: Object.fromEntries(Object.entries(service).map(([name, params]) => [name.toLowerCase(), { params: { Object: params } }])) };
        return json(schema);
      }
      case "POST transact/push_transaction": return this.#push(await body(request), json);
      case "POST transact/login": return this.#login(await body(request), json);
      case "GET accounts/api/account":
        return this.#keys.has(q("name")) || this.#isService(q("name")) ? json({ name: q("name"), authService: "auth-sig", authSequence: "0" }) : json({ error: "no such account" }, 404);
      case "GET accounts/api/status": return json({ totalAccounts: this.#keys.size + 24 });
      case "GET auth-sig/api/key": {
        const spki = this.#keys.get(q("account"));
        return spki ? json({ account: q("account"), spki, fingerprint: toHex(keyFingerprint(fromHex(spki))) }) : json({ error: "no key" }, 404);
      }
      case "GET invite/api/invite":
        if (Number(q("id")) !== this.#invitation.id) return json({ error: "no such invitation" }, 404);
        return json({ id: 7, inviter: "root", numAccounts: this.#accountsLeft, useHooks: false, secret: this.#invitation.secret, cid: 1, expires: new Date(Date.now() + 6e8).toISOString(), state: this.#accountsLeft > 0 ? "open" : "used" });
      case "GET tokens/api/balances": {
        const balance = this.#balances.get(q("account"));
        return json({ account: q("account"), autoDebit: this.#autoDebit.has(q("account")), balances: balance === undefined ? [] : [{ tokenId: 1, symbol: "psi", precision: 4, balance: balance.toString(), autoDebit: false }] });
      }
      case "GET tokens/api/history": {
        const own = this.#user(request) === q("account");
        const entries = (this.#history.get(q("account")) ?? []).slice(0, Number(q("limit") || 25));
        return json({ entries: entries.map((e) => (own ? e : { ...e, memo: null })), next: null });
      }
      case "GET tokens/api/pending": {
        if (this.#user(request) !== q("account")) return json({ error: "log in" }, 401);
        const pending = [...this.#pending.values()].filter((p) => p.creditor === q("account") || p.debitor === q("account"));
        return json({ pending: pending.map((p) => ({ ...p, amount: p.amount.toString(), tokenId: 1, precision: 4, symbol: "psi" })) });
      }
      case "GET x-admin/native/admin/status": return json(["needgenesis"]);
      case "GET x-admin/native/admin/chain": return json({ chainId: null, head: { num: 1, id: "00", time: null }, irreversible: { num: 1, id: "00", time: null }, producer: "prod", signs: null, version: "0.1.0" });
      case "GET x-admin/native/admin/metrics":
        response.writeHead(200, { "Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8", ...cors });
        return void response.end("# TYPE polis_head_block gauge\npolis_head_block 1\n# EOF\n");
      case "GET x-admin/native/admin/keys": return json([]);
      case "GET x-admin/native/admin/perf": return json({
        timestamp: String(Math.round(performance.now() * 1000)),
        memory: { database: "30000000", code: "20000000", data: "9000000", wasmMemory: "0", wasmCode: "12000000", unclassified: "80000000" },
        tasks: [{ id: 1, group: "chain", user: "100000", system: "50000", pageFaults: "0", read: "0", written: "0" }],
        transactions: { unprocessed: "0", total: "7", failed: "1", succeeded: "6", skipped: "0" },
      });
      case "GET faucet-tok/api/token": return json({ tokenId: 1, amount: dripUnits.toString() });
      case "GET hello/api/greetings": return json({ version: 1, greetings: [...this.#greetings].map(([account, text]) => ({ account, text })) });
      case "GET explorer/api/head": {
        const { num, id, time } = this.#blocks[0]!;
        return json({ num, id, time, producer: "prod", irreversible: num - 1 });
      }
      case "GET explorer/api/blocks":
        return json({ blocks: this.#blocks.slice(0, Number(q("limit") || 25)).map((b) => ({ ...b, producer: "prod", transactions: b.transactions.length })), next: null });
      case "GET explorer/api/block": {
        const block = this.#blocks.find((b) => (q("id") ? b.id === q("id") : b.num === Number(q("num"))));
        return block ? json({ ...block, previous: this.#blocks.find((b) => b.num === block.num - 1)?.id ?? "0".repeat(64), producer: "prod", term: 0, commitNum: block.num - 1, irreversible: block.num < this.#blocks[0]!.num }) : json({ error: "no such block" }, 404);
      }
      case "GET explorer/api/transaction": {
        const found = this.#blocks.flatMap((b) => b.transactions).find((t) => t.id === q("id"));
        return found ? json({ ...found, irreversible: found.blockNum < this.#blocks[0]!.num }) : json({ error: "no such transaction" }, 404);
      }
      case "GET explorer/api/transactions":
        return json({ transactions: this.#blocks.flatMap((b) => [...b.transactions].reverse()).slice(0, Number(q("limit") || 25)), next: null });
    }
    if (request.method === "GET") {
      const dist = join(this.#repository, "packages", app, "ui/dist");
      for (const path of [join(dist, url.pathname), join(dist, url.pathname, "index.html")])
        if (path.startsWith(dist) && existsSync(path) && statSync(path).isFile()) return this.#file(path, response);
    }
    json({ error: `nothing at ${route}` }, 404);
  }

  #file(path: string, response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": mimeTypes[extname(path)] ?? "application/octet-stream", "Access-Control-Allow-Origin": "*" });
    createReadStream(path).pipe(response);
  }

  #isService(name: string): boolean {
    return name in actions || ["prod", "root", "accounts", "verify-sig"].includes(name);
  }

  #user(request: IncomingMessage): string | undefined {
    return this.#sessions.get(/SESSION=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "");
  }

  async #verified(bytes: Buffer): Promise<{ id: string; transaction: MockTransaction; packed: Uint8Array; flags: number }> {
    const signed = chainCodec.unpack("SignedTransaction", bytes) as { transaction: string; proofs: string[] };
    const packed = fromHex(signed.transaction);
    const { tapos, actions: list, claims } = chainCodec.unpack("Transaction", packed) as {
      tapos: { expiration: string; flags: number }; actions: MockTransaction["actions"]; claims: MockTransaction["claims"];
    };
    if (claims.length !== signed.proofs.length) throw new Error("proofs and claims differ in number");
    for (const [i, claim] of claims.entries()) {
      const spki = fromHex(claim.rawData);
      const key = await webcrypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
      if (!(await webcrypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, fromHex(signed.proofs[i]!), packed))) throw new Error("signature invalid");
    }
    const ahead = Date.parse(tapos.expiration) - Date.now();
    if (ahead <= 0 || ahead > 3_600_000) throw new Error("Transaction expired");
    const id = transactionId(packed);
    return { id, packed, flags: tapos.flags, transaction: { id, index: 0, time: "", blockNum: 0, blockId: "", expiration: tapos.expiration, claims, actions: list } };
  }

  async #push(bytes: Buffer, json: (value: unknown) => void): Promise<void> {
    const { transaction } = await this.#verified(bytes);
    try {
      for (const action of transaction.actions) this.#apply(action, transaction.claims);
    } catch (error) {
      return json({ actionTraces: [], error: error instanceof Error ? error.message : "failed" });
    }
    await new Promise<void>((resolve) => this.#queue.push({ transaction, done: resolve }));
    json({ actionTraces: [{ rawRetval: "", innerTraces: [], totalTime: "1", error: null }], error: null });
  }

  async #login(bytes: Buffer, json: (value: unknown, status?: number) => void): Promise<void> {
    const { transaction, flags } = await this.#verified(bytes);
    const [action] = transaction.actions;
    if (!action || flags !== 1 || methodNumber(action.method) !== methodNumber("loginSys") || this.#keys.get(action.sender) !== transaction.claims[0]?.rawData) return json({ error: "refused" }, 400);
    if (JSON.stringify(chainCodec.unpack({ Tuple: ["string"] }, fromHex(action.rawData))) !== '["polis.localhost"]') return json({ error: "wrong host" }, 400);
    const token = createHash("sha256").update(randomBytes(16)).digest("hex");
    this.#sessions.set(token, action.sender);
    json({ access_token: token, token_type: "bearer" });
  }

  #apply({ sender, service, method, rawData }: MockTransaction["actions"][number], claims: MockTransaction["claims"]): void {
    const name = Object.keys(actions[service] ?? {}).find((m) => methodName(methodNumber(m)) === method);
    if (name === undefined) throw new Error(`no action ${service}::${method}`);
    const args = new Codec(types).unpack({ Object: actions[service]![name]! }, fromHex(rawData)) as Record<string, Json>;
    const key = claims[0]?.rawData ?? "";
    if (sender === "cred-sys") {
      if (toHex(keyFingerprint(fromHex(key))) !== this.#invitation.fingerprint || service !== "invite") throw new Error("unknown credential");
    } else if (this.#keys.get(sender) !== key) throw new Error("auth-sig: key does not match");
    const move = (from: string, to: string, units: bigint, memo: string): void => {
      if ((this.#balances.get(from) ?? 0n) < units) throw new Error("insufficient balance");
      this.#balances.set(from, (this.#balances.get(from) ?? 0n) - units);
      this.#note(from, "credited", "out", units, to, memo);
      if (this.#autoDebit.has(to)) {
        this.#balances.set(to, (this.#balances.get(to) ?? 0n) + units);
        this.#note(to, "debited", "in", units, from, memo);
      } else {
        const old = this.#pending.get(`${from}>${to}`)?.amount ?? 0n;
        this.#pending.set(`${from}>${to}`, { creditor: from, debitor: to, amount: old + units });
      }
    };
    switch (`${service}::${name}`) {
      case "invite::createAccount": {
        const account = args["account"] as string;
        if (this.#keys.has(account)) throw new Error("account exists");
        if (this.#accountsLeft === 0) throw new Error("invitation used up");
        this.#accountsLeft -= 1;
        this.#keys.set(account, args["accountKey"] as string);
        return;
      }
      case "tokens::credit": {
        const to = args["debitor"] as string;
        if (!this.#keys.has(to) || to === sender) throw new Error(`account ${to} does not exist`);
        return move(sender, to, BigInt((args["amount"] as { value: string }).value), args["memo"] as string);
      }
      case "tokens::debit": {
        const from = args["creditor"] as string;
        const waiting = this.#pending.get(`${from}>${sender}`);
        if (!waiting) throw new Error("nothing waits");
        this.#pending.delete(`${from}>${sender}`);
        this.#balances.set(sender, (this.#balances.get(sender) ?? 0n) + waiting.amount);
        return this.#note(sender, "debited", "in", waiting.amount, from, "");
      }
      case "tokens::setUserConf":
        if (args["enabled"] === true) this.#autoDebit.add(sender);
        else this.#autoDebit.delete(sender);
        return;
      case "faucet-tok::dispense":
        this.#balances.set("faucet-tok", dripUnits);
        return move("faucet-tok", args["account"] as string, dripUnits, "Faucet drip");
      case "hello::greet":
        this.#greetings.set(sender, args["text"] as string);
        return;
      default:
        throw new Error("not mocked");
    }
  }

  #note(account: string, action: string, direction: "in" | "out", units: bigint, counterParty: string, memo: string): void {
    const entries = this.#history.get(account) ?? [];
    entries.unshift({ seq: String(entries.length + 1), tokenId: 1, precision: 4, symbol: "psi", action, direction, amount: units.toString(), counterParty, blockNum: this.#blocks[0]!.num + 1, time: new Date().toISOString(), memo });
    this.#history.set(account, entries);
  }
}

async function body(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
