// The app's side of the supervisor: a hidden frame of supervisor.<root> that holds the keys.

import {
  isErrorObject,
  isPluginErrorObject,
  isRecord,
  isRedirectErrorObject,
  type ActionOutcome,
  type FunctionCallArgs,
  type PluginErrorObject,
  type PluginRef,
  type SupervisorRequest,
} from "./protocol.js";
import { siblingUrl, thisApp } from "./urls.js";

/** A built-in function or a service refused; the message says why. */
export class PluginError extends Error {
  override name = "PluginError";
  readonly pluginId: PluginRef;
  constructor({ message, pluginId }: PluginErrorObject) {
    super(message);
    this.pluginId = pluginId;
  }
}

export class GenericError extends Error {
  override name = "GenericError";
}

/** The person has to choose something first; the page is being left for that. */
export class RedirectError extends Error {
  override name = "RedirectError";
  constructor(readonly url: string) {
    super("The page asks the person first.");
  }
}

export interface CallOptions {
  /** Whether to leave the page when the person has to choose something; true by default. */
  enabled?: boolean;
  /** Where to come back to, on this site; this page by default. */
  returnPath?: string;
}

export interface SupervisorOptions {
  /** Address of the supervisor; derived from this page's when absent. */
  supervisorSrc?: string;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

const frameId = "iframe-supervisor";
const loadTimeoutMs = 15_000;

export class Supervisor {
  readonly #origin: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #frame: HTMLIFrameElement;
  readonly #ready: Promise<void>;
  #markReady: () => void = () => undefined;

  /** Use `getSupervisor`, so that a page has only one. */
  constructor({ supervisorSrc }: SupervisorOptions = {}) {
    this.#origin = new URL(supervisorSrc ?? siblingUrl(null, "supervisor")).origin;
    this.#ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new GenericError("The supervisor does not load.")), loadTimeoutMs);
      this.#markReady = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#ready.catch(() => undefined);
    window.addEventListener("message", (event) => this.#receive(event));
    this.#frame = document.createElement("iframe");
    this.#frame.id = frameId;
    this.#frame.title = "Supervisor";
    this.#frame.style.display = "none";
    this.#frame.setAttribute("aria-hidden", "true");
    this.#frame.src = `${this.#origin}/`;
    document.body.append(this.#frame);
  }

  /** Resolves once calls are answered. */
  onLoaded(): Promise<void> {
    return this.#ready;
  }

  /** Calls one function. Rejects with PluginError, GenericError or RedirectError. */
  async functionCall<T = unknown>(args: FunctionCallArgs, { enabled = true }: CallOptions = {}): Promise<T> {
    const result = await this.#send({ type: "FUNCTION_CALL_REQUEST", id: messageId(), args });
    if (isRedirectErrorObject(result)) {
      const url = new URL(result.url);
      // The supervisor only ever sends people to the accounts page.
      if (url.origin !== new URL(siblingUrl(null, "accounts")).origin) throw new GenericError("Unexpected redirect.");
      if (enabled) window.location.assign(url.href);
      throw new RedirectError(url.href);
    }
    if (isPluginErrorObject(result)) throw new PluginError(result);
    if (isErrorObject(result)) throw new GenericError(result.message);
    return result as T;
  }

  async getJson(plugin: PluginRef): Promise<unknown> {
    const result = await this.#send({ type: "GET_JSON_REQUEST", id: messageId(), payload: { plugin } });
    if (isErrorObject(result)) throw new GenericError(result.message);
    return result;
  }

  async preLoadPlugins(plugins: PluginRef[]): Promise<void> {
    await this.#send({ type: "PRE_LOAD_PLUGINS_REQUEST", id: messageId(), payload: { plugins } });
  }

  /**
   * Acts on this app's own service as the person who is connected here: no prompt, one transaction.
   * args: the action's arguments by name, in JSON form.
   * waitFor: `applied` (in a block, the default) or `final` (irreversible).
   */
  act(method: string, args: Record<string, unknown>, waitFor: "applied" | "final" = "applied"): Promise<ActionOutcome> {
    return this.functionCall<ActionOutcome>({
      service: thisApp(),
      plugin: "plugin",
      intf: "actions",
      method,
      params: [args, { waitFor }],
    });
  }

  /** The account that this app acts for, or null. */
  currentUser(): Promise<string | null> {
    return this.functionCall<string | null>({ service: "accounts", plugin: "plugin", intf: "api", method: "getCurrentUser", params: [] });
  }

  /** Asks the person which account to use here: leaves the page, which is loaded again afterwards. */
  async connect({ returnPath = window.location.pathname + window.location.search }: CallOptions = {}): Promise<void> {
    await this.functionCall({ service: "accounts", plugin: "plugin", intf: "activeApp", method: "connectAccount", params: [returnPath] });
  }

  /** Forgets who acts here, on this device. */
  async logout(): Promise<void> {
    await this.functionCall({ service: "accounts", plugin: "plugin", intf: "activeApp", method: "logout", params: [] });
  }

  /** Renews this app's right to read the person's private data. No prompt. */
  async renewLogin(): Promise<void> {
    await this.functionCall({ service: "accounts", plugin: "plugin", intf: "activeApp", method: "renewLogin", params: [] });
  }

  async #send(message: SupervisorRequest): Promise<unknown> {
    await this.#ready;
    return new Promise((resolve, reject) => {
      this.#waiting.set(message.id, { resolve, reject });
      this.#frame.contentWindow?.postMessage(message, this.#origin);
    });
  }

  #receive(event: MessageEvent<unknown>): void {
    if (event.origin !== this.#origin || event.source !== this.#frame.contentWindow || !isRecord(event.data)) return;
    const { type, id, result } = event.data;
    if (type === "SUPERVISOR_INITIALIZED") this.#markReady();
    else if (type === "FUNCTION_CALL_RESPONSE" && typeof id === "string") {
      const waiting = this.#waiting.get(id);
      if (!waiting) return console.error(`The supervisor answered an unknown request: ${id}`);
      this.#waiting.delete(id);
      waiting.resolve(result);
    }
  }
}

let only: Supervisor | undefined;

/** The one supervisor of this page. */
export function getSupervisor(options?: SupervisorOptions): Supervisor {
  only ??= new Supervisor(options);
  return only;
}

function messageId(): string {
  return window.isSecureContext ? crypto.randomUUID() : String(Math.random());
}
