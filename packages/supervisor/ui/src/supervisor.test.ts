import "fake-indexeddb/auto";
import { describe, expect, test } from "vitest";
import { isLocalPath, isSupervisorRequest, siblingUrl } from "@polis/client/common";
import { keyFingerprint, toHex } from "@polis/client/format";
import { answer } from "./calls.js";
import { Device } from "./device.js";
import { generateKey, importKey, sign } from "./keys.js";
import { readToken } from "./invitation.js";
import type { Node } from "./node.js";
import { accountOfOrigin, framingAllowed } from "./origin.js";
import { decryptRecovery, encryptRecovery } from "./recovery.js";
import { Storage } from "./storage.js";

const site = { protocol: "http:", host: "supervisor.polis.localhost:8080" };

describe("who is asking", () => {
  test.each([
    ["http://tokens.polis.localhost:8080", "tokens"],
    ["http://faucet-tok.polis.localhost:8080", "faucet-tok"],
    ["https://tokens.polis.localhost:8080", undefined],
    ["http://tokens.polis.localhost:9090", undefined],
    ["http://tokens.polis.localhost", undefined],
    ["http://polis.localhost:8080", undefined],
    ["http://a.b.polis.localhost:8080", undefined],
    ["http://tokens.polis.localhost.evil.example:8080", undefined],
    ["http://evilpolis.localhost:8080", undefined],
    ["http://-x.polis.localhost:8080", undefined],
    ["null", undefined],
    ["", undefined],
  ])("%s", (origin, account) => expect(accountOfOrigin(origin, site)).toBe(account));

  test("only a page that the person sees, or the supervisor's own shell, may frame it", () => {
    expect(framingAllowed({ fromParent: true, fromTop: true, topIsOwn: false })).toBe(true);
    expect(framingAllowed({ fromParent: true, fromTop: false, topIsOwn: true })).toBe(true);
    expect(framingAllowed({ fromParent: true, fromTop: false, topIsOwn: false })).toBe(false);
    expect(framingAllowed({ fromParent: false, fromTop: true, topIsOwn: true })).toBe(false);
  });
});

describe("what an app may call", () => {
  const calls: unknown[] = [];
  const device = new Proxy({} as Device, {
    get: (_, name) => (...args: unknown[]) => {
      calls.push([name, ...args]);
      return Promise.resolve("done");
    },
  });
  const call = (app: string, service: string, intf: string, method: string, params: unknown[] = []): Promise<unknown> => {
    calls.length = 0;
    return answer(device, app, { service, plugin: "plugin", intf, method, params });
  };

  test("its own service, by the origin's name", async () => {
    expect(await call("tokens", "tokens", "actions", "credit", [{ a: 1 }, { waitFor: "final" }])).toBe("done");
    expect(calls).toEqual([["act", "tokens", "credit", { a: 1 }, "final"]]);
    expect(await call("tokens", "transact", "intf", "addActionToTransaction", ["credit", new Uint8Array(2)])).toBe("done");
    expect(calls).toEqual([["actPacked", "tokens", "credit", new Uint8Array(2)]]);
  });

  test.each([
    ["hello", "tokens", "actions", "credit"],
    ["hello", "accounts", "admin", "getAllAccounts"],
    ["hello", "accounts", "prompt", "connectAccount"],
    ["accounts", "tokens", "actions", "credit"],
    ["hello", "hello", "constructor", "constructor"],
    ["hello", "hello", "__proto__", "toString"],
  ])("%s is refused %s:%s.%s", async (app, service, intf, method) => {
    expect(await call(app, service, intf, method, [{}, {}])).toMatchObject({ name: "PluginErrorObject", pluginId: { service, plugin: "plugin" } });
    expect(calls).toEqual([]);
  });

  test("parameters of another kind are refused", async () => {
    for (const params of [[], [5], [null], [{}]])
      expect(await call("accounts", "accounts", "admin", "removeAccount", params)).toMatchObject({ name: "PluginErrorObject" });
    expect(calls).toEqual([]);
    expect(isSupervisorRequest({ type: "FUNCTION_CALL_REQUEST", id: "1", args: { service: "a", method: 1, params: [] } })).toBe(false);
    expect(isSupervisorRequest({ type: "FUNCTION_CALL_REQUEST", id: "1" })).toBe(false);
    expect(isSupervisorRequest(null)).toBe(false);
  });
});

