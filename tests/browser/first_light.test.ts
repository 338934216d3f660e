// From an invitation to a sent token, as two people do it.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { startNetwork, unavailable, type Network } from "./harness/network.js";
import { appUrl, launch, passphrase, Person } from "./harness/person.js";

const reason = unavailable();
if (reason) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)("first light", () => {
  const suffix = Math.floor(1000 + Math.random() * 9000);
  const [aliceName, bobName] = [`alice-${suffix}`, `bobby-${suffix}`];
  let network: Network;
  let browser: Browser;
  let alice: Person;
  let bob: Person;
  let transactionId = "";

  beforeAll(async () => {
    network = await startNetwork();
    browser = await launch();
    alice = await Person.arrive(browser, network.url);
    bob = await Person.arrive(browser, network.url);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") for (const person of [alice, bob]) await person?.report(task.name);
  });

  afterAll(async () => {
    await browser?.close();
    await network?.stop();
  });

  test("the root leads to the homepage", async () => {
    await alice.page.goto(network.url);
    await alice.page.getByRole("heading", { level: 1 }).waitFor();
    await alice.page.getByText("Running").waitFor();
    expect(new URL(alice.page.url()).hostname).toMatch(/^(homepage|network)\.polis\.localhost$/);
    // What is installed stands there, the apps that come with every network first.
    await alice.page.getByRole("link", { name: /^Hello/ }).waitFor();
    const names = await alice.page.locator(".tile strong:not([aria-hidden])").allTextContents();
    expect(names.slice(0, 4)).toEqual(["Tokens", "Explorer", "Accounts", "Faucet"]);
    expect(names).not.toContain("Homepage");
  });

  test("two people make accounts with the invitation", async () => {
    await alice.acceptInvitation(network.invitation, aliceName);
    await bob.acceptInvitation(network.invitation, bobName);
  });

  test("a taken name is told at once", async () => {
    await bob.page.goto(network.invitation);
    await bob.page.getByLabel("Account name").fill(aliceName);
    await bob.page.getByText("Somebody has this name already.").waitFor();
  });

  test("they connect the tokens app, once each", async () => {
    await alice.connect("tokens", aliceName);
    await bob.connect("tokens", bobName);
    await alice.page.getByText("What others send arrives at once.").waitFor();
    await bob.page.getByText("What others send arrives at once.").waitFor();
    expect(alice.interruptions).toHaveLength(1);
    expect(bob.interruptions).toHaveLength(1);
  });

  test("the faucet gives test tokens", async () => {
    await alice.connect("faucet-tok", aliceName);
    await alice.page.getByRole("button", { name: /test tokens/ }).click();
    await alice.page.getByText(/^Sent/).waitFor();
    await alice.open("tokens");
    await expect.poll(() => alice.balance(), { timeout: 30_000 }).toBe("100,000.00");
  });

  test("five tokens move; both balances change without reloading or asking", async () => {
    alice.interruptions.length = 0;
    bob.interruptions.length = 0;
    let loads = 0;
    for (const { page } of [alice, bob]) page.on("load", () => (loads += 1));
    const before = await bob.balance();
    expect(before).toBe("0.00");

    await alice.page.getByRole("textbox", { name: "To", exact: true }).fill(bobName);
    await alice.page.getByRole("textbox", { name: "Amount" }).fill("5");
    await alice.page.getByRole("textbox", { name: "Memo" }).fill("for lunch");
    const started = Date.now();
    await alice.page.getByRole("button", { name: "Send", exact: true }).click();
    const within = async (person: Person, expected: string): Promise<number> => {
      await person.page.waitForFunction(
        (wanted) => document.querySelector('[data-testid="balance"]')?.textContent?.startsWith(wanted),
        expected,
        { polling: 20, timeout: 30_000 },
      );
      return Date.now() - started;
    };
    const [forAlice, forBob] = await Promise.all([within(alice, "99,995.00"), within(bob, "5.00")]);
    console.log(`send → both balances: sender ${forAlice} ms, receiver ${forBob} ms`);
    // The figure above is the promise: a second. On a machine that does other work it says nothing about this program.
    if (process.env["POLIS_TIMED"]) expect(Math.max(forAlice, forBob)).toBeLessThan(1000);
    await bob.page.getByRole("list", { name: "Transfers" }).getByText("for lunch").waitFor();
    transactionId = (await alice.page.getByTestId("sent").getAttribute("data-transaction")) ?? "";
    expect(transactionId).toMatch(/^[0-9A-F]{64}$/);
    expect(loads).toBe(0);
    expect([...alice.interruptions, ...bob.interruptions]).toEqual([]);
  });

  test("the explorer shows the transaction", async () => {
    await alice.open("explorer");
    const search = alice.page.getByRole("search");
    await search.getByLabel("Find").fill(transactionId);
    await search.getByRole("button", { name: "Find" }).click();
    await alice.page.getByRole("heading", { name: "Transaction" }).waitFor();
    await alice.page.getByText(transactionId).first().waitFor();
    const action = alice.page.getByRole("list", { name: "Actions" });
    await action.getByText(aliceName).waitFor();
    await action.getByText("credit").waitFor();
    await alice.page.getByText("Final", { exact: true }).waitFor();
  });

  test("more sending, still nothing asked; the accounts page counted one question an app", async () => {
    await alice.open("tokens");
    for (let round = 0; round < 3; round++) {
      await alice.page.getByRole("textbox", { name: "To", exact: true }).fill(bobName);
      await alice.page.getByRole("textbox", { name: "Amount" }).fill("0.5");
      await alice.page.getByRole("button", { name: "Send", exact: true }).click();
      await alice.page.waitForFunction(() => document.querySelector<HTMLInputElement>('input[inputmode="decimal"]')?.value === "");
    }
    await expect.poll(() => bob.balance(), { timeout: 30_000 }).toBe("6.50");
    expect([...alice.interruptions, ...bob.interruptions]).toEqual([]);
    await alice.open("accounts");
    for (const app of ["tokens", "faucet-tok"])
      await alice.page.locator(`[data-app="${app}"][data-prompts="1"]`).waitFor();
  });

  test("wrong input is refused with a sentence", async () => {
    await alice.open("tokens");
    await alice.page.getByText(/^You have 99,993\.50 .*; up to 4 digits after the point\.$/).waitFor();
    await alice.page.getByRole("textbox", { name: "To", exact: true }).fill("nobody-99");
    await alice.page.getByRole("textbox", { name: "Amount" }).fill("999999999");
    await alice.page.getByRole("alert").filter({ hasText: "There is no account nobody-99." }).waitFor();
    await alice.page.getByRole("button", { name: "Send", exact: true }).click();
    await alice.page.getByRole("alert").filter({ hasText: "You have 99,993.50" }).waitFor();
    await alice.page.getByRole("textbox", { name: "Amount" }).fill("1");
    await alice.page.getByRole("button", { name: "Send", exact: true }).click();
    await alice.page.getByRole("alert").filter({ hasText: "There is no account nobody-99." }).waitFor();
    expect(await alice.balance()).toBe("99,993.50");
  });

  test("the recovery file brings the account to another device", async () => {
    const elsewhere = await Person.arrive(browser, network.url);
    await elsewhere.open("accounts", "/import");
    await elsewhere.page.getByLabel("Recovery file").setInputFiles({ name: "alice.json", mimeType: "application/json", buffer: Buffer.from(alice.recoveryFile) });
    await elsewhere.page.getByLabel("Passphrase").fill("not the passphrase");
    await elsewhere.page.getByRole("button", { name: "Open" }).click();
    await elsewhere.page.getByText("That passphrase does not open this file.").waitFor();
    await elsewhere.page.getByLabel("Passphrase").fill(passphrase);
    await elsewhere.page.getByRole("button", { name: "Open" }).click();
    await elsewhere.page.waitForURL(appUrl(network.url, "accounts"));
    await elsewhere.page.getByText(aliceName, { exact: true }).waitFor();
    await elsewhere.connect("tokens", aliceName);
    expect(await elsewhere.balance()).toBe("99,993.50");
    await elsewhere.context.close();
  });

  test("no page reported an error", () => {
    expect([...alice.problems, ...bob.problems]).toEqual([]);
  });
});
