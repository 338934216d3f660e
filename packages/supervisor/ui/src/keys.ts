// P-256 keys by WebCrypto. A private key is extractable only until its recovery copy exists.

import { fromBase64, keyFingerprint, toHex } from "@polis/client/format";
import type { KeyRecord } from "./storage.js";

const p256 = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A new key pair in the clear, to be encrypted and then imported at once. */
export async function generateKey(): Promise<{ pkcs8: Uint8Array<ArrayBuffer>; spki: Uint8Array<ArrayBuffer> }> {
  const pair = await crypto.subtle.generateKey(p256, true, ["sign", "verify"]);
  const [pkcs8, spki] = await Promise.all([
    crypto.subtle.exportKey("pkcs8", pair.privateKey),
    crypto.subtle.exportKey("spki", pair.publicKey),
  ]);
  return { pkcs8: new Uint8Array(pkcs8), spki: new Uint8Array(spki) };
}

/** Imports a private key for good: from here on nobody can read it, not even this page. Wipes `pkcs8`. */
export async function importKey(pkcs8: Uint8Array<ArrayBuffer>): Promise<KeyRecord> {
  try {
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, p256, false, ["sign"]);
    const spki = await publicPart(pkcs8);
    return { id: toHex(keyFingerprint(spki)), spki, privateKey };
  } finally {
    pkcs8.fill(0);
  }
}

/** Signature over the SHA-256 of `message`: 64 bytes, r then s. */
export async function sign(key: CryptoKey, message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, message));
}

async function publicPart(pkcs8: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const readable = await crypto.subtle.importKey("pkcs8", pkcs8, p256, true, ["sign"]);
  const { x, y } = await crypto.subtle.exportKey("jwk", readable);
  if (x === undefined || y === undefined) throw new Error("This key lacks its public part.");
  const point = new Uint8Array([4, ...fromBase64(x), ...fromBase64(y)]);
  const key = await crypto.subtle.importKey("raw", point, p256, true, ["verify"]);
  return new Uint8Array(await crypto.subtle.exportKey("spki", key));
}
