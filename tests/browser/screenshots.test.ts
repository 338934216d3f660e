// Every page at desktop and phone widths, light and dark, with something on it. The pictures are for people to look
// at (build/browser); the test itself sees to it that nothing overflows sideways and that every page has its heading.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Browser } from "playwright-core";
import { startNetwork, unavailable, type Network } from "./harness/network.js";
import { launch, Person, pictures } from "./harness/person.js";

const reason = unavailable();
const sizes = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } };

/** Runs in the page: what can be operated but is announced without a name. */
function nameless(): string[] {
  return [...document.querySelectorAll<HTMLElement>("button, a[href], input, select, textarea, summary")]
    .filter((element) => element.checkVisibility())
    .filter((element) => {
      const labels = element instanceof HTMLInputElement || element instanceof HTMLSelectElement ? [...(element.labels ?? [])] : [];
      return !(element.getAttribute("aria-label") ?? element.textContent ?? "").trim() && !labels.some((label) => label.textContent?.trim());
    })
    .map((element) => element.outerHTML.slice(0, 200));
}

describe.skipIf(reason !== undefined)("pages", () => {
  const suffix = Math.floor(1000 + Math.random() * 9000);
  const [anna, ben] = [`annab-${suffix}`, `benno-${suffix}`];
  let network: Network;
  let browser: Browser;
  let person: Person;
  let transaction = "";

  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    network = await startNetwork();
    browser = await launch();
    person = await Person.arrive(browser, network.url);
    await person.acceptInvitation(network.invitation, anna);
    await person.acceptInvitation(network.invitation, ben);
    await person.connect("tokens", ben);
    await person.page.getByText("What others send arrives at once.").waitFor();
    await person.connect("faucet-tok", anna);
    await person.page.getByRole("button", { name: /test tokens/ }).click();
    await person.page.getByText(/^Sent/).waitFor();
    await person.open("tokens");
    await person.page.getByRole("button", { name: ben }).click();
    await person.page.getByRole("button", { name: "Use another account" }).click();
    await person.page.getByRole("button", { name: anna }).click();
    const accept = person.page.getByRole("button", { name: "Accept" });
    await accept.waitFor();
    await accept.click();
    for (const [amount, memo] of [["5", "lunch on Tuesday"], ["12.5", "train tickets"], ["0.25", ""]] as const) {
      await person.page.getByRole("textbox", { name: "To", exact: true }).fill(ben);
      await person.page.getByRole("textbox", { name: "Amount" }).fill(amount);
      await person.page.getByRole("textbox", { name: "Memo" }).fill(memo);
      await person.page.getByRole("button", { name: "Send", exact: true }).click();
      await person.page.waitForFunction(() => document.querySelector<HTMLInputElement>('input[inputmode="decimal"]')?.value === "");
    }
    transaction = (await person.page.getByTestId("sent").getAttribute("data-transaction")) ?? "";
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await person?.report(task.name);
  });

  afterAll(async () => {
    await browser?.close();
    await network?.stop();
  });

  const pages: [string, string, () => string][] = [
    ["homepage", "homepage", () => "/"],
    ["accounts", "accounts", () => "/"],
    ["invite", "accounts", () => new URL(network.invitation).pathname + new URL(network.invitation).search],
    ["import", "accounts", () => "/import"],
    ["tokens", "tokens", () => "/"],
    ["faucet", "faucet-tok", () => "/"],
    ["explorer", "explorer", () => "/"],
    ["transaction", "explorer", () => `/transaction?id=${transaction}`],
    ["account", "explorer", () => `/account?name=${anna}`],
    ["missing", "explorer", () => "/transaction?id=00"],
    ["node", "x-admin", () => "/"],
    ["network", "x-admin", () => "/network/"],
    ["log", "x-admin", () => "/log/"],
    ["performance", "x-admin", () => "/performance/"],
    ["keys", "x-admin", () => "/keys/"],
    ["hello", "hello", () => "/"],
  ];

  for (const [name, app, path] of pages)
    for (const [size, viewport] of Object.entries(sizes))
      for (const colorScheme of ["light", "dark"] as const)
        test(`${name}, ${size}, ${colorScheme}`, async () => {
          const { page } = person;
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme });
          await person.open(app, path());
          await page.getByRole("heading").first().waitFor();
          await page.locator(".skeleton").first().waitFor({ state: "detached" });
          await page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`), fullPage: true });
          expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0);
          expect(await page.getByRole("heading", { level: 1 }).count()).toBe(1);
          expect(await page.evaluate(nameless)).toEqual([]);
        });

  test("the question, on a phone", async () => {
    const { page } = person;
    await page.setViewportSize(sizes.phone);
    await person.open("hello");
    await page.getByRole("button", { name: "Choose account" }).click();
    await page.getByRole("button", { name: anna }).waitFor();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(pictures, `connect-phone-${colorScheme}.png`), fullPage: true });
    }
  });

  test("no page reported an error", () => expect(person.problems).toEqual([]));
});
