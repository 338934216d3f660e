// The supervisor's frame: takes messages from the app that frames it, one at a time.

import { isSupervisorRequest, type FunctionCallResponse, type SupervisorInitialized, type SupervisorRequest } from "@polis/client/common";
import { answer } from "./calls.js";
import { Device } from "./device.js";
import { Node } from "./node.js";
import { accountOfOrigin, framingAllowed } from "./origin.js";
import { Storage } from "./storage.js";
import { Turns } from "./turns.js";

const queueMax = 64;

const site = { protocol: window.location.protocol, host: window.location.host };
const node = new Node(site);

let opening: Promise<Device> | undefined;

/** Opens this chain's storage; tries again after a failure. */
function device(): Promise<Device> {
  opening ??= open().catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

async function open(): Promise<Device> {
  if (!window.isSecureContext) throw new Error("Browsers keep keys only for pages over HTTPS, or on this machine. Open this network by https://.");
  const chainId = await node.chainId();
  return new Device(node, await Storage.open(chainId), chainId);
}

const turns = new Turns(queueMax);

function onMessage(event: MessageEvent<unknown>): void {
  const { data, origin, source } = event;
  if (!isSupervisorRequest(data) || !source) return;
  const reply = (result: unknown): void => {
    const response: FunctionCallResponse = { type: "FUNCTION_CALL_RESPONSE", id: data.id, result };
    source.postMessage(response, { targetOrigin: origin });
  };
  const app = accountOfOrigin(origin, site);
  const framing = { fromParent: source === window.parent, fromTop: source === window.top, topIsOwn: topIsOwn() };
  if (app === undefined || window.parent === window || !framingAllowed(framing)) {
    // An opaque origin cannot even be told so.
    if (origin !== "null") reply({ name: "Refused", message: "This page may not use the supervisor." });
    return;
  }
  const taken = turns.take(async () => {
    const result = await respond(app, data);
    try {
      reply(result);
    } catch {
      // A result that cannot be copied to the page; the page hears that instead.
      reply({ name: "NotAvailable", message: "The answer cannot be sent." });
    }
  });
  if (!taken) reply({ name: "Busy", message: "Too many calls at once." });
}

async function respond(app: string, request: SupervisorRequest): Promise<unknown> {
  switch (request.type) {
    case "PRE_LOAD_PLUGINS_REQUEST":
      return null;
    case "GET_JSON_REQUEST":
      return { name: "NotAvailable", message: "Plugins cannot be loaded yet." };
    case "FUNCTION_CALL_REQUEST":
      try {
        return await answer(await device(), app, request.args);
      } catch (error) {
        return { name: "NotReady", message: error instanceof Error ? error.message : "The supervisor cannot start." };
      }
  }
}

/** Whether the page that the person sees is the supervisor's own. Reading another origin's location throws. */
function topIsOwn(): boolean {
  try {
    return window.top?.location.origin === window.location.origin;
  } catch {
    return false;
  }
}

window.addEventListener("message", onMessage);
if (window.parent !== window) {
  const ready: SupervisorInitialized = { type: "SUPERVISOR_INITIALIZED", payload: {} };
  window.parent.postMessage(ready, "*");
  // Opened early, so that the first call does not wait for it; a failure shows at that call.
  device().catch(() => undefined);
}
