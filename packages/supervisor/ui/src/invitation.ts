// Reading an invitation's token. Source: spec, client §2.5.

import { fromBase64, fromPem } from "@polis/client/format";

export interface InvitationToken {
  id: number;
  aesKey: Uint8Array<ArrayBuffer>;
}

/** Throws with a sentence for the person. */
export function readToken(token: string): InvitationToken {
  const broken = new Error("This invitation link is not complete.");
  if (token.length > 100) throw broken;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = fromBase64(token);
  } catch {
    throw broken;
  }
  if (bytes.length !== 20) throw broken;
  return { id: new DataView(bytes.buffer).getUint32(0, true), aesKey: bytes.slice(4) };
}

/** The invitation's private key, PKCS#8, from the secret that the chain keeps. */
export async function openSecret(secret: string, aesKey: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const bytes = fromBase64(secret);
    const key = await crypto.subtle.importKey("raw", aesKey, "AES-GCM", false, ["decrypt"]);
    const pem = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes.subarray(0, 12) }, key, bytes.subarray(12));
    return fromPem("PRIVATE KEY", new TextDecoder().decode(pem));
  } catch {
    throw new Error("This link does not open the invitation.");
  }
}