describe("keys", () => {
  test("a recovery file opens with its passphrase only, and only unchanged", async () => {
    const { pkcs8, spki } = await generateKey();
    const file = await encryptRecovery({ account: "alice-12", chainId: "AB", spki, pkcs8 }, "ten letters at least");
    expect(file).not.toContain(Buffer.from(pkcs8).toString("base64").slice(20, 60));
    const opened = await decryptRecovery(file, "ten letters at least");
    expect(opened).toEqual({ account: "alice-12", chainId: "AB", pkcs8 });
    await expect(decryptRecovery(file, "ten letters at most")).rejects.toThrow("passphrase");
    await expect(decryptRecovery(file.replace("alice-12", "alice-13"), "ten letters at least")).rejects.toThrow("passphrase");
    for (const broken of ["", "{}", "null", file.slice(0, -20), file.replace('"iterations": 600000', '"iterations": 9e15')])
      await expect(decryptRecovery(broken, "ten letters at least")).rejects.toThrow("not a recovery file");
    await expect(encryptRecovery({ account: "a", chainId: "AB", spki, pkcs8 }, "short")).rejects.toThrow("at least");
  });

  test("an imported key signs, cannot be exported, and leaves nothing in the clear", async () => {
    const { pkcs8, spki } = await generateKey();
    const key = await importKey(pkcs8);
    expect(pkcs8.every((byte) => byte === 0)).toBe(true);
    expect(key.id).toBe(toHex(keyFingerprint(spki)));
    expect(key.privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("pkcs8", key.privateKey)).rejects.toThrow();
    const message = new Uint8Array([1, 2, 3]);
    const publicKey = await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    const proof = await sign(key.privateKey, message);
    expect(proof).toHaveLength(64);
    expect(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, publicKey, new Uint8Array(proof), message)).toBe(true);
  });
});

test("the same act twice within a second and a block is two transactions", async () => {
  const pushed: Uint8Array[] = [];
  const node = {
    tapos: async () => ({ expiration: 1_700_000_000, flags: 0, refBlockIndex: 1, refBlockSuffix: 2 }),
    packArguments: async () => new Uint8Array(3),
    push: async (signed: Uint8Array) => (pushed.push(signed), ""),
  } as unknown as Node;
  const storage = await Storage.open("CC");
  const key = await importKey((await generateKey()).pkcs8);
  await storage.put("keys", key);
  await storage.put("accounts", { account: "alice-12", keyId: key.id, created: 0 });
  await storage.put("apps", { app: "tokens", current: "alice-12", accounts: ["alice-12"] });
  const device = new Device(node, storage, "CC");
  const elsewhere = new Device(node, await Storage.open("CC"), "CC"); // another tab
  const acts = await Promise.all([device, device, elsewhere].map((tab) => tab.act("tokens", "credit", {}, "applied")));
  expect(new Set(acts.map((act) => act.transactionId)).size).toBe(3);
  expect(pushed).toHaveLength(3);
});

test("what is remembered belongs to one chain", async () => {
  const [here, there] = [await Storage.open("AA"), await Storage.open("BB")];
  await here.put("apps", { app: "tokens", current: "alice-12", accounts: ["alice-12"] });
  expect(await here.get("apps", "tokens")).toEqual({ app: "tokens", current: "alice-12", accounts: ["alice-12"] });
  expect(await there.get("apps", "tokens")).toBeUndefined();
});

test("invitation tokens", () => {
  const { id, aesKey } = readToken("BwAAAAGL1u6XaPcWL8Rb2NddOPY=");
  expect(id).toBe(7);
  expect(toHex(aesKey)).toBe("018BD6EE9768F7162FC45BD8D75D38F6");
  for (const broken of ["", "BwAA", "BwAAAAGL1u6XaPcWL8Rb2NddOPY=AAAA", "%%%", "A".repeat(5000)]) expect(() => readToken(broken)).toThrow("not complete");
});

test("ways back stay on their site", () => {
  for (const path of ["/", "/a?b=c#d"]) expect(isLocalPath(path)).toBe(true);
  for (const path of ["", "a", "//evil.example", "/\\evil.example", "https://evil.example", "/\n/evil", "javascript:alert(1)"]) expect(isLocalPath(path)).toBe(false);
  expect(siblingUrl("http://tokens.polis.localhost:8080/x", "accounts", "/connect")).toBe("http://accounts.polis.localhost:8080/connect");
});
