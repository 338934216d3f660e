import { postJson } from "@polis/client/common";
import { useLive, type Live } from "@polis/client/ui";

/** A key that the node signs for. */
export interface Claim {
  service: string;
  /** Hexadecimal DER of the public key. */
  rawData: string;
}

export const useKeys = (): Live<Claim[]> => useLive("/native/admin/keys");

const service = "verify-sig";

export const makeKey = (): Promise<Claim> => post({ service });
/** der: hexadecimal. */
export const takeKey = (der: string): Promise<Claim> => post({ service, rawData: der });

async function post(body: object): Promise<Claim> {
  return (await (await postJson("/native/admin/keys", body)).json()) as Claim;
}

/** Hexadecimal DER of a private key's PEM text. Throws an Error with a sentence for the person. */
export function derOfPem(text: string): string {
  const found = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/.exec(text);
  if (!found) throw new Error("This is no key file: it would begin with -----BEGIN PRIVATE KEY-----.");
  const [, label = "", base64 = ""] = found;
  if (label.includes("PUBLIC")) throw new Error("This is the public half of a key. The private one is needed.");
  if (label.includes("ENCRYPTED") || base64.includes(":")) throw new Error("This key is locked with a passphrase. Take the passphrase off first.");
  if (label !== "PRIVATE KEY" && label !== "EC PRIVATE KEY") throw new Error("This is not a key that signs blocks.");
  try {
    const bytes = atob(base64.replace(/\s/g, ""));
    return [...bytes].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  } catch {
    throw new Error("This key file is damaged.");
  }
}

/** PEM text of a public key. */
export function pemOf({ rawData }: Claim): string {
  const bytes = (rawData.match(/../g) ?? []).map((pair) => String.fromCharCode(parseInt(pair, 16))).join("");
  return `-----BEGIN PUBLIC KEY-----\n${(btoa(bytes).match(/.{1,64}/g) ?? []).join("\n")}\n-----END PUBLIC KEY-----\n`;
}
