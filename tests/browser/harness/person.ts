// What a person does, in a browser of their own.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./network.js";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";

/** Where screenshots go. */
export const pictures = join(repository, "build/browser");

export const passphrase = "correct horse battery";

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

/** The address of an app's page. */
export function appUrl(root: string, app: string, path = "/"): string {
  const url = new URL(root);
  return `${url.protocol}//${app}.${url.host}${path}`;
}

export class Person {
  /** Everything that interrupted this person: questions of the network, dialogs, windows that opened. */
  readonly interruptions: string[] = [];
  readonly problems: string[] = [];
  recoveryFile = "";

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    private readonly root: string,
  ) {
    const connectPage = appUrl(root, "accounts", "/connect");
    page.on("framenavigated", (frame) => {
      if (frame === page.mainFrame() && frame.url().startsWith(connectPage)) this.interruptions.push(frame.url());
    });
    page.on("dialog", (dialog) => {
      this.interruptions.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("popup", (popup) => this.interruptions.push(`window: ${popup.url()}`));
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("console", (message) => {
      // Requests that answer 401 or 404 are part of the pages' work.
      if (message.type() === "error" && !/Failed to load resource/.test(message.text())) this.problems.push(message.text());
    });
  }

  static async arrive(browser: Browser, root: string, options: BrowserContextOptions = {}): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    return new Person(context, page, root);
  }

  open(app: string, path = "/"): Promise<unknown> {
    return this.page.goto(appUrl(this.root, app, path));
  }

  /** Opens an invitation and makes an account with it. */
  async acceptInvitation(link: string, account: string): Promise<void> {
    const { page } = this;
    await page.goto(link);
    await page.getByLabel("Account name").fill(account);
    await page.getByLabel("Passphrase", { exact: true }).fill(passphrase);
    await page.getByLabel("Passphrase again").fill(passphrase);
    await page.getByText("This name is free.").waitFor();
    await page.getByRole("button", { name: "Continue" }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download recovery file" }).click();
    this.recoveryFile = readFileSync(await (await download).path(), "utf8");
    await page.getByRole("switch").check();
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("heading", { name: `Welcome, ${account}` }).waitFor();
  }

  /** Chooses the account to use in an app: the one question. */
  async connect(app: string, account: string): Promise<void> {
    const { page } = this;
    await this.open(app);
    await page.getByRole("main").getByRole("button", { name: "Choose account" }).click();
    await page.getByRole("heading", { name: `Which account for ${app}?` }).waitFor();
    await page.getByRole("button", { name: account }).click();
    await page.waitForURL(appUrl(this.root, app));
    await page.getByRole("banner").getByText(account).waitFor();
  }

  /** The balance that the tokens page shows. */
  async balance(): Promise<string> {
    return (await this.page.getByTestId("balance").innerText()).replace(/[^0-9.,]/g, "");
  }

  /** Keeps a picture of what this person sees, and prints the page's text: for a test that failed. */
  async report(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true });
    const file = join(pictures, `failed-${name.replace(/\W+/g, "-").slice(0, 60)}.png`);
    await this.page.screenshot({ path: file }).catch(() => undefined);
    const text = await this.page.locator("body").innerText({ timeout: 1000 }).catch(() => "");
    console.error(`${this.page.url()} (${file})\n${text.slice(0, 1500)}\n${this.problems.join("\n")}`);
  }
}
