// Messages between an app and the supervisor. Source: spec, client §1.2.

export interface PluginRef {
  service: string;
  plugin: string;
}

export interface FunctionCallArgs {
  service: string;
  plugin?: string;
  intf?: string;
  method: string;
  params: unknown[];
}

export type SupervisorRequest =
  | { type: "FUNCTION_CALL_REQUEST"; id: string; args: FunctionCallArgs }
  | { type: "PRE_LOAD_PLUGINS_REQUEST"; id: string; payload: { plugins: PluginRef[] } }
  | { type: "GET_JSON_REQUEST"; id: string; payload: { plugin: PluginRef } };

export interface SupervisorInitialized {
  type: "SUPERVISOR_INITIALIZED";
  payload: Record<string, never>;
}

export interface FunctionCallResponse {
  type: "FUNCTION_CALL_RESPONSE";
  id: string;
  result: unknown;
}

export type SupervisorMessage = SupervisorInitialized | FunctionCallResponse;

/** A call that needs the person's choice: the library goes to `url` with the whole page. */
export interface RedirectErrorObject {
  name: "RedirectErrorObject";
  message: "user_prompt_request";
  pluginId: PluginRef;
  url: string;
}

export interface PluginErrorObject {
  name: "PluginErrorObject";
  message: string;
  pluginId: PluginRef;
}

export interface GenericErrorObject {
  name: string;
  message: string;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isErrorObject(value: unknown): value is GenericErrorObject {
  return isRecord(value) && typeof value["name"] === "string" && typeof value["message"] === "string";
}

export function isPluginRef(value: unknown): value is PluginRef {
  return isRecord(value) && typeof value["service"] === "string" && typeof value["plugin"] === "string";
}

export function isPluginErrorObject(value: unknown): value is PluginErrorObject {
  return isErrorObject(value) && isRecord(value) && isPluginRef(value["pluginId"]);
}

export function isRedirectErrorObject(value: unknown): value is RedirectErrorObject {
  return isPluginErrorObject(value) && (value.name as string) === "RedirectErrorObject" && isRecord(value) && typeof value["url"] === "string";
}

/** Whether a message is a request of this protocol; checks every field that its handler reads. */
export function isSupervisorRequest(value: unknown): value is SupervisorRequest {
  if (!isRecord(value) || typeof value["id"] !== "string" || value["id"].length > 64) return false;
  switch (value["type"]) {
    case "FUNCTION_CALL_REQUEST": {
      const args = value["args"];
      return (
        isRecord(args) &&
        typeof args["service"] === "string" &&
        typeof args["method"] === "string" &&
        Array.isArray(args["params"]) &&
        ["plugin", "intf"].every((key) => args[key] === undefined || typeof args[key] === "string")
      );
    }
    case "PRE_LOAD_PLUGINS_REQUEST":
      return isRecord(value["payload"]) && Array.isArray(value["payload"]["plugins"]);
    case "GET_JSON_REQUEST":
      return isRecord(value["payload"]) && isPluginRef(value["payload"]["plugin"]);
    default:
      return false;
  }
}

/** What an action pushed through the supervisor did. */
export interface ActionOutcome {
  transactionId: string;
  /** What the last action returned, in JSON form; null for none. */
  result: unknown;
}

/** An invitation, as the accounts page shows it. */
export interface Invitation {
  id: number;
  inviter: string;
  accountsLeft: number;
  expires: string;
  state: "open" | "used" | "expired";
}

/** An account whose key lives on this device. */
export interface DeviceAccount {
  account: string;
  created: number;
  /** Apps that use this account. */
  apps: string[];
}

/** A new account's key, made but not yet on chain, and its recovery copy. */
export interface AccountDraft {
  draftId: string;
  account: string;
  fileName: string;
  /** Content of the recovery file; this is the only time that it leaves the supervisor. */
  recoveryFile: string;
}

export interface ConnectRequest {
  app: string;
  /** The account that the app uses now, if any. */
  current: string | null;
}

/** One time that the person was asked something. */
export interface PromptRecord {
  app: string;
  kind: "connect";
  time: number;
}
