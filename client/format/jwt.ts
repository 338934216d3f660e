// Login tokens: JSON Web Tokens of the one kind that a node makes. Source: spec, data formats §7.5.

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { equalBytes, FormatError, fromBase64, toBase64 } from "./bytes.js";

export function encodeJwt(key: Uint8Array, payload: string): string {
  const covered = `${encode(utf8(header))}.${encode(utf8(payload))}`;
  return `${covered}.${encode(hmac(sha256, key, utf8(covered)))}`;
}

/** The payload; undefined unless the token is well-formed and made with this key. */
export function decodeJwt(key: Uint8Array, token: string): string | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    const [head, payload, mac] = parts.map(decode) as [Uint8Array, Uint8Array, Uint8Array];
    if (!equalBytes(mac, hmac(sha256, key, utf8(`${parts[0]}.${parts[1]}`)))) return undefined;
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const { typ, alg } = JSON.parse(strict.decode(head)) as { typ?: unknown; alg?: unknown };
    return typ === "JWT" && alg === "HS256" ? strict.decode(payload) : undefined;
  } catch {
    return undefined;
  }
}

const header = '{"typ":"JWT","alg":"HS256"}';

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function encode(bytes: Uint8Array): string {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Refuses padding and bits that are left over, so that a token has one spelling. */
function decode(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new FormatError("not base64url");
  const bytes = fromBase64(text);
  if (encode(bytes) !== text) throw new FormatError("not base64url");
  return bytes;
}
