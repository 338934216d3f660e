// The functions that the supervisor answers, and who may call them.

import { isLocalPath, isRecord, type FunctionCallArgs, type PluginErrorObject, type RedirectErrorObject } from "@polis/client/common";
import type { Value } from "@polis/client/format";
import type { Device } from "./device.js";

/** The one app that may manage the accounts of this device. */
const accountsApp = "accounts";

type Run = (device: Device, app: string, params: Params) => Promise<unknown>;

interface BuiltIn {
  accountsOnly: boolean;
  run: Run;
}

const any = (run: Run): BuiltIn => ({ accountsOnly: false, run });
const own = (run: Run): BuiltIn => ({ accountsOnly: true, run });

// In every function `app` is the origin of the message; nothing in `params` can change it.
const builtIns: Record<string, BuiltIn> = {
  "accounts/api/get-current-user": any((device, app) => device.currentUser(app)),
  "accounts/api/is-logged-in": any(async (device, app) => (await device.currentUser(app)) !== null),
  "accounts/active-app/get-connected-accounts": any((device, app) => device.connectedAccounts(app)),
  "accounts/active-app/connect-account": any(async (device, app, params) => {
    const path = params.optionalText(0) ?? "/";
    return redirect(await device.requestConnect(app, isLocalPath(path) ? path : "/"));
  }),
  "accounts/active-app/login": any((device, app, params) => device.switchUser(app, params.text(0))),
  "accounts/active-app/logout": any((device, app) => device.logout(app)),
  "accounts/active-app/renew-login": any((device, app) => device.renewLogin(app)),
  "transact/intf/add-action-to-transaction": any((device, app, params) =>
    device.actPacked(app, params.text(0), params.bytes(1))),

  "accounts/prompt/read-invitation": own((device, _, params) => device.readInvitation(params.text(0))),
  "accounts/prompt/create-draft": own((device, _, params) => device.createDraft(params.text(0), params.text(1))),
  "accounts/prompt/create-account": own((device, _, params) => device.createAccount(params.text(0), params.text(1))),
  "accounts/prompt/import-account": own((device, _, params) => device.importAccount(params.text(0), params.text(1))),
  "accounts/prompt/get-connect-request": own((device, _, params) => device.connectRequest(params.text(0))),
  "accounts/prompt/connect-account": own((device, _, params) => device.connect(params.text(0), params.text(1))),
  "accounts/admin/get-all-accounts": own((device) => device.accounts()),
  "accounts/admin/remove-account": own((device, _, params) => device.removeAccount(params.text(0))),
  "accounts/admin/disconnect-app": own((device, _, params) => device.disconnect(params.text(0))),
  "accounts/admin/get-prompts": own((device) => device.prompts()),
};

/** Answers one call of `app`. Never throws: a refusal is an error object. */
export async function answer(device: Device, app: string, args: FunctionCallArgs): Promise<unknown> {
  const service = args.service;
  const plugin = kebab(args.plugin ?? "plugin");
  const intf = kebab(args.intf ?? "");
  const refuse = (message: string): PluginErrorObject => ({ name: "PluginErrorObject", message, pluginId: { service, plugin } });
  try {
    if (plugin === "plugin") {
      const builtIn = ownProperty(builtIns, `${service}/${intf}/${kebab(args.method)}`);
      if (builtIn) {
        if (builtIn.accountsOnly && app !== accountsApp) return refuse(`Only the accounts page may do this; ${app} may not.`);
        return (await builtIn.run(device, app, new Params(args.params))) ?? null;
      }
      if (intf === "actions") {
        if (service !== app) return refuse(`${app} may act only on its own service, not on ${service}.`);
        const { values, waitFor } = readAction(args.params);
        return await device.act(app, args.method, values, waitFor);
      }
    }
    return refuse(`There is no function ${intf ? `${intf}.` : ""}${args.method} of ${service}.`);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : "The call failed.");
  }
}

function readAction(params: readonly unknown[]): { values: Value; waitFor: "applied" | "final" } {
  const [values, options] = params;
  if (!isRecord(values)) throw new Error("An action needs its arguments by name.");
  const waitFor = isRecord(options) && options["waitFor"] === "final" ? "final" : "applied";
  // The codec checks every value against the schema as it packs.
  return { values: values as Value, waitFor };
}

function redirect(url: string): RedirectErrorObject {
  return { name: "RedirectErrorObject", message: "user_prompt_request", pluginId: { service: accountsApp, plugin: "plugin" }, url };
}

/** Parameters of a call, checked as they are read. */
class Params {
  readonly #values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.#values = values;
  }

  text(index: number): string {
    const value = this.#values[index];
    if (typeof value !== "string" || value.length > 50_000) throw new Error(`Parameter ${index + 1} must be text.`);
    return value;
  }

  optionalText(index: number): string | undefined {
    return this.#values[index] === undefined || this.#values[index] === null ? undefined : this.text(index);
  }

  bytes(index: number): Uint8Array {
    const value = this.#values[index];
    if (!(value instanceof Uint8Array)) throw new Error(`Parameter ${index + 1} must be bytes.`);
    return value;
  }
}

function ownProperty<T>(table: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** camelCase as kebab-case, which is canonical here. */
function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter, at: number) => (at > 0 ? "-" : "") + letter.toLowerCase());
}
