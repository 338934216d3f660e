// Who may use the supervisor, and for what.

import { createServer, type Server } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { startNetwork, unavailable, type Network } from "./harness/network.js";
import { appUrl, launch, Person } from "./harness/person.js";

const reason = unavailable();

/** Runs in a page: frames `src`, sends it `message` once and until it answers, and tells what came back. */
async function frameAndAsk({ src, message, inner }: { src: string; message: unknown; inner: boolean }): Promise<string> {
  const frame = document.createElement("iframe");
  const answers: string[] = [];
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
  window.addEventListener("message", (event: MessageEvent<{ type?: string; result?: unknown }>) => {
    if (event.data?.type === "FUNCTION_CALL_RESPONSE") answers.push(JSON.stringify(event.data.result));
  });
  frame.src = src;
  document.body.append(frame);
  await loaded;
  for (let tries = 0; tries < 20 && answers.length === 0; tries++) {
    if (!inner) frame.contentWindow?.postMessage(message, "*");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return answers[0] ?? "no answer";
}

describe.skipIf(reason !== undefined)("supervisor", () => {
  const account = `carol-${Math.floor(1000 + Math.random() * 9000)}`;
  let network: Network;
  let browser: Browser;
  let carol: Person;
  let foreign: Server;
  let foreignUrl = "";

  beforeAll(async () => {
    network = await startNetwork();
    browser = await launch();
    carol = await Person.arrive(browser, network.url);
    await carol.acceptInvitation(network.invitation, account);
    foreign = createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><body>elsewhere"));
    await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
    const address = foreign.address();
    foreignUrl = `http://elsewhere.localhost:${typeof address === "object" && address ? address.port : 0}/`;
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") for (const person of [carol]) await person?.report(task.name);
  });

  afterAll(async () => {
    await browser?.close();
    foreign?.close();
    await network?.stop();
  });

  const call = (service: string, intf: string, method: string, params: unknown[]) => ({
    type: "FUNCTION_CALL_REQUEST", id: "1", args: { service, plugin: "plugin", intf, method, params },
  });

  /** Calls from a page of an app, through the library; gives the refusal, or the result as JSON. */
  const callFrom = (page: Page, message: ReturnType<typeof call>): Promise<string> =>
    // As text: the test runner would rewrite the import.
    page.evaluate(`import("/common/common-lib.js").then(({ getSupervisor }) =>
      getSupervisor().functionCall(${JSON.stringify(message.args)}).then(
        (result) => "accepted: " + JSON.stringify(result), (error) => "refused: " + error.message))`);

  test("a foreign page that frames the supervisor is refused", async () => {
    const page = await carol.context.newPage();
    await page.goto(foreignUrl);
    const answer = await page.evaluate(frameAndAsk, {
      src: appUrl(network.url, "supervisor"), message: call("accounts", "api", "getCurrentUser", []), inner: false,
    });
    // Refused by the supervisor, or not even shown to the foreign page.
    expect(answer).toMatch(/^no answer$|may not use the supervisor/);
    await page.close();
  });

  test("an app within a foreign page gets nothing from the supervisor", async () => {
    const page = await carol.context.newPage();
    await page.goto(foreignUrl);
    await page.evaluate((src) => {
      const frame = document.createElement("iframe");
      frame.src = src;
      document.body.append(frame);
    }, appUrl(network.url, "accounts"));
    await page.waitForTimeout(2500);
    const shown = await Promise.all(page.frames().map((frame) => frame.evaluate(() => document.body?.innerText ?? "").catch(() => "")));
    expect(shown.join("\n")).not.toContain(account);
    await page.close();
  });

  test("an app acts on no service but its own", async () => {
    await carol.open("hello");
    const credit = { token_id: 1, debitor: "prod", amount: { value: "1" }, memo: "" };
    expect(await callFrom(carol.page, call("tokens", "actions", "credit", [credit]))).toBe("refused: hello may act only on its own service, not on tokens.");
    expect(await callFrom(carol.page, call("accounts", "actions", "setAuthServ", [{ authService: "auth-any" }]))).toMatch(/^refused: hello may act only/);
  });

  test("only the accounts page manages accounts", async () => {
    await carol.open("hello");
    for (const [intf, method, params] of [
      ["admin", "getAllAccounts", []],
      ["admin", "removeAccount", [account]],
      ["prompt", "connectAccount", ["some-request", account]],
      ["prompt", "createDraft", ["dave-1234", "long enough passphrase"]],
    ] as const)
      expect(await callFrom(carol.page, call("accounts", intf, method, [...params]))).toMatch(/^refused: Only the accounts page/);
    expect(await callFrom(carol.page, call("accounts", "active-app", "login", [account]))).toMatch(/^refused: .* is not connected to hello/);
  });

  test("an app that the person did not connect cannot act", async () => {
    await carol.open("hello");
    expect(await callFrom(carol.page, call("hello", "actions", "greet", [{ text: "hi" }]))).toBe("refused: Choose an account first.");
    expect(await callFrom(carol.page, call("accounts", "api", "getCurrentUser", []))).toBe("accepted: null");
  });

  test("a connected app acts on its own service without a prompt", async () => {
    await carol.open("hello");
    await carol.page.getByRole("button", { name: "Choose account" }).click();
    await carol.page.getByRole("button", { name: account }).click();
    await carol.page.getByText(`You are ${account}.`).waitFor();
    carol.interruptions.length = 0;
    await carol.page.getByLabel("Your greeting").fill("good morning");
    await carol.page.getByRole("button", { name: "Greet" }).click();
    await carol.page.getByRole("listitem").filter({ hasText: account }).getByText("good morning").waitFor();
    expect(carol.interruptions).toEqual([]);
    // Arguments that do not fit the service's schema never reach the chain.
    expect(await callFrom(carol.page, call("hello", "actions", "greet", [{ text: 5 }]))).toBe("refused: expected text");
    expect(await callFrom(carol.page, call("hello", "actions", "noSuchAction", [{}]))).toMatch(/^refused: hello has no action/);
  });

  test("an action's result comes back to the page", async () => {
    await carol.connect("tokens", account);
    expect(await callFrom(carol.page, call("tokens", "actions", "getUserConf", [{ account, index: 0 }]))).toMatch(/"result":(true|false)/);
    expect(await callFrom(carol.page, call("tokens", "actions", "setUserConf", [{ index: 0, enabled: true }]))).toMatch(/"result":null/);
  });

  test("no private key can be read, not even by the supervisor's own page", async () => {
    await carol.open("supervisor");
    const found = await carol.page.evaluate(async () => {
      const report = { keys: 0, extractable: 0, exported: 0, privateText: false };
      for (const { name } of await indexedDB.databases()) {
        const database = await new Promise<IDBDatabase>((resolve, reject) => {
          const opening = indexedDB.open(name!);
          opening.onsuccess = () => resolve(opening.result);
          opening.onerror = () => reject(opening.error);
        });
        for (const store of database.objectStoreNames) {
          const records = await new Promise<unknown[]>((resolve) => {
            const reading = database.transaction(store).objectStore(store).getAll();
            reading.onsuccess = () => resolve(reading.result as unknown[]);
          });
          if (/PRIVATE|polis-recovery/.test(JSON.stringify(records))) report.privateText = true;
          if (store !== "keys") continue;
          for (const record of records as { privateKey: CryptoKey }[]) {
            report.keys += 1;
            if (record.privateKey.extractable) report.extractable += 1;
            await crypto.subtle.exportKey("pkcs8", record.privateKey).then(() => (report.exported += 1), () => undefined);
          }
        }
      }
      return { ...report, storage: localStorage.length + sessionStorage.length };
    });
    expect(found).toEqual({ keys: 1, extractable: 0, exported: 0, privateText: false, storage: 0 });
  });

  test("the session's token is out of reach of the app's scripts", async () => {
    await carol.open("hello");
    expect(await carol.page.evaluate(() => document.cookie)).toBe("");
    const cookies = await carol.context.cookies(appUrl(network.url, "hello"));
    expect(cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }))).toEqual([{ name: "SESSION", httpOnly: true, sameSite: "Strict" }]);
  });
});
