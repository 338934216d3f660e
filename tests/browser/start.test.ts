// A network that starts from its administration page, and one that a phone reaches over HTTPS.

import { generateKeyPairSync } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { startNode, unavailable, type Network } from "./harness/network.js";
import { appUrl, launch, Person } from "./harness/person.js";

// Both need a node of their own kind, which neither the stand-in nor a running network is.
const reason = process.env["POLIS_MOCK"] || process.env["POLIS_INVITATION"] ? "needs nodes of its own" : unavailable();

describe.skipIf(reason !== undefined)("starting", () => {
  let browser: Browser;
  const networks: Network[] = [];
  let person: Person | undefined;

  beforeAll(async () => {
    browser = await launch();
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await person?.report(task.name);
  });

  afterAll(async () => {
    await browser?.close();
    await Promise.all(networks.map((network) => network.stop()));
  });

  test("an empty node becomes a network by one button", async () => {
    const network = await startNode({ unbooted: true });
    networks.push(network);
    person = await Person.arrive(browser, network.url);
    const { page } = person;
    await page.goto(network.url);
    await page.waitForURL(appUrl(network.url, "x-admin"));
    await page.getByText("No chain yet").waitFor();
    await page.getByRole("button", { name: "Create the chain" }).click();
    await page.getByRole("heading", { name: "The network is up" }).waitFor({ timeout: 60_000 });
    const link = (await page.getByRole("link", { name: /invite\?token=/ }).getAttribute("href")) ?? "";
    await page.getByText("Running", { exact: true }).waitFor();
    await person.acceptInvitation(link, `first-${Math.floor(1000 + Math.random() * 9000)}`);
    expect(person.problems).toEqual([]);
  });

  test("the administration link opens the node on another device, once", async () => {
    const network = await startNode({ unbooted: true });
    networks.push(network);
    // What comes through a proxy from elsewhere is not this machine.
    const elsewhere = { extraHTTPHeaders: { "X-Forwarded-For": "203.0.113.7" } };
    person = await Person.arrive(browser, network.url, elsewhere);
    const { page } = person;
    await page.goto(appUrl(network.url, "x-admin"));
    await page.getByText("For the node's operator").waitFor();
    await page.goto("about:blank");
    await page.goto(network.adminLink ?? "");
    await page.getByText("This browser may now administer the node.").waitFor();
    await page.getByText("No chain yet").waitFor();
    expect(page.url()).toBe(appUrl(network.url, "x-admin"));
    await page.reload();
    await page.getByRole("switch", { name: "Give prod a key" }).check();
    await page.getByRole("button", { name: "Create the chain" }).click();
    await page.getByRole("heading", { name: "The network is up" }).waitFor({ timeout: 60_000 });
    await page.getByText("Running", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Keys" }).click();
    await page.getByText("Signs blocks").waitFor();
    expect(await page.getByText("checked by verify-sig").count()).toBe(1);

    const other = await Person.arrive(browser, network.url, elsewhere);
    await other.page.goto(network.adminLink ?? "");
    await other.page.getByRole("alert").getByText("This link was used already").waitFor();
    await other.page.getByText("For the node's operator").waitFor();
  });

  test("the operator follows the log, sees the load, and keeps keys", async () => {
    const network = await startNode({ unbooted: true });
    networks.push(network);
    person = await Person.arrive(browser, network.url);
    const { page } = person;
    await page.goto(appUrl(network.url, "x-admin"));
    await page.getByRole("link", { name: "Log" }).click();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.evaluate(async () => {
      const config = await (await fetch("/config")).text();
      await fetch("/config", { method: "PUT", headers: { "Content-Type": "application/json" }, body: config });
    });
    const line = page.getByRole("log").getByText("The configuration was saved");
    await line.waitFor();
    await page.getByRole("searchbox", { name: "Containing" }).fill("no such words");
    await page.getByRole("heading", { name: "Nothing contains that" }).waitFor();
    await page.getByRole("searchbox", { name: "Containing" }).fill("CONFIGURATION");
    await line.waitFor();
    await page.getByRole("combobox", { name: "Show" }).selectOption("Warnings and errors");
    await line.waitFor({ state: "detached" });
    await page.getByRole("combobox", { name: "Show" }).selectOption("Everything");
    await line.waitFor(); // what was written before

    await page.getByRole("link", { name: "Performance" }).click();
    await page.getByText("of one processor").waitFor();
    await page.getByText("Answering pages").waitFor();
    await page.getByText("The chain's state").waitFor();

    await page.getByRole("link", { name: "Keys" }).click();
    await page.getByRole("heading", { name: "No keys yet" }).waitFor();
    await page.getByRole("button", { name: "Make a key" }).click();
    await page.getByText("The key is kept.").waitFor();
    const keys = page.getByText("checked by verify-sig");
    await keys.first().waitFor();
    await expect.poll(() => keys.count()).toBe(1);
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const chooseAndTake = async (text: string): Promise<void> => {
      await page.getByLabel("Key file (PEM)").setInputFiles({ name: "key.pem", mimeType: "application/x-pem-file", buffer: Buffer.from(text) });
      await page.getByRole("button", { name: "Take it in" }).click();
    };
    await chooseAndTake(publicKey.export({ type: "spki", format: "pem" }).toString());
    await page.getByText("This is the public half of a key.").waitFor();
    await chooseAndTake(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
    await page.getByText("The node has this key now.").waitFor();
    await expect.poll(() => keys.count()).toBe(2);
    expect(person.problems).toEqual([]);

    // None of it is for others.
    const other = await Person.arrive(browser, network.url, { extraHTTPHeaders: { "X-Forwarded-For": "203.0.113.7" } });
    for (const path of ["/log/", "/performance/", "/keys/"]) {
      await other.page.goto(appUrl(network.url, "x-admin", path));
      await other.page.getByText("For the node's operator").waitFor();
    }
  });

  test("a phone does it all over HTTPS", async () => {
    const network = await startNode({ tls: true });
    networks.push(network);
    const account = `phone-${Math.floor(1000 + Math.random() * 9000)}`;
    person = await Person.arrive(browser, network.url, { ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    expect(network.invitation).toMatch(/^https:/);
    await person.acceptInvitation(network.invitation, account);
    await person.connect("faucet-tok", account);
    await person.page.getByRole("button", { name: /test tokens/ }).click();
    await person.page.getByText(/^Sent/).waitFor();
    await person.connect("tokens", account);
    await person.page.getByText("What others send arrives at once.").waitFor();
    await person.page.getByRole("button", { name: "Accept" }).click();
    await expect.poll(() => person?.balance(), { timeout: 30_000 }).toBe("100,000.00");
    await person.page.getByRole("list", { name: "Transfers" }).getByText("faucet-tok").waitFor();
    const cookies = await person.context.cookies(appUrl(network.url, "tokens"));
    // On localhost, whatever the scheme, the cookie has its plain name.
    expect(cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }))).toEqual([{ name: "SESSION", httpOnly: true, sameSite: "Strict" }]);
    expect(person.problems).toEqual([]);
  });
});
